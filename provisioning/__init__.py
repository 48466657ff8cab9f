"""What access a role needs, how it differs from what is there, and how the difference is applied and proven.

Sees only the domain and its ports: directories, sinks and the effect log come in as arguments.
"""
