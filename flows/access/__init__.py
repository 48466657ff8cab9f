"""Access in life: whose accounts they are, who lets it be given, what a person first signs in with, and who attests it later."""
