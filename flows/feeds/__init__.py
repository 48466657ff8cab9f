"""What sources tell: from a hint or a poll to an engagement, with what cannot be used set aside and what comes in masses held."""
