"""The processes: joiner and leaver as Prefect flows, and the worker that runs them from the durable queue."""
