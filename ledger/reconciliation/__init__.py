"""What directories showed, what was wrong with it, and what the brake holds."""
