"""The audit trail: a hash chain, its signed checkpoints, and the auditor's own check."""
