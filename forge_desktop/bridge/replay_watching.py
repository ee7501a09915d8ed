"""A replay's run that trains: it notes another interval as a worker would."""

from __future__ import annotations

from engine.contract.api import RunDetail
from engine.contract.events import JournalLine, Note


class ReplayWatching:
    """Answers at once."""

    def log_every(self, uid: str, steps: int) -> None:
        """The worker's note that it does so now."""
        at = self.run(uid).run.started or 0.0
        self.play(uid, [Note(seq=1, t=at, code="training.log_every", params={"steps": steps})])

    def play(self, uid: str, lines: list[JournalLine]) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def run(self, uid: str) -> RunDetail:
        """Given by the backend."""
        raise NotImplementedError
