"""How a worker is started, watched and stopped on a node."""
