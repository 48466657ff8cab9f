"""Versioned field mappings: source record to canonical model, and canonical model to target record."""
