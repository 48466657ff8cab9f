"""The composition root: settings of the process, a tenant's configuration, secrets, and the hub built from them."""
