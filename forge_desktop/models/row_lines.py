"""Rows of a run as lines of a table: those of a step, or those of a ranking, with what they say once it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject

from engine.contract.exclusion import by_source
from engine.contract.forensics_api import RankedRow, RowKey, RowOfStep, RowTexts, RowTextsAnswer
from engine.contract.run_spec import RunSpec, TrainJob
from forge_desktop.bridge.backend import Backend
from forge_desktop.models.record_model import Column, RecordModel
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import figure

PIECE = 500
PLACE, TEXT = Column("place", "Row", 90, right=True), Column("text", "Text", 200)
PLAIN = (PLACE, TEXT, Column("loss", "Loss", 100, right=True), Column("tokens", "Tokens", 90, 1, right=True))
RANKED = (
    PLACE, TEXT, Column("why", "Why", 190, 2), Column("first", "First loss", 110, 3, right=True),
    Column("loss", "Last loss", 110, right=True), Column("meetings", "Met", 76, 4, right=True),
)  # fmt: skip


@dataclass(frozen=True)
class RowLine:
    """One row."""

    key: RowKey
    dataset: str
    loss: float
    """Of a ranking: the last one."""
    tokens: int
    first: float | None = None
    meetings: int = 0
    why: str = ""
    text: str = ""

    @property
    def place(self) -> str:
        """Where it stands: line of a file, number in a version."""
        return f"{self.key.line:,}"


def of_step(row: RowOfStep, names: Sequence[str]) -> RowLine:
    """A row of a step."""
    return RowLine(row.key, _name(row.key, names), row.loss, row.tokens)


def of_ranking(row: RankedRow, names: Sequence[str]) -> RowLine:
    """A row of a ranking, with why it stands there."""
    why = word("row_why", row.why)
    if row.group is not None:
        why = tr("{why}: question {n}", why=why, n=row.group)
    elif row.at is not None:
        why = tr("{why}: meeting {n}", why=why, n=row.at)
    return RowLine(row.key, _name(row.key, names), row.last, row.tokens, row.first, row.meetings, why)


def _name(key: RowKey, names: Sequence[str]) -> str:
    return names[key.source].rpartition("/")[2] if key.source < len(names) else tr("About itself")


class RowLines(RecordModel):
    """The table's model."""

    def __init__(self, ranked: bool, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = RANKED if ranked else PLAIN

    def show_rows(self, rows: Sequence[RowLine]) -> None:
        """Other rows from now on."""
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()

    def add_texts(self, found: dict[tuple[int, int], str]) -> None:
        """What rows say, by dataset and line."""
        self.rows = [replace(one, text=found.get((one.key.source, one.key.line), one.text)) for one in self.rows]
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(self.columns) - 1))

    def key_of(self, record: Any) -> str:
        """Dataset, line, fingerprint."""
        return f"{record.key.source}:{record.key.line}:{record.key.hash}"

    def cell_text(self, record: Any, key: str) -> str:
        """What a cell says."""
        match key:
            case "loss" | "first":
                value = record.loss if key == "loss" else record.first
                return "—" if value is None else figure(value)
            case "tokens" | "meetings":
                return f"{getattr(record, key):,}"
            case "text":
                return str(record.text or record.dataset)
            case _:
                return str(getattr(record, key))


def texts_of(backend: Backend, spec: RunSpec, keys: Sequence[RowKey]) -> dict[tuple[int, int], str]:
    """What rows say, asked of a helper a dataset at a time. Waits."""
    found = dict[tuple[int, int], str]()
    sources = spec.job.data.train if isinstance(spec.job, TrainJob) else []
    for place, lines in by_source(keys, len(sources)).items():
        answer: RowTextsAnswer = backend.row_texts(RowTexts(source=sources[place], lines=lines[:PIECE], most=300))
        for row in answer.rows:
            said = f"{row.prompt} → {row.answer}" if row.prompt else row.answer
            found[place, row.line] = " ".join(said.split())
    return found
