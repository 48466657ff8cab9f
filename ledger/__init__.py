"""The ledger: durability, ownership, order, timers and the audit trail, in PostgreSQL. It decides; everything else executes."""
