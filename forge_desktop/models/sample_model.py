"""A dataset that a model is to make, as it is typed: read, checked as the controller checks it, sent."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from PySide6.QtCore import QObject, Signal

from engine.contract.api import RunSummary
from engine.contract.bundled import DATASETS
from engine.contract.config_file import check_spec, problem_of
from engine.contract.datasets import DatasetPage
from engine.contract.errors import ErrorBody, Problem
from engine.contract.rewards import REWARDS
from engine.contract.run_spec import RunSpec
from engine.contract.sampling import SampleJob
from forge_desktop.bridge.session import Session
from forge_desktop.theme.language import tr

MOST = 200
NUMBERS = (
    "answers", "max_tokens", "max_length", "temperature", "top_p", "top_k", "seed", "batch_size", "keep", "threshold",
    "margin",
)  # fmt: skip
SHOWN_WITH = {"keep": "best_n", "threshold": "threshold", "margin": "best_worst"}
"""Settings that only one way of choosing uses."""
FILE = "file"


class SampleModel(QObject):
    """The order in the making."""

    changed = Signal()
    listed = Signal()
    """The library's datasets are known."""
    started = Signal(object)
    """RunSummary."""
    failed = Signal(object)
    """ErrorBody."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.plain: dict[str, Any] = {
            name: field.get_default(call_default_factory=True)
            for name, field in SampleJob.model_fields.items()
            if not field.is_required()
        }
        self.plain |= {"dataset": "", "model": {"path": "", "hub": "bundled"}, "source": {"path": "", "hub": "library"}}
        self.rewards_text = ""
        self.datasets: list[str] = []
        self.starting = False

    def fetch(self) -> None:
        """Ask which datasets there are."""
        self._session.ask(
            lambda backend: backend.datasets("", "name", False, 0, MOST), self._got, lambda _error: None, owner=self
        )

    def _got(self, page: DatasetPage) -> None:
        self.datasets = [one.name for one in page.datasets if one.newest is not None]
        self.listed.emit()

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Key and text of every place questions may lie."""
        shipped = [(f"bundled:{name}", tr("{name} (comes with the program)", name=name)) for name in DATASETS]
        return [*((f"library:{name}", name) for name in self.datasets), *shipped, (FILE, tr("A file of this computer"))]

    def set(self, name: str, value: Any) -> None:
        """A setting; a dot leads into a group."""
        group, _, inner = name.rpartition(".")
        if group:
            self.plain[group] = {**self.plain[group], inner: value}
        else:
            self.plain[name] = value
        self.changed.emit()

    def set_source(self, key: str, path: str = "") -> None:
        """One of the choices; of a file its path."""
        hub, _, name = key.partition(":")
        self.plain["source"] = {"path": path, "hub": "local"} if key == FILE else {"path": name, "hub": hub}
        self.changed.emit()

    def set_rewards(self, text: str) -> None:
        """`accuracy, length=0.5`: kinds and weights."""
        self.rewards_text = text
        found: list[dict[str, Any]] = []
        for part in filter(None, (one.strip() for one in text.replace("，", ",").split(","))):
            kind, mark, weight = part.partition("=")
            try:
                found.append({"kind": kind.strip(), **({"weight": float(weight)} if mark else {})})
            except ValueError:
                found.append({"kind": kind.strip(), "weight": weight.strip()})
        self.set("rewards", found)

    def used(self, name: str) -> bool:
        """Whether a setting counts with the way answers are chosen now."""
        wanted = SHOWN_WITH.get(name)
        return wanted is None or wanted == self.plain["choose"]

    def order(self) -> tuple[RunSpec | None, list[Problem]]:
        """The order, and everything that is wrong with it."""
        try:
            job = SampleJob.model_validate(self.plain)
        except ValidationError as error:
            return None, [problem_of(dict(detail), SampleJob) for detail in error.errors()]
        spec = RunSpec(name=tr("Sample {name}", name=job.dataset)[:120], job=job)
        return spec, check_spec(spec)

    def why_not(self) -> str:
        """Why it cannot be started yet; empty when it can."""
        if not self._session.is_online:
            return tr("The job controller does not answer.")
        if not self.plain["model"]["path"]:
            return tr("Choose the model that answers.")
        if not self.plain["source"]["path"]:
            return tr("Choose the dataset with the questions.")
        if not self.plain["dataset"]:
            return tr("Give the new dataset a name.")
        return tr("It is being started.") if self.starting else ""

    def start(self) -> None:
        """Begin; what is wrong comes as one error."""
        spec, problems = self.order()
        if spec is None or problems:
            params = {"count": len(problems)}
            self.failed.emit(ErrorBody(code="config.refused", what="", params=params, problems=problems))
            return
        self.starting = True
        self.changed.emit()
        order = spec
        self._session.ask(lambda backend: backend.create(order, True), self._began, self._refused, owner=self)

    def _began(self, run: RunSummary) -> None:
        self.starting = False
        self.started.emit(run)

    def _refused(self, error: ErrorBody) -> None:
        self.starting = False
        self.changed.emit()
        self.failed.emit(error)


PLAIN_REWARDS = tuple(name for name, reward in REWARDS.items() if not reward.path and name != "format")
"""Rewards that need no more than their name."""
