"""What arrives: deliveries kept once, records as sources tell them, and work orders that become engagements."""
