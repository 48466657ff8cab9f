"""A desk: folders in which we leave tickets for people, and they leave evidence for us. It knows nothing of what is asked."""
