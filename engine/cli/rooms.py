"""The other rooms as commands. Imports next to nothing: a start should not wait for what it does not use."""

import os
import sys


def become_controller(arguments: list[str]) -> None:
    """Replace this process by the controller, if that is all that is asked."""
    if arguments[:1] == ["controller"] and set(arguments[1:]) <= {"start", "--foreground"}:
        rest = [argument for argument in arguments[1:] if argument != "start"]
        os.execv(sys.executable, [sys.executable, "-m", "engine.control", *rest])
