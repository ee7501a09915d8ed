"""The problems of a version: how many of each kind, each with reason and fix, and repairs that make a new version."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QPushButton, QStackedWidget, QWidget

from engine.contract.datasets import KEEPING_OUT, Repair, RowProblem
from engine.contract.errors import ErrorBody
from forge_desktop.models.dataset_rows import ProblemsModel, reason_text
from forge_desktop.models.dataset_words import problem_text
from forge_desktop.panels.page import ErrorCard, Hint
from forge_desktop.panels.paged_table import PagedTable
from forge_desktop.theme.controls import Card, button, column, label, row, set_enabled
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.look import mono_font
from forge_desktop.theme.measures import count_of

DUPLICATES = ("duplicate", "near_duplicate")
CLEANED = ("control_characters", "mojibake")


def repair_for(kind: str) -> tuple[str, Repair] | None:
    """What helps against a kind of problem in rows that stayed: its words, and the repair. Else nothing does."""
    if kind in KEEPING_OUT or kind in ("unbalanced", "not_trained_media"):
        return None
    if kind in DUPLICATES:
        near = 0.85 if kind == "near_duplicate" else None
        return tr("Keep one of each"), Repair(kind="deduplicate", near=near)
    if kind in CLEANED:
        return tr("Clean the texts"), Repair(kind="clean", problems=[kind])  # type: ignore[list-item]
    return tr("Leave these rows out"), Repair(kind="drop", problems=[kind])  # type: ignore[list-item]


class DatasetProblemsPanel(QWidget):
    """A click on a kind shows only those."""

    repair_wanted = Signal(object)
    """Repair."""
    row_wanted = Signal(int)
    """Show a row that stayed, by its place."""
    export_wanted = Signal()
    """The problems that are listed, as a file."""

    def __init__(self, model: ProblemsModel) -> None:
        super().__init__()
        self.model = model
        self._chips: dict[str, QPushButton] = {}
        self._holder = QWidget()
        self._flow = FlowLayout(self._holder, 6)
        self._error = ErrorCard("dataset.problems.error")
        self.table = PagedTable(
            model,
            "dataset.problems.table",
            tr("Problems"),
            {"line": 84, "kind": 170, "excerpt": 200},
            stretched="reason",
        )
        self.table.chosen.connect(self._show)
        self.table.opened.connect(self._open)
        card = Card(margins=(1, 1, 1, 4))
        card.body.addWidget(self.table)
        self._title = label("", "card-title")
        self._reason = label("", "body", wrap=True, select=True)
        self._excerpt = label("", "hint", wrap=True, select=True)
        self._excerpt.setFont(mono_font())
        self._go = button(tr("Show the row"), "default", "arrow-right", self._open_current, "dataset.problems.row")
        self.repair = button("", "primary", "check", self._repair, "dataset.problems.repair")
        detail = Card()
        detail.body.addWidget(self._title)
        detail.body.addWidget(self._reason)
        detail.body.addWidget(self._excerpt)
        detail.body.addLayout(row(self._go, self.repair, None, spacing=8))
        self._export = button(tr("Export problems (CSV)…"), "default", "download", self.export_wanted.emit,
                              "dataset.problems.export", tr("The problems that are listed, as a table"))  # fmt: skip
        head = row(self._holder, self._export, spacing=10)
        head.setStretch(0, 1)
        head.setAlignment(self._holder, Qt.AlignmentFlag.AlignVCenter)
        head.setAlignment(self._export, Qt.AlignmentFlag.AlignTop)
        listed = QWidget()
        inside = column(spacing=12)
        inside.addLayout(head)
        inside.addWidget(card)
        inside.addWidget(detail)
        listed.setLayout(inside)
        self._stack = QStackedWidget()
        self._stack.addWidget(listed)
        self._stack.addWidget(
            Hint("circle-check", tr("Nothing is wrong"), tr("Every row was read, and no check had a remark."))
        )
        layout = column(self._error, spacing=12)
        layout.addWidget(self._stack, 1)
        self.setLayout(layout)
        model.loaded.connect(self._loaded)
        model.failed.connect(self._failed)

    @Slot()
    def _loaded(self) -> None:
        self._error.show_error(None)
        counts = self.model.counts
        self._stack.setCurrentIndex(0 if counts or self.model.total else 1)
        if set(counts) != set(self._chips) - {""}:
            self._make_chips(counts)
        for kind, chip in self._chips.items():
            number = sum(counts.values()) if not kind else counts.get(kind, 0)
            chip.setText(labelled(problem_text(kind) if kind else tr("All"), count_of(number)))
            chip.setChecked(kind == self.model.kind)

    def _make_chips(self, counts: dict[str, int]) -> None:
        for chip in self._chips.values():
            chip.hide()
            chip.deleteLater()
        while self._flow.count():
            self._flow.takeAt(0)
        self._chips = {}
        for kind in ("", *sorted(counts, key=lambda one: (one not in KEEPING_OUT, -counts[one]))):
            chip = button(
                "", "toggle-chip", on_click=partial(self.model.only, kind), name=f"dataset.problem.{kind or 'all'}"
            )
            chip.setCheckable(True)
            self._chips[kind] = chip
            self._flow.addWidget(chip)

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error)

    @Slot(object)
    def _show(self, found: RowProblem | None) -> None:
        if found is None:
            return
        place = labelled(found.file, "") if found.file else ""
        where = tr("line {n}", n=f"{found.line:,}") + (f", {found.column}" if found.column else "")
        self._title.setText(labelled(problem_text(found.kind), f"{place}{where}".strip()))
        self._reason.setText(reason_text(found))
        self._excerpt.setText(found.excerpt)
        set_enabled(self._go, found.row is not None, tr("This row was not taken in."))
        fix = repair_for(found.kind)
        self.repair.setVisible(fix is not None)
        if fix is not None:
            self.repair.setText(f" {fix[0]}")
            self.repair.setAccessibleName(fix[0])

    def _open_current(self) -> None:
        self._open(self.table.current())

    @Slot(object)
    def _open(self, found: object) -> None:
        if isinstance(found, RowProblem) and found.row is not None:
            self.row_wanted.emit(found.row)

    def _repair(self) -> None:
        found = self.table.current()
        fix = repair_for(found.kind) if isinstance(found, RowProblem) else None
        if fix is not None:
            self.repair_wanted.emit(fix[1])
