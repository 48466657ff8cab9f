"""What is kept sealed, and the keys to it."""
