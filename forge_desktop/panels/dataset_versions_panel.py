"""The versions of a dataset: where each came from, and what differs between two of them, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.dataset_queries import ShownRow
from engine.contract.datasets import RowChange, RowView, VersionDiff, VersionView
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.dataset_rows import in_a_line, turns_of
from forge_desktop.models.dataset_words import health
from forge_desktop.models.paged_model import PagedModel
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.paged_table import PagedTable
from forge_desktop.panels.shown_rows import show_rows
from forge_desktop.theme.controls import Card, Chip, Choice, button, clear, column, label, row, scrolled
from forge_desktop.theme.language import count, tr, word
from forge_desktop.theme.measures import ago, moment, size


class DiffModel(PagedModel):
    """What differs, page by page."""

    titles = (("kind", "What"), ("line", "Line"), ("content", "Row"))

    uid = ""
    before = after = 0
    kind = ""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(session, parent)
        self.diff: VersionDiff | None = None

    def show(self, uid: str, before: int, after: int) -> None:
        """Between these versions."""
        self.uid, self.before, self.after = uid, before, after
        self.fetch()

    def only(self, kind: str) -> None:
        """Only added, removed or changed rows; empty: all."""
        self.kind = kind
        self.fetch()

    def request(self, offset: int, limit: int) -> Callable[[Backend], object] | None:
        """A piece of the differences."""
        if not self.uid or self.before == self.after:
            return None
        wanted = (self.uid, self.before, self.after, self.kind, offset, limit)
        return lambda backend: _Counted(backend.dataset_diff(*wanted), self.kind)

    def items(self, answer: object) -> Sequence[RowChange]:
        """The differences in an answer."""
        assert isinstance(answer, _Counted)
        self.diff = answer.diff
        return answer.diff.rows

    def cell_text(self, item: RowChange, key: str) -> str:
        """What a cell says."""
        shown = item.after or item.before
        match key:
            case "kind":
                return word("row_change", item.kind)
            case "line":
                return f"{shown.line:,}" if shown else ""
        return in_a_line(shown.content) if shown else ""


class _Counted:
    """A difference, with how many rows a page model may ask for."""

    def __init__(self, diff: VersionDiff, kind: str) -> None:
        self.diff = diff
        parts = {"added": diff.added, "removed": diff.removed, "changed": diff.changed}
        self.total = parts[kind] if kind else sum(parts.values())


class DatasetVersionsPanel(QWidget):
    """A list of versions, and below it two of them compared."""

    chosen = Signal(int)
    delete_wanted = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.model = DiffModel(session, self)
        self._uid = ""
        self._shape: list[int] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(10)
        listed = Card(tr("Versions"))
        listed.body.addLayout(self._list)
        self.before, self.after = Choice(), Choice()
        for name, choice, text in (
            ("before", self.before, tr("Earlier version")),
            ("after", self.after, tr("Later version")),
        ):
            choice.setObjectName(f"dataset.diff.{name}")
            choice.setAccessibleName(text)
            choice.setMinimumContentsLength(8)
            choice.activated.connect(lambda _index: self._compare())
        self.kinds = Choice([("", tr("All differences")), *((kind, word("row_change", kind)) for kind in KINDS)])
        self.kinds.setObjectName("dataset.diff.kind")
        self.kinds.setAccessibleName(tr("Only"))
        self.kinds.setMinimumContentsLength(14)
        self.kinds.activated.connect(lambda _index: self.model.only(self.kinds.value()))
        self._summary = label("", "hint", wrap=True)
        self._error = ErrorCard("dataset.diff.error")
        self.table = PagedTable(
            self.model, "dataset.diff.table", tr("Differences"), {"kind": 110, "line": 90}, "content"
        )
        self.table.chosen.connect(self._show)
        self._sides = QVBoxLayout()
        self._sides.setSpacing(8)
        inner = QWidget()
        inside = column(spacing=8, margins=(0, 0, 8, 0))
        inside.addLayout(self._sides)
        inside.addStretch(1)
        inner.setLayout(inside)
        self._diff = Card(tr("What differs"))
        arrow = label("→", "hint")
        self._diff.body.addLayout(row(self.before, arrow, self.after, self.kinds, None, spacing=8))
        self._diff.body.addWidget(self._summary)
        self._diff.body.addWidget(self._error)
        self._diff.body.addWidget(self.table, 3)
        self._diff.body.addWidget(scrolled(inner), 2)
        layout = column(listed, spacing=14)
        layout.addWidget(self._diff, 1)
        self.setLayout(layout)
        self.model.loaded.connect(self._loaded)
        self.model.failed.connect(self._failed)

    def show_versions(self, uid: str, versions: Sequence[VersionView], shown: int) -> None:
        """These, the newest first."""
        clear(self._list)
        for one in versions:
            self._list.addWidget(self._line(one, one.n == shown, len(versions) > 1))
        self._diff.setVisible(len(versions) > 1)
        numbers = [one.n for one in versions]
        if uid == self._uid and numbers == self._shape:
            return
        self._uid, self._shape = uid, numbers
        for choice, number in ((self.before, numbers[1:2] or numbers), (self.after, numbers)):
            choice.clear()
            for n in numbers:
                choice.addItem(tr("Version {n}", n=n), str(n))
            if number:
                choice.set_value(str(number[0]))
        self._compare()

    def _line(self, one: VersionView, shown: bool, several: bool) -> QWidget:
        tone, icon, text = health(one)
        about = [count(one.rows, "1 row", "{n} rows"), size(one.bytes), ago(one.created)]
        if one.used_by:
            about.append(count(one.used_by, "1 run learned from it", "{n} runs learned from it"))
        said = label(" · ".join(about), "hint", wrap=True)
        said.setToolTip(f"{moment(one.created)}\n{one.hash}")
        see = button(tr("Shown") if shown else tr("Show"), "quiet", on_click=partial(self.chosen.emit, one.n),
                     name=f"dataset.version.{one.n}.show")  # fmt: skip
        see.setEnabled(not shown)
        delete = partial(self.delete_wanted.emit, one.n)
        gone = button(
            "", "quiet", "trash-2", delete, f"dataset.version.{one.n}.delete", tr("Delete version {n}", n=one.n)
        )
        gone.setVisible(several)
        line = row(label(tr("Version {n}", n=one.n), "strong"), said, Chip(text, tone, icon), see, gone, spacing=10)
        line.setStretch(1, 1)
        made = QWidget()
        made.setLayout(line)
        return made

    def _compare(self) -> None:
        before, after = self.before.value(), self.after.value()
        if before and after and before != after:
            self.model.show(self._uid, int(before), int(after))
        elif before:
            self._summary.setText(tr("Choose two different versions."))

    @Slot()
    def _loaded(self) -> None:
        self._error.show_error(None)
        diff = self.model.diff
        if diff is not None:
            text = tr("{added} added, {removed} removed, {changed} changed; {same} are the same.",
                      added=f"{diff.added:,}", removed=f"{diff.removed:,}", changed=f"{diff.changed:,}",
                      same=f"{diff.same:,}")  # fmt: skip
            self._summary.setText(text + (" " + tr("They are read in different ways.") if diff.format_changed else ""))

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error)

    @Slot(object)
    def _show(self, found: RowChange | None) -> None:
        clear(self._sides)
        if found is None:
            return
        for version, side in ((self.before, found.before), (self.after, found.after)):
            if side is not None:
                self._sides.addWidget(label(version.currentText(), "label"))
                self._sides.addWidget(_side(side))


def _side(side: RowView) -> QWidget:
    made, layout = QWidget(), QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    turns, extra = turns_of(side.content)
    show_rows(layout, [ShownRow(row=side.row, line=side.line, turns=turns, extra=extra)])
    made.setLayout(layout)
    return made


KINDS = ("added", "removed", "changed")
