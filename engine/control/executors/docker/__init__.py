"""Workers as containers of a Docker engine, on this computer or another."""
