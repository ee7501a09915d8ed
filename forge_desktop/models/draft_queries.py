"""What helpers find out about a draft's model and data: facts, first rows, and rows as the model sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.catalogue import Listed, catalogue
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_document import Document, at

PREVIEW_ROWS = 5
SEEN_ROWS = 3
SEEN_MS = 400
HERE = ("local", "bundled")
ASKED = (*HERE, "huggingface", "modelscope", "url")
"""Where a helper can look into a model: of a hub's it fetches the small files only."""
"""Sources whose files can be looked into before a run."""
SEEN_FROM = ("model.", "data.train", "data.max_length", "stage", "training.assistant_only_loss")
"""Settings that decide how a row becomes tokens."""


@dataclass
class Look:
    """What is known of one dataset."""

    facts: dict[str, Any] = field(default_factory=dict)
    error: ErrorBody | None = None
    busy: bool = False


class DraftQueries(QObject):
    """Asks; answers to what has changed meanwhile are dropped."""

    changed = Signal(str)
    """A value changed; its path."""
    checked = Signal()
    """Problems are news."""
    inspected = Signal()
    """What is known of the model is news."""
    previewed = Signal()
    """What is known of the datasets is news."""
    seen = Signal()
    """What is known of the rows as the model sees them is news."""

    def __init__(self, session: Session, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session, self.document = session, document
        self.model_facts: dict[str, Any] = {}
        self.model_error: ErrorBody | None = None
        self.inspecting = False
        self.looks: list[Look] = [Look()]
        """One a training dataset, in their order."""
        self.seen_rows: dict[str, Any] = {}
        """Answer of `preview_row`; empty while it is not known."""
        self.seen_error: ErrorBody | None = None
        self.seeing = False
        self._inspect_asked = self._preview_asked = self._seen_asked = 0
        self._seen_params: dict[str, Any] = {}
        self._see_soon = QTimer(self, singleShot=True, interval=SEEN_MS)
        self._see_soon.timeout.connect(self._see)
        self.changed.connect(self._see_later)
        session.online.connect(self._online)

    def get(self, path: str) -> Any:
        """A value; list places are numbers in the path."""
        return at(self.document, path)

    @property
    def data_facts(self) -> dict[str, Any]:
        """Of the first dataset."""
        return self.looks[0].facts if self.looks else {}

    @property
    def data_error(self) -> ErrorBody | None:
        """The first dataset that cannot be read."""
        return next((look.error for look in self.looks if look.error is not None), None)

    @property
    def previewing(self) -> bool:
        """Some dataset is being read."""
        return any(look.busy for look in self.looks)

    @property
    def listed(self) -> Listed | None:
        """The catalogue's entry of the chosen hub id."""
        return catalogue().find(str(self.get("model.hub")), str(self.get("model.path")))

    def targets(self) -> list[str]:
        """Names of the model's linear layers, as far as they are known."""
        listed = self.listed
        return [str(name) for name in self.model_facts.get("targets", [])] or (listed.family.targets if listed else [])

    def context(self) -> int | None:
        """The longest input the model can read, where it is known."""
        listed = self.listed
        known = self.model_facts.get("context_length") or (listed.size.context if listed else None)
        return known if isinstance(known, int) else None

    @Slot()
    def inspect(self) -> None:
        """Have a helper read the model's config."""
        path, hub = self.get("model.path"), self.get("model.hub")
        self.model_facts, self.model_error = {}, None
        self._inspect_asked += 1
        number = self._inspect_asked
        self.inspecting = bool(path) and hub in ASKED
        self.inspected.emit()
        if self.inspecting:
            params = {"path": path, "hub": hub}
            if hub not in HERE and self.get("model.revision"):
                params["revision"] = self.get("model.revision")
            self.session.ask(
                lambda backend: backend.query("inspect_model", params),
                lambda facts: self._got_model(number, facts),
                lambda error: self._got_model(number, {}, error),
                owner=self,
            )

    def _got_model(self, number: int, facts: dict[str, Any], error: ErrorBody | None = None) -> None:
        if number != self._inspect_asked:
            return
        self.inspecting = False
        self.model_facts, self.model_error = facts, error
        self.inspected.emit()
        self._see_soon.start()

    @Slot()
    def preview(self) -> None:
        """Have helpers read the first rows of every dataset."""
        self._preview_asked += 1
        self.looks = []
        for place, source in enumerate(self.get("data.train")):
            self.looks.append(Look(busy=bool(source["path"]) and source["hub"] in HERE))
            if self.looks[place].busy:
                self._ask_rows(self._preview_asked, place, source)
        self.previewed.emit()

    def _ask_rows(self, number: int, place: int, source: dict[str, Any]) -> None:
        params = {key: source[key] for key in ("path", "hub", "format")} | {"rows": PREVIEW_ROWS}
        self.session.ask(
            lambda backend: backend.query("preview_data", params),
            lambda facts: self._got_data(number, place, facts),
            lambda error: self._got_data(number, place, {}, error),
            owner=self,
        )

    def _got_data(self, number: int, place: int, facts: dict[str, Any], error: ErrorBody | None = None) -> None:
        if number != self._preview_asked:
            return
        self.looks[place] = Look(facts, error)
        self.data_is_known()
        self.previewed.emit()
        self._see_soon.start()

    def data_is_known(self) -> None:
        """Hook: rows that cannot be read keep the run from starting."""

    @Slot(str)
    def _see_later(self, path: str) -> None:
        if not path or path.startswith(SEEN_FROM):
            self._see_soon.start()

    @Slot()
    def _see(self) -> None:
        """Have a helper render the first rows, once model and data are known and something about them changed."""
        params = self._see_params()
        if params == self._seen_params:
            return
        self._seen_params = params
        self._seen_asked += 1
        number = self._seen_asked
        self.seen_rows, self.seen_error, self.seeing = {}, None, bool(params)
        self.seen.emit()
        if params:
            self.session.ask(
                lambda backend: backend.query("preview_row", params),
                lambda found: self._got_seen(number, found),
                lambda error: self._got_seen(number, {}, error),
                owner=self,
            )

    def _see_params(self) -> dict[str, Any]:
        if not self.model_facts or not self.data_facts or self.get("model.hub") not in HERE:
            return {}
        first = self.get("data.train.0")
        return {
            "model": {name: self.get(f"model.{name}") for name in ("path", "hub", "template", "system")},
            "source": {name: first[name] for name in ("path", "hub", "format")},
            "stage": self.get("stage"),
            "max_length": self.get("data.max_length"),
            "assistant_only_loss": self.get("training.assistant_only_loss"),
            "rows": SEEN_ROWS,
        }

    def _got_seen(self, number: int, found: dict[str, Any], error: ErrorBody | None = None) -> None:
        if number != self._seen_asked:
            return
        self.seen_rows, self.seen_error, self.seeing = found, error, False
        self.seen.emit()

    def fitting(self) -> float | None:
        """Share of the measured rows that the longest length allowed does not cut."""
        lengths, longest = self.seen_rows.get("lengths"), self.get("data.max_length")
        if not lengths or not isinstance(longest, int):
            return None
        return float(sum(length <= longest for length in lengths) / len(lengths))

    def tokens_a_row(self) -> float | None:
        """Mean length of the measured rows, after they are cut."""
        lengths, longest = self.seen_rows.get("lengths"), self.get("data.max_length")
        if not lengths or not isinstance(longest, int):
            return None
        return float(sum(min(length, longest) for length in lengths) / len(lengths))

    @Slot()
    def _online(self) -> None:
        if self.get("model.path") and not self.model_facts:
            self.inspect()
        if any(source["path"] for source in self.get("data.train")) and not self.data_facts:
            self.preview()
