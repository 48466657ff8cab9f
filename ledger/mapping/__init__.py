"""Which version of a mapping is in force, and which one running engagements are pinned to."""
