"""What helpers find out about a draft's model and data: facts, first rows, and rows as the model sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.catalogue import Listed, catalogue
from engine.contract.errors import ErrorBody
from engine.contract.stages import stage_of
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_document import Document, at
from forge_desktop.models.draft_seen import SeenRows
from forge_desktop.models.draft_teacher import ASKED, HERE, SeenTeacher

PREVIEW_ROWS = 5
SEEN_ROWS = 3
SEEN_MS = 400
READ_BY = ("path", "hub", "format", "version", "mapping")
"""Settings of a source that decide how its rows are read."""
DATA_HERE = (*HERE, "library")
"""Sources whose files can be looked into before a run."""
STAGE_REFUSALS = (
    "data.not_for_stage", "data.text_needs_pretrain", "data.refused_for_stage", "data.unknown_label",
    "data.several_labels", "data.label_no_number", "data.several_positives", "data.score_needed", "data.score_unused",
    "data.score_range",
)  # fmt: skip
"""What a helper says of rows the stage cannot learn from."""
FIRST = "data.train.0"
SEEN_FROM = (
    "model.", "data.train", "data.validation", "evaluation.data", "data.max_length", "stage", "objective.", "head.",
    "rollouts.max_tokens",
    "training.assistant_only_loss",
)  # fmt: skip
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
        self.teacher = SeenTeacher(session, self)
        self.teacher.changed.connect(self.inspected)
        self._seen = SeenRows(session, self)
        self._seen.changed.connect(self._seen_more)
        self._inspect_asked = self._preview_asked = 0
        self._see_soon = QTimer(self, singleShot=True, interval=SEEN_MS)
        self._see_soon.timeout.connect(self._see)
        self.changed.connect(self._see_later)
        self.changed.connect(self._see_teacher)
        self._see_teacher("")
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
        self.model_facts, self.model_error = self.made_facts(), None
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

    def made_facts(self) -> dict[str, Any]:
        """Hook: what is known of a model that the run makes; empty of all others."""
        return {}

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
            self.looks.append(Look(busy=bool(source["path"]) and source["hub"] in DATA_HERE))
            if self.looks[place].busy:
                self._ask_rows(self._preview_asked, place, source)
        self.previewed.emit()

    def _ask_rows(self, number: int, place: int, source: dict[str, Any]) -> None:
        params = {key: source[key] for key in READ_BY if key in source} | {"rows": PREVIEW_ROWS}
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

    @Slot(str)
    def _see_teacher(self, path: str) -> None:
        """Have a helper look at the model that is learned from, where the stage needs one."""
        if path in ("", "stage") or path.startswith("teacher."):
            needed = stage_of(str(self.get("stage"))).teacher
            self.teacher.want(dict(self.get("teacher")) if needed else {})

    @Slot()
    def _see(self) -> None:
        """Have helpers measure every dataset, once model and data are known and something about them changed."""
        self._seen.want(self._seen_questions())

    def _seen_questions(self) -> dict[str, dict[str, Any]]:
        """By dataset; rows to show are asked of the first only."""
        if not self.model_facts or not self.data_facts or self.get("model.hub") not in HERE:
            return {}
        count = len(self.get("data.train"))  # looks may be those of a dataset that was just taken out
        train = [f"data.train.{place}" for place, look in enumerate(self.looks) if look.facts and place < count]
        validation = [f"data.validation.{place}" for place in range(len(self.get("data.validation")))]
        classes = "labels" in stage_of(str(self.get("stage"))).head  # held-out rows may have others than are learned
        held_out = [f"evaluation.data.{place}" for place in range(len(self.get("evaluation.data")) if classes else 0)]
        known = [
            path
            for path in (*train, *validation, *held_out)
            if self.get(path)["path"] and self.get(path)["hub"] in DATA_HERE
        ]
        return {path: self._seen_question(path) for path in known}

    def _seen_question(self, path: str) -> dict[str, Any]:
        source = self.get(path)
        return {
            "model": {name: self.get(f"model.{name}") for name in ("path", "hub", "template", "thinking", "system")},
            "source": {name: source[name] for name in READ_BY if name in source},
            "stage": self.get("stage"),
            "max_length": self.get("data.max_length"),
            "assistant_only_loss": self.get("training.assistant_only_loss"),
            "objective": {name: self.get(f"objective.{name}") for name in ("loss", "mask_history", "truncation")},
            "head": dict(self.get("head")),
            "rollouts": {"max_tokens": self.get("rollouts.max_tokens")},
            "rows": SEEN_ROWS if path == FIRST else 0,
            **({} if path.startswith("data.train") else self._against()),
        }

    def _against(self) -> dict[str, Any]:
        """The training rows, where they say which classes rows may have that are only measured on."""
        if "labels" not in stage_of(str(self.get("stage"))).head:
            return {}
        train = [source for source in self.get("data.train") if source["path"] and source["hub"] in DATA_HERE]
        return {"against": [{name: source[name] for name in READ_BY if name in source} for source in train]}

    @Slot()
    def _seen_more(self) -> None:
        self.rows_are_seen()
        self.seen.emit()

    def rows_are_seen(self) -> None:
        """Hook: rows that teach nothing keep the run from starting."""

    @property
    def seen_rows(self) -> dict[str, Any]:
        """Answer of `preview_row` about the first dataset; empty while it is not known."""
        return self._seen.rows(FIRST)

    @property
    def seen_error(self) -> ErrorBody | None:
        """Why there is none."""
        return self._seen.error(FIRST)

    @property
    def seeing(self) -> bool:
        """It will come."""
        return self._seen.is_busy(FIRST)

    def seen_of(self, path: str) -> dict[str, Any]:
        """The same of the dataset at this path."""
        return self._seen.rows(path)

    def seen_error_of(self, path: str) -> ErrorBody | None:
        """Why the dataset at this path could not be measured."""
        return self._seen.error(path)

    def refused_rows(self) -> dict[str, ErrorBody]:
        """Datasets from which the stage cannot learn, with why."""
        errors = {path: self._seen.error(path) for path in self._seen_questions()}
        return {path: error for path, error in errors.items() if error is not None and error.code in STAGE_REFUSALS}

    def teaching_nothing(self) -> list[str]:
        """Paths of the datasets of no measured row of which a token is learned, or counts where they are measured."""
        return self._seen.teaching_nothing(self._seen_questions())

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
        self._see_teacher("")
        if self.get("model.path") and not self.model_facts:
            self.inspect()
        if any(source["path"] for source in self.get("data.train")) and not self.data_facts:
            self.preview()
