"""What engagements support in directories, who let them and who attested it; and who had access when."""
