"""What the conformance suite is made of (``connectors.testing`` runs it): trials, operations, sandboxes, forgeries."""
