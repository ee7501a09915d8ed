"""How a worker's process ends once everything is said and synced: at once."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End without taking everything apart first, which costs more than a second of processor time after torch.

    Whoever moves or resumes the run waits for the end. Nothing of ours is left to do: the journal is synced and closed.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
