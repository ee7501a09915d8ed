"""The command `forge`: a client of the controller, and the way to start the other rooms as commands."""
