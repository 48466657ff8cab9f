"""The commands about mappings."""
