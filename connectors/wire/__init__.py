"""What every connection out of the hub stands on: how far it may reach, who vouches for it, how much of it is allowed."""
