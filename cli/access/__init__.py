"""The commands about access, endings, workers and reconciliation."""
