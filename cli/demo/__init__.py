"""The demonstration: a client company in a box, and one contractor's story in it."""
