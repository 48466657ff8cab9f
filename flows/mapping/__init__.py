"""Versions of mappings in life: which one counts for whom, what another would change, and how running engagements follow it."""
