"""The rows of a run ranked by their losses: never learned, memorised, contradictory; some can be excluded."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.forensics_api import RANKINGS, Ranking, RankingKind
from forge_desktop.bridge.backend import Backend
from forge_desktop.models.row_lines import RowLine, RowLines, of_ranking, texts_of
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.row_detail import RowDetail
from forge_desktop.panels.row_table import RowTable
from forge_desktop.theme.controls import Card, Segments, button, column, face, label, set_enabled
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import count, tr, word


class RowsPanel(QWidget):
    """A table of rows above the row that is open."""

    def __init__(self, model: RunModel, navigate: Callable[[str], object], step_wanted: Callable[[], object]) -> None:
        super().__init__()
        self._model, self._navigate = model, navigate
        self._asked, self._busy, self._shown = 0, False, ""
        self.kinds = Segments([(kind, word("ranking", kind)) for kind in RANKINGS], RANKINGS[0], name="rows.kind")
        self.kinds.chosen.connect(lambda _kind: self.fetch())
        self._definition = label("", "hint", wrap=True)
        self._said = label("", wrap=True)
        self._error = ErrorCard("rows.error")
        self.lines = RowLines(True, self)
        self.table = RowTable(self.lines, "rows.table", tr("Row losses"))
        self.table.opened.connect(self._open)
        self.table.picked_changed.connect(self._refresh)
        self.exclude = button(tr("Exclude and run again"), "default", "copy", self._exclude, name="rows.exclude")
        self._step = button(tr("Rows of a step…"), "default", "search", step_wanted, name="rows.step")
        self._again = button("", "quiet", "refresh-cw", self.fetch, "rows.refresh", tr("Ask again"))
        self._build()
        self.detail = RowDetail(model.session)
        inside = Card()
        inside.body.addWidget(self.detail)
        layout = column(spacing=12)
        layout.addWidget(self._card, 3)
        layout.addWidget(inside, 2)
        self.setLayout(layout)
        model.changed.connect(self._run_changed)
        self._run_changed()
        self._refresh()

    def _build(self) -> None:
        self._card = Card()
        bar = QWidget()
        flow = FlowLayout(bar, 10)
        for part in (self.kinds, self._step, self.exclude, self._again):
            flow.addWidget(part)
        content: tuple[QWidget, ...] = (bar, self._definition, self._said, self._error, self.table)
        for one in content:
            self._card.body.addWidget(one)
        self._card.body.setStretchFactor(self.table, 1)

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook: asked when somebody looks for the first time."""
        super().showEvent(event)
        if not self._shown:
            self.fetch()

    @Slot()
    def fetch(self) -> None:
        """Ask for the ranking that is chosen."""
        kind: RankingKind = next(one for one in RANKINGS if one == self.kinds.value())
        self._definition.setText(word("ranking_means", kind))
        if kind != self._shown:
            self.lines.show_rows([])
        self._shown = kind
        self._error.show_error(None)
        self._say(tr("The losses of the rows are being read…"))
        self._asked += 1
        number, uid = self._asked, self._model.uid
        self._model.session.ask(
            lambda backend: backend.ranking(uid, kind),
            lambda found: self._got(number, found),
            lambda error: self._failed(number, error),
            owner=self,
        )

    def _got(self, number: int, found: Ranking) -> None:
        if number != self._asked:
            return
        lines = [of_ranking(one, found.datasets) for one in found.rows]
        self.lines.show_rows(lines)
        seen = count(found.rows_seen, "1 row was met", "{n} rows were met")
        if found.meetings < 2:
            self._say(tr("Most rows were met only once so far: their courses say nothing yet."))
        elif not lines:
            self._say(tr("No row is like that; {seen}.", seen=seen))
        else:
            self._say(tr("{n} of them are like that; {seen}.", n=f"{found.total:,}", seen=seen))
        self._refresh()
        self._ask_texts(number, lines)

    def _ask_texts(self, number: int, lines: list[RowLine]) -> None:
        detail = self._model.detail
        if detail is None or not lines:
            return
        spec, keys = detail.spec, [line.key for line in lines]

        def got(found: dict[tuple[int, int], str]) -> None:
            if number == self._asked:
                self.lines.add_texts(found)

        # without texts the table still says which rows they are
        self._model.session.ask(lambda backend: texts_of(backend, spec, keys), got, lambda _error: None, owner=self)

    def _failed(self, number: int, error: ErrorBody) -> None:
        if number == self._asked:
            self._say("")
            self._error.show_error(error)
            self._refresh()

    def _say(self, text: str) -> None:
        self._said.setText(text)
        self._said.setVisible(bool(text))

    def _open(self, line: RowLine) -> None:
        self.detail.open(line)

    @Slot()
    def _run_changed(self) -> None:
        if self._model.detail is not None:
            self.detail.show_run(self._model.detail)

    @Slot()
    def _refresh(self) -> None:
        picked = len(self.table.picked())
        text = tr("Excluding…") if self._busy else tr("Exclude and run again")
        if picked and not self._busy:
            text = count(picked, "Exclude 1 row and run again", "Exclude {n} rows and run again")
        self.exclude.setText(face(text, True))
        set_enabled(self.exclude, picked > 0 and not self._busy, "" if self._busy else tr("Pick rows first."))

    def _exclude(self) -> None:
        """Make versions without the picked rows, then open the wizard with the run's config on them."""
        keys, uid = [line.key for line in self.table.picked()], self._model.uid
        if not keys:
            return
        self._busy = True
        self._refresh()

        def work(backend: Backend) -> RunSummary:
            return backend.without_rows(uid, keys)

        self._model.session.ask(work, self._excluded, self._not_excluded, owner=self)

    def _excluded(self, draft: RunSummary) -> None:
        self._busy = False
        self._refresh()
        self._navigate(f"new/{draft.uid}")

    def _not_excluded(self, error: ErrorBody) -> None:
        self._busy = False
        self._refresh()
        self._error.show_error(error)
