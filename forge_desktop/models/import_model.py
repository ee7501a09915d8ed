"""An import being put together: where rows come from, what was found there, how they are read, what it is called."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import ValidationError
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.api import RunSummary
from engine.contract.data import DataSource
from engine.contract.data_format import PARTS, Mapping
from engine.contract.dataset_names import name_from
from engine.contract.dataset_queries import InspectData, Inspection
from engine.contract.datasets import CheckOptions, ImportJob, ImportSource
from engine.contract.errors import ErrorBody
from engine.contract.hubs import HUBS
from engine.contract.run_spec import RunSpec
from forge_desktop.bridge.session import Session
from forge_desktop.theme.language import tr

TYPING_MS = 350
KINDS = ("path", "huggingface", "modelscope", "url")
TURN_KEYS = ("role_key", "content_key")


class ImportModel(QObject):
    """What the dialog shows; it asks a helper to look at a local place whenever that changes."""

    changed = Signal()
    """Something that was typed or found."""
    inspected = Signal()
    """The place was looked at, or could not be."""
    started = Signal(object)
    """RunSummary of the import."""
    failed = Signal(object)
    """ErrorBody: it could not be started."""

    def __init__(self, session: Session, parent: QObject | None = None, name: str = "") -> None:
        super().__init__(parent)
        self._session = session
        self.kind, self.place, self.revision, self.subset, self.split = "path", "", "", "", ""
        self.name, self._named = name, bool(name)
        self.format = "auto"
        self.mapping = Mapping()
        self.checks = CheckOptions()
        self.limit: int | None = None
        self.found: Inspection | None = None
        self.error: ErrorBody | None = None
        self.looking = self.starting = False
        self.taken: dict[str, int] = {}
        """Name of each dataset there is, folded, to how many versions it has."""
        self._asked = 0
        self._soon = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._soon.timeout.connect(self.inspect)
        self._begun = Counter[str]()
        """Names of datasets that imports were begun of, folded: each gets a version more."""
        session.online.connect(self._online)
        session.offline.connect(self._offline)
        self._ask_names()

    def _ask_names(self) -> None:
        self._session.ask(
            lambda backend: backend.datasets("", "name", False, 0, 500), self._know, lambda _e: None, owner=self
        )

    @Slot()
    def _online(self) -> None:
        """The controller answers again: what could not be asked is asked now."""
        self._ask_names()
        if self.found is None:
            self._look_again(True)
        self.changed.emit()

    @Slot()
    def _offline(self, *_why: object) -> None:
        self.changed.emit()

    @property
    def is_offline(self) -> bool:
        """Nobody can be asked now."""
        return not self._session.is_online

    def forget_name(self) -> None:
        """The next source gives its own name."""
        self._named = False

    def _know(self, page: Any) -> None:
        self.taken = {one.name.casefold(): one.versions for one in page.datasets}
        self.changed.emit()

    def set_source(self, kind: str, place: str, at_once: bool = False) -> None:
        """From somewhere else; what was found there is asked anew."""
        if (kind, place) == (self.kind, self.place):
            return
        self.kind, self.place = kind, place.strip()
        self.format, self.mapping = "auto", Mapping()
        if not self._named:
            self.name = name_from(self.place)
        self._look_again(at_once)

    def set_name(self, name: str) -> None:
        """Called otherwise."""
        self.name, self._named = name.strip(), bool(name.strip())
        self.changed.emit()

    def set_format(self, name: str) -> None:
        """Read otherwise; columns are matched anew."""
        if name != self.format:
            self.format, self.mapping = name, Mapping()
            self._look_again(True)

    def set_column(self, part: str, column: str) -> None:
        """A column plays a part; an empty one: as usual."""
        columns = {name: value for name, value in self.mapping.columns.items() if name != part}
        if column:
            columns[part] = column
        self.mapping = self.mapping.model_copy(update={"columns": columns})
        self._look_again(True)

    def set_turn_key(self, name: str, key: str) -> None:
        """Another key of a turn says who speaks (`role_key`) or what is said (`content_key`); empty: as found."""
        if (key.strip() or None) != getattr(self.mapping, name):
            self.mapping = self.mapping.model_copy(update={name: key.strip() or None})
            self._look_again(False)

    def set_checks(self, **values: Any) -> None:
        """Which costly checks are made."""
        self.checks = self.checks.model_copy(update=values)
        self.changed.emit()

    def _look_again(self, at_once: bool) -> None:
        self._asked += 1
        self.error = None
        self.looking = self.kind == "path" and bool(self.place)
        if not self.looking:
            self.found = None
        self._soon.stop()
        if self.looking:
            self._soon.start(0 if at_once else TYPING_MS)
        self.changed.emit()

    @Slot()
    def inspect(self) -> None:
        """Have a helper look at the place."""
        self._asked += 1
        number = self._asked
        try:
            source = DataSource.model_validate({"path": self.place, "format": self.format, "mapping": self.mapping})
        except ValidationError:
            self.looking = False
            self.changed.emit()
            return
        params = InspectData(source=source).model_dump(mode="json")
        self._session.ask(
            lambda backend: backend.query("inspect_data", params),
            lambda found: self._got(number, found),
            lambda error: self._missed(number, error),
            owner=self,
        )

    def _got(self, number: int, found: dict[str, Any]) -> None:
        if number == self._asked:
            self.found, self.error, self.looking = Inspection.model_validate(found), None, False
            self.inspected.emit()

    def _missed(self, number: int, error: ErrorBody) -> None:
        if number == self._asked:
            self.found, self.error, self.looking = None, error, False
            self.inspected.emit()

    @property
    def chosen_format(self) -> str:
        """The format rows will be read in; empty while it is not known."""
        if self.format != "auto":
            return self.format
        return self.found.chosen.format if self.found and self.found.chosen else ""

    def parts(self) -> list[tuple[str, bool, str]]:
        """Of the format: each part, whether it is needed, and the column that plays it (empty: none)."""
        if self.found is None or not self.chosen_format:
            return []
        taken = self.found.mapping.columns | self.mapping.columns
        return [(part.name, part.required, taken.get(part.name, "")) for part in PARTS[self.chosen_format]]

    def turn_keys(self) -> list[tuple[str, str, str]]:
        """Where rows of the format have turns: each key's name, what was typed, and what is taken otherwise."""
        if self.found is None or not any(part.kind == "turns" for part in PARTS.get(self.chosen_format, ())):
            return []
        mine, found = self.mapping, self.found.mapping
        return [(name, getattr(mine, name) or "", getattr(found, name) or "") for name in TURN_KEYS]

    @property
    def becomes(self) -> int:
        """The number of the version it will be."""
        name = self.name.casefold()
        return self.taken.get(name, 0) + self._begun[name] + 1

    def why_not(self) -> str:
        """Why it cannot be started yet; empty when it can."""
        if not self.place:
            return tr("Say where the rows are.")
        if self.is_offline:
            return tr("The job controller does not answer. It goes on from here once it does.")
        if self.kind in HUBS and "/" not in self.place:
            return tr("A hub id has the form owner/name.")
        if self.kind == "url" and not self.place.startswith(("https://", "http://")):
            return tr("An address begins with https://.")
        if not self.name:
            return tr("Give it a name.")
        if self.looking:
            return tr("The rows are being looked at.")
        if self.kind == "path" and (self.found is None or not self.chosen_format):
            return tr("What is there cannot be read as a dataset.")
        return "" if not self.starting else tr("It is being started.")

    def spec(self) -> RunSpec:
        """The import as an order."""
        source = ImportSource(
            kind=self.kind,  # type: ignore[arg-type]
            place=self.place,
            revision=self.revision or None,
            subset=self.subset or None,
            split=self.split or None,
        )
        job = ImportJob(
            dataset=self.name, source=source, format=self.format,  # type: ignore[arg-type]
            mapping=self.mapping, checks=self.checks, limit=self.limit,
        )  # fmt: skip
        return RunSpec(name=tr("Import {name}", name=self.name)[:120], job=job)

    def start(self) -> None:
        """Begin."""
        spec = self.spec()
        self.starting = True
        self.changed.emit()
        self._session.ask(lambda backend: backend.create(spec, True), self._began, self._refused, owner=self)

    def _began(self, run: RunSummary) -> None:
        self.starting = False
        self._begun[self.name.casefold()] += 1
        self.started.emit(run)

    def _refused(self, error: ErrorBody) -> None:
        self.starting = False
        self.changed.emit()
        self.failed.emit(error)
