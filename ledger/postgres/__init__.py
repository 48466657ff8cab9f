"""PostgreSQL itself: its programs, the one inside a folder, and the databases beside the ledger's."""
