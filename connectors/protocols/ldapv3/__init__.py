"""LDAP v3 (RFC 4511) for any directory server: connections, searches, writes, result codes, and a whole directory of accounts on top.

What one kind of server does in its own way is its ``ServerDialect``; a connector brings that, its settings form and its client.
"""
