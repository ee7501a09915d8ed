"""What a person wants of a live worker, handed over as files in its control folder, and as SIGTERM for a stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.contract.commands import WorkerCommand
from engine.contract.paths import AttemptFolder
from engine.control.executors.base import Executor

RANK = {"move": -1, "pause": 0, "stop": 1, "stop_without_saving": 2}
"""A wish of higher rank overrides one of lower."""
NO_SAVE_GRACE_S = 5.0


def verb_of(save: bool) -> str:
    """The command that ends a run."""
    return "stop" if save else "stop_without_saving"


@dataclass
class Wish:
    """A person asked for the end."""

    verb: str
    sent: bool = False
    overdue: bool = False
    since: float = field(default_factory=time.monotonic)


class Wishes:
    """The wishes about one attempt."""

    def __init__(self, executor: Callable[[], Executor], folder: AttemptFolder, handle: str) -> None:
        self._executor = executor
        self._folder = folder
        self._handle = handle
        self.wish: Wish | None = None

    def ask(self, verb: str) -> None:
        """Note a wish for the end; it goes out with the next `obey`."""
        if self.wish is None or RANK[verb] > RANK[self.wish.verb]:
            self.wish = Wish(verb)

    def send(self, command: WorkerCommand) -> None:
        """Hand a command over. Waits: call it on a thread."""
        self._executor().send(self._folder, self._handle, command)

    def obey(self, grace_s: float) -> tuple[str, float] | None:
        """Hand over what is new, end a worker that does not heed a stop in time. A note, if there is one to make."""
        wish = self.wish
        if wish is None or wish.overdue:
            return None
        if not wish.sent:
            self.send(_command(wish.verb))
            if wish.verb == "stop":
                self._executor().stop(self._folder, self._handle)
            wish.sent, wish.since = True, time.monotonic()
        grace = min(NO_SAVE_GRACE_S, grace_s) if wish.verb == "stop_without_saving" else grace_s
        if time.monotonic() - wish.since <= grace:
            return None
        if wish.verb in ("pause", "move"):  # nothing may be lost for a pause
            wish.overdue = True
            return "run.pause_waits", grace
        self._executor().kill(self._folder, self._handle)
        wish.overdue = True
        return "run.killed", grace


def _command(verb: str) -> WorkerCommand:
    """As its worker knows it: a move is a pause."""
    if verb == "move":
        return WorkerCommand(id=verb, verb="pause", params={"cause": "move"})
    return WorkerCommand.model_validate({"id": verb, "verb": verb})
