"""Directories held against what the ledger says that they should show, and what is mended of it."""
