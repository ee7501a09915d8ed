"""Named places where a test may let the program die, fail or wait. They do nothing unless FORGE_FAULT is set.

    FORGE_FAULT=NAME[:ACTION[:N[+]]][@M]  at the Nth time (the first, without N) NAME is reached; N+: from then on;
                                          @M: only in member M of an attempt of several

ACTION is kill (SIGKILL to this process, the usual one), exit (code 70, nothing is cleaned up), ENOSPC or EIO
(that OSError is raised), memory (there is none left), sleep (for an hour), or pause (for three seconds). A place that
handles figures (`spoilt`) also knows nan, inf, huge, zero and untrained: what becomes of them. The variable is read
when this module is first imported and is inherited by every process that is started; a place fires once in each,
unless N+ says more.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from typing import Literal, get_args

VARIABLE = "FORGE_FAULT"
MEMBER_VARIABLE = "FORGE_MEMBER"
"""The number of a member, the first aside."""
EXIT_CODE = 70
SLEEP_S = 3600.0

Point = Literal[
    "durable.before_fsync",  # the new content is written aside, perhaps not on the disk
    "durable.before_rename",  # it is on the disk, the old content still stands
    "durable.after_rename",  # the new content stands, its folder is not synced
    "history.before_commit",
    "history.after_commit",  # nobody has been told yet
    "migration.before_commit",
    "command.after_commit",  # a person's wish is in the history, the answer is not sent
    "ingest.before_store",  # lines are read, not stored
    "ingest.after_store",
    "start.after_claim",  # the attempt is in the history, its folder is not made
    "start.after_folder",
    "start.after_order",
    "start.after_monitor",  # the monitor runs, the history does not know its handle
    "start.after_handle",
    "monitor.after_claim",  # monitor.json is there, the worker is not
    "monitor.after_start",  # the worker is there, monitor.json does not name it
    "monitor.before_exit",  # the worker ended, exit.json is not written
    "artifacts.after_put",  # a checkpoint lies at the place for artefacts, nobody has written that down
    "retention.after_copy",  # results are in the library, the history does not know
    "move.after_marker",  # the new folder is marked as one that is being filled
    "move.copying",  # a file is copied, others are not
    "move.after_copy",  # everything is copied, nothing checked
    "move.before_switch",  # the copy is whole, the old folder is still in use
    "move.after_switch",  # the new folder is in use, no controller serves it
    "moving.after_request",  # a run is to be moved, nothing has begun
    "moving.after_ask",  # its worker is to save and stop, and has not been told
    "moving.after_stop",  # it has stopped, nothing is copied
    "moving.after_copy",  # its checkpoint is on the target, whole
    "moving.after_claim",  # it is the target's now, nothing is started there
    "moving.before_release",  # it works on the target, the source still has all of it
    "moving.before_back",  # it could not be moved, and does not go on yet
    "install.downloading",  # packages are being fetched
    "install.before_rename",  # the environment is whole, not in its place
    "import.after_shard",  # a shard of rows is on the disk, nothing names it
    "import.after_progress",  # it is named, an import would go on behind it
    "import.before_rename",  # the version is whole, not in its place
    "scratch.before_whole",  # config, weights and tokenizer of a model from scratch are written aside
    "push.before_send",  # what goes to a hub is gathered, nothing was sent
    "training.before_batch",  # a worker is about to learn from a micro batch
    "training.fetch",  # a worker waits for the micro batches of a step
    "training.batch",  # they are there: untrained takes all that is to be learned out of them
    "training.loss",  # of a micro batch: nan, inf, huge
    "training.gradient",  # of a step: nan, inf, huge, zero
    "retention.after_commit",  # the history says the files are gone, they are not
]
POINTS: tuple[str, ...] = get_args(Point)
ACTIONS = ("kill", "exit", "ENOSPC", "EIO", "memory", "sleep", "pause", "nan", "inf", "huge", "zero", "untrained")
FIGURES = ("nan", "inf", "huge", "zero", "untrained")
PAUSE_S = 3.0


def parse(text: str) -> tuple[str, str, int]:
    """Name, action and count (negative: from that time on); ValueError in plain words for anything else."""
    name, _, rest = text.partition(":")
    action, _, count = rest.partition(":")
    action, on = action or "kill", count.endswith("+")
    count = count.removesuffix("+")
    if name not in POINTS or action not in ACTIONS or (count and not count.isdecimal()) or count == "0":
        raise ValueError(f"{VARIABLE}={text}: not NAME[:ACTION[:N[+]]]; names {POINTS}, actions {ACTIONS}")
    return name, action, -int(count or 1) if on else int(count or 1)


def _meant(text: str) -> tuple[str, str, int]:
    """What this process is to do of it."""
    text, _, member = text.partition("@")
    if not text or (member and member != os.environ.get(MEMBER_VARIABLE, "0")):
        return "", "", 0
    return parse(text)


_name, _action, _count = _meant(os.environ.get(VARIABLE, ""))
_reached = 0


def arm(text: str) -> None:
    """As if the program had been started with FORGE_FAULT=text; empty: with none."""
    global _name, _action, _count, _reached
    _name, _action, _count = _meant(text)
    _reached = 0


def fault(point: Point) -> None:
    """A named place: passes at once, unless this is where something is to happen."""
    if point == _name and _action not in FIGURES and _is_due():
        _happen()


def spoilt(point: Point) -> str:
    """What is to become of the figures at a named place; empty, nearly always: nothing."""
    return _action if point == _name and _action in FIGURES and _is_due() else ""


def _is_due() -> bool:
    global _reached
    _reached += 1
    return _reached == _count or 0 < -_count <= _reached


def _happen() -> None:
    if _action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif _action == "exit":
        os._exit(EXIT_CODE)
    elif _action == "sleep":
        time.sleep(SLEEP_S)
    elif _action == "pause":
        time.sleep(PAUSE_S)
    elif _action == "memory":
        raise MemoryError
    else:
        number = getattr(errno, _action)
        raise OSError(number, os.strerror(number))
