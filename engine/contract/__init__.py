"""What all sides agree on: run spec, events, states and errors. Imports nothing else of ours."""

PROTOCOL_VERSION = 1
"""Version of the agreement between desktop, controller and worker; another one is refused in plain words."""
