"""Outside writes: the intent before, the result after, and why each field was told what it was told."""
