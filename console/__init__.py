"""The web side: the receiver of webhooks and the REST API. It writes to the ledger and never calls a connector's system."""
