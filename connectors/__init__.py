"""One package per outside system. The catalogue is a walk over this folder; nothing else lists the connectors."""
