"""Where a run's base model lies: a folder of this computer, or the cache, into which it is fetched from its hub."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from engine.compute.hubs.download import Download
from engine.compute.hubs.fetch import Tally
from engine.compute.inference.base import model_folder
from engine.compute.inference.folder import check_folder
from engine.compute.worker.worker import Worker
from engine.contract.durable import write_json
from engine.contract.model import RUNNABLE_HUBS, ModelConfig
from engine.contract.paths import AttemptFolder, Home
from engine.contract.run_spec import AttemptOrder
from engine.contract.states import Phase

TELL_EVERY_S, TELL_SELDOM_S = 1.0, 15.0
"""Between two lines of progress: as often at first, and more seldom the longer it takes, for each is kept."""


class ModelSource:
    """The model of one attempt; tells of its download, and keeps the commit for the attempts to come."""

    def __init__(
        self, order: AttemptOrder, model: ModelConfig, folder: AttemptFolder, worker: Worker, choice: Path | None = None
    ) -> None:
        """`choice`: where the commit is kept; the model's own place unless another is named."""
        self.order, self.model, self.worker = order, model, worker
        self.commit = ""
        self._choice = choice or folder.model_choice
        self._began = self._told = 0.0

    def obtain(self) -> Path:
        """The folder with the model's files; fetches them if need be."""
        if self.model.hub in RUNNABLE_HUBS:
            return model_folder(self.model)
        hang_s = self.order.spec.limits.hang_minutes * 60
        download = Download(self.model, self.order.hubs, self.worker.secrets, Home.find(), self, hang_s)
        found = download.obtain(self._pinned())
        self.commit = found.commit
        check_folder(found.folder)
        return found.folder

    def note(self, code: str, level: Any = "info", **params: Any) -> None:
        """Something a person should know."""
        if code == "hub.waiting":
            self.worker.report.phase(Phase.DOWNLOADING)
        self.worker.report.note(code, level, **params)

    def downloading(self, tally: Tally | None) -> None:
        """A line of progress now and then, and at the end."""
        now = time.monotonic()
        if tally is None:
            return
        self._began = self._began or now
        every = min(TELL_SELDOM_S, max(TELL_EVERY_S, (now - self._began) / 60))
        if now - self._told < every and tally.done != tally.total:
            return
        self._told = now
        share = min(1.0, tally.done / tally.total) if tally.total else None
        self.worker.report.phase(
            Phase.DOWNLOADING, share, bytes_done=tally.done, bytes_total=tally.total, bytes_per_second=tally.pace()
        )

    def check(self) -> None:
        """Raises StopRequest when somebody wants the run to end."""
        self.worker.check()

    def resolved(self, commit: str) -> None:
        """Write down what the revision means, so that every attempt of the run works with the same weights."""
        wanted = self._asked | {"commit": commit}
        if self._read() != wanted:
            write_json(self._choice, wanted)

    @property
    def _asked(self) -> dict[str, Any]:
        return {"hub": self.model.hub, "path": self.model.path, "revision": self.model.revision}

    def _pinned(self) -> str | None:
        """The commit an earlier attempt of the run has worked with."""
        found = self._read()
        commit = found.pop("commit", None)
        return commit if isinstance(commit, str) and commit and found == self._asked else None

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._choice.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
