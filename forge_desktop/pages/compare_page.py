"""The Compare page: what differs between two to ten runs, their curves in one picture, results, all runs as points."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from PySide6.QtCore import QStandardPaths, Qt, QTimer, Slot
from PySide6.QtWidgets import QBoxLayout, QFileDialog, QLabel, QMenu, QWidget

from engine.contract.durable import write_durably
from engine.contract.errors import ErrorBody, UserError
from engine.contract.listing import Price, Quality
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.compare_model import AXES, FEWEST, METRICS, MOST, CompareModel, uids_of
from forge_desktop.models.compare_table import as_csv, results, settings
from forge_desktop.models.run_picture import Picture
from forge_desktop.panels.compare_chart import CompareCurves
from forge_desktop.panels.compare_grid import CompareGrid
from forge_desktop.panels.compare_runs import CompareRuns
from forge_desktop.panels.compare_scatter import CompareScatter
from forge_desktop.panels.curve_chart import CurveChart
from forge_desktop.panels.page import Page, TwoColumns
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Choice, Segments, button, column, label, row
from forge_desktop.theme.language import count, explain, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.slices import Slices

REFRESH_MS = 250


def address_of(uids: list[str], metric: str = "loss", axis: str = "step") -> str:
    """The address of a comparison, with what its chart shows where that is not the usual."""
    more = "" if (metric, axis) == ("loss", "step") else f"?{metric},{axis}"
    return f"compare/{','.join(uids)}{more}"


class ComparePage(Page):
    """Some runs beside each other."""

    goes_in_parts = True

    def __init__(self, session: Session, actions: RunActions, rest: str) -> None:
        super().__init__()
        named, _, shown = rest.partition("?")
        uids, self._left_out = uids_of(named)
        self.model = CompareModel(session, uids, self)
        metric, _, axis = shown.partition(",")
        self.model.metric = metric if metric in METRICS else "loss"
        self.model.axis = axis if axis in AXES else "step"
        self._actions = actions
        self._pictured: object = None
        self._shown_of: list[object] = []
        """What the settings shown were made of."""
        self._soon = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._soon.timeout.connect(self._show_tables)
        self._build_head()
        self._main, self._rail = column(self._runs, self._notice, spacing=14), column(spacing=14)
        main, rail = QWidget(), QWidget()
        main.setLayout(self._main)
        rail.setLayout(self._rail)
        self._main.addStretch(1)
        self._rail.addStretch(1)
        self.outer.addWidget(TwoColumns(main, rail), 1)
        self._is_whole = False
        self._slices = Slices(self)
        self._slices.begin(
            [
                self._refresh, self._build_settings, self._build_curves, self._build_results,
                self._build_scatter, self._follow,
            ]
        )  # fmt: skip
        self.model.refetch()

    # The cards are made one a turn, from the top down.

    @property
    def curves(self) -> CompareCurves:
        """The chart's card."""
        self._complete()
        return self._curves

    @property
    def chart(self) -> CurveChart:
        """The chart."""
        return self.curves.chart

    @property
    def results(self) -> CompareGrid:
        """The table of results."""
        self._complete()
        return self._results

    @property
    def settings(self) -> CompareGrid:
        """The table of settings."""
        self._complete()
        return self._settings

    @property
    def scatter(self) -> CompareScatter:
        """All runs as points."""
        self._complete()
        return self._scatter

    @property
    def is_built(self) -> bool:
        """Every card is there."""
        return self._is_whole

    def _complete(self) -> None:
        """Somebody needs a part: make what is left now."""
        if not self._slices.is_done:
            self._slices.finish()

    def _add_card(self, card: QWidget, column_: QBoxLayout) -> None:
        column_.insertWidget(column_.count() - 1, card)

    def _follow(self) -> None:
        """Everything is there: keep it current."""
        self._is_whole = True
        self.model.changed.connect(self._refresh)
        self.model.points_changed.connect(self._points_changed)
        self.model.all_changed.connect(self._show_scatter)
        self._refresh()
        self._show_scatter()

    def _build_curves(self) -> None:
        self._curves = CompareCurves(self.model, self._actions.transfers)
        self._curves.told.connect(self._actions.told)
        self._curves.failed.connect(self._actions.failed)
        self._add_card(self._curves, self._main)

    def _build_head(self) -> None:
        back = button(tr("Runs"), "link", on_click=lambda: self.navigate.emit("runs"), name="compare.back")
        arrow = label()
        arrow.setPixmap(icons.pixmap("chevron-right", tokens().muted, 14))
        head = column(spacing=0)
        head.addLayout(row(back, arrow, label(tr("Compare"), "hint"), None, spacing=2))
        self.outer.addLayout(head)
        self._title = label("", "title")
        self._runs = CompareRuns(self.model)
        self._runs.removed.connect(self._remove)
        self._runs.added.connect(self._add)
        self._runs.opened.connect(lambda uid: self.navigate.emit(f"run/{uid}"))
        self._runs.field.setMaximumWidth(300)
        save = button(tr("Save table"), "default", "download", self._ask_file, "compare.save", tr("As CSV"))
        line = row(self._title, None, self._runs.field, save, spacing=10)
        head.addLayout(line)
        self._notice: QLabel = label("", "hint", wrap=True)
        self._notice.setObjectName("compare.notice")

    def _build_results(self) -> None:
        self._results = CompareGrid("compare.results", tr("Results"))
        card = Card(tr("Results"))
        card.head.addWidget(label(tr("★ is the best"), "hint"))
        card.head.addStretch(1)
        card.body.addWidget(self._results)
        self._add_card(card, self._main)

    def _build_settings(self) -> None:
        """What differs comes first: it is what one compares for."""
        self._settings = CompareGrid("compare.settings", tr("Settings"))
        card = Card(tr("Settings"))
        self._differ = label("", "hint")
        self._differ.setObjectName("compare.differ")
        self._only = Segments([("differ", tr("Differences only")), ("all", tr("All"))], "differ", name="compare.only")
        self._only.chosen.connect(lambda _key: self._show_settings())
        card.head.addWidget(self._differ)
        card.head.addStretch(1)
        card.head.addWidget(self._only)
        card.body.addWidget(self._settings)
        self._add_card(card, self._main)

    def _build_scatter(self) -> None:
        self._scatter = CompareScatter(self.model.session)
        card = Card(tr("All runs"))
        self._quality = Choice(
            [("score", tr("Score after")), ("validation_loss", tr("Validation loss")), ("loss", tr("Final loss"))]
        )
        self._quality.setObjectName("compare.quality")
        self._quality.setAccessibleName(tr("What came of it"))
        self._price = Choice([("seconds", tr("Time")), ("cost", tr("Cost"))])
        self._price.setObjectName("compare.price")
        self._price.setAccessibleName(tr("What it took"))
        for choice in (self._quality, self._price):
            choice.activated.connect(lambda _place: self._choose_values())
        self._all_note = label("", "hint", wrap=True)
        self._scatter.opened.connect(lambda uid: self.navigate.emit(f"run/{uid}"))
        self.model.all_failed.connect(self._all_failed)
        self._scatter.export.told.connect(self._actions.told)
        self._scatter.export.failed.connect(self._actions.failed)
        table = button(tr("Table"), "segment", name="compare.scatter.as_table", tip=tr("The points as a table"))
        table.setCheckable(True)
        table.toggled.connect(self._scatter.show_table)
        save = button("", "quiet", "download", name="compare.scatter.export", tip=tr("Save or copy the chart"))
        save.setFixedWidth(40)
        save.clicked.connect(lambda: self._save_scatter(save))
        card.head.addStretch(1)
        card.head.addWidget(table)
        card.head.addWidget(save)
        choices = row(self._quality, label("×"), self._price, spacing=8)
        choices.setStretch(0, 1)
        choices.setStretch(2, 1)
        card.body.addLayout(choices)
        card.body.addWidget(self._scatter, 1)
        card.body.addWidget(self._all_note)
        self._add_card(card, self._rail)

    # Showing

    @Slot()
    def _refresh(self) -> None:
        number = len(self.model.entries)
        self._title.setText(count(number, "Compare {n} run", "Compare {n} runs"))
        self._notice.setText(self._said())
        self._notice.setVisible(bool(self._notice.text()))
        if self._is_whole:
            self._show_tables()
            self._show_letters()

    def _said(self) -> str:
        """What a person should know or do."""
        if len(self.model.entries) < FEWEST:
            return tr("Add at least one more run: type a part of its name in the field above.")
        if self._left_out:
            return count(len(self._left_out), "{n} run was left out: ten are the most.",
                         "{n} runs were left out: ten are the most.")  # fmt: skip
        lost = [one for one in self.model.entries if one.error is not None and one.detail is None]
        if lost:
            what, _why, _fix = explain(lost[0].error or ErrorBody(code="", what=""))
            return f"{lost[0].letter}: {what}"
        return ""

    @Slot(object)
    def _points_changed(self, _metrics: set[str]) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _heads(self) -> list[str]:
        return [f"{one.letter}  {one.name}" for one in self.model.entries]

    def _currency(self) -> str:
        return (self.model.every.currency if self.model.every else "") or "USD"

    @Slot()
    def _show_tables(self) -> None:
        self._results.show_lines(self._heads(), results(self.model.entries, self._currency()))
        self._show_settings()

    def _show_settings(self) -> None:
        now: list[object] = [*self._heads(), self._only.value()]
        now += [one.detail and one.detail.spec for one in self.model.entries]
        if now == self._shown_of:
            return  # what is compared does not change while the runs go on
        self._shown_of = now
        lines = settings(self.model.entries)
        differ = [line for line in lines if line.unlike]
        if len(self.model.known) > 1:
            text = count(len(differ), "{n} setting differs", "{n} settings differ")
            self._differ.setText(f"{text} · {tr('≠ is unlike A')}" if differ else tr("All settings are the same."))
        self._settings.show_lines(self._heads(), differ if self._only.value() == "differ" else lines)

    def _show_letters(self) -> None:
        if self.model.every is not None:
            self._show_scatter()

    def _choose_values(self) -> None:
        self.model.want_points(cast(Price, self._price.value()), cast(Quality, self._quality.value()))

    def _save_scatter(self, place: QWidget) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._scatter.fill_menu(menu)
        menu.popup(place.mapToGlobal(place.rect().bottomLeft()))

    @Slot()
    def _show_scatter(self) -> None:
        every = self.model.every
        letters = {one.uid: (place, one.letter) for place, one in enumerate(self.model.entries)}
        for choice in (self._quality, self._price):
            choice.setToolTip(choice.currentText())
        quality, price = self._quality.value(), self._price.value()
        mine = [(one.uid, one.detail is not None and one.detail.run.state.ended) for one in self.model.entries]
        if (id(every), quality, price, mine) == self._pictured:
            return  # ten thousand points are not laid out for every step of a run
        self._pictured = (id(every), quality, price, mine)
        self._scatter.show_picture(Picture.of(self.model.picture(), letters, quality, price, self._currency()))
        if every is None:
            self._all_note.setText(tr("Loading all runs…"))
            return
        said = tr("{shown} of {total} ended runs have both values.",
                  shown=f"{every.known or 0:,}", total=f"{every.total:,}")  # fmt: skip
        self._all_note.setText(f"{said} {tr('The dashed line is the best so far. A click opens a run.')}")

    @Slot(object)
    def _all_failed(self, error: ErrorBody) -> None:
        what, _why, _fix = explain(error)
        self._all_note.setText(what)

    # Doing

    def _go(self, uids: list[str]) -> None:
        self.navigate.emit(address_of(uids, self.model.metric, self.model.axis))

    def _uids(self) -> list[str]:
        return [one.uid for one in self.model.entries]

    @Slot(str)
    def _remove(self, uid: str) -> None:
        self._go([one for one in self._uids() if one != uid])

    @Slot(str)
    def _add(self, uid: str) -> None:
        if len(self._uids()) < MOST:
            self._go([*self._uids(), uid])

    def _ask_file(self) -> None:
        start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
        dialog = QFileDialog(self, tr("Save table"), start)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile("compare.csv")
        dialog.fileSelected.connect(lambda file: self.save_as(Path(file)))
        dialog.open()

    def save_as(self, file: Path) -> None:
        """Write results and all settings as CSV."""
        lines = [*results(self.model.entries, self._currency()), *settings(self.model.entries)]
        content = as_csv([one.name for one in self.model.entries], lines).encode("utf-8-sig")

        def work(_backend: Backend) -> str:
            try:
                write_durably(file, content)
            except OSError as error:
                raise UserError("desktop.file_unwritable", file=str(file), detail=str(error)) from error
            return str(file)

        self.model.session.transfer(
            work,
            lambda path: self._actions.told.emit(tr("Saved: {path}", path=path)),
            self._actions.failed.emit,
            self,
        )
