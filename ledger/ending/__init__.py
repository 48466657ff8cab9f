"""Endings: how ends move, when each began, what holds it up, and what is still to be closed."""
