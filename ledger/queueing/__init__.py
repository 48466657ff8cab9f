"""The durable queue and its timers: what has to be done, when, and by whom just now."""
