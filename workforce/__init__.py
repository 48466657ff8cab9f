"""The domain: workers, engagements, access and the ports to the outside. Pure: imports nothing of ours and does no I/O."""
