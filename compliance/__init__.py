"""What the programme owes its contracts and auditors: business time, service levels and alerts."""
