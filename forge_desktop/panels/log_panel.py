"""The log of a run: its lines, which levels, which attempt, and the search; in its card or at full height."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QPushButton, QStackedWidget, QWidget

from engine.contract.api import RunDetail
from engine.contract.errors import ErrorBody
from forge_desktop.models.log_lines import ALL, ERROR, INFO, WARNING, Row
from forge_desktop.models.log_model import LogModel
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.attempts_card import attempt_title
from forge_desktop.panels.local_keys import bind
from forge_desktop.panels.log_find import FindBar
from forge_desktop.panels.log_line import LineDialog
from forge_desktop.panels.log_view import LogView
from forge_desktop.theme.controls import Card, Chip, Choice, button, label, row
from forge_desktop.theme.language import explain, tr
from forge_desktop.theme.measures import moment, percent

LEVELS = ((INFO, "Info"), (WARNING, "Warnings"), (ERROR, "Errors"))


class LogPanel(Card):
    """Shows the log of one run, a window of it at a time."""

    full_wanted = Signal(bool)
    """Show it at full height, or back in its place."""
    told = Signal(str)

    def __init__(self, model: RunModel, save: Callable[[], object]) -> None:
        super().__init__(tr("Log"), margins=(16, 10, 12, 10))
        self.setObjectName("run.log")
        self._run = model
        self._error: ErrorBody | None = None
        self._is_full = False
        self.model = LogModel(model.session, model.uid, self)
        self.view = LogView(self.model)
        self.body.setSpacing(6)
        self._build_head(save)
        self._levels = self._build_levels()
        self.finder = FindBar(self.view)
        self._empty = label("", "hint", wrap=True)
        self._empty.setObjectName("run.log.empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.view)
        self._stack.addWidget(self._empty)
        self.body.addWidget(self._levels)
        self.body.addWidget(self.finder)
        self.body.addWidget(self._stack, 1)
        self._levels.hide()
        self.finder.hide()
        self.setMinimumHeight(170)
        self.view.follow_changed.connect(self._show_follow)
        self.view.told.connect(self.told)
        self.view.search_wanted.connect(self.finder.open)
        self.view.whole_wanted.connect(self._show_line)
        self.model.changed.connect(self._show_state)
        self.model.failed.connect(self._failed)
        model.changed.connect(self._run_changed)
        bind(self, "local.log.next", lambda: self.finder.step(1))
        bind(self, "local.log.previous", lambda: self.finder.step(-1))
        self.model.refresh()
        self._show_state()
        self._run_changed()  # the run may be known already

    def _build_head(self, save: Callable[[], object]) -> None:
        self._chip = Chip(tr("Following"), "ok", "check")
        self._attempts = Choice()
        self._attempts.setObjectName("run.log.attempt")
        self._attempts.setAccessibleName(tr("Attempt"))
        self._attempts.setMinimumContentsLength(12)
        self._attempts.activated.connect(self._choose_attempt)
        self._attempts.hide()
        self._counting: QLabel = label("", "hint")
        self._end = button(tr("Go to the end"), "link", on_click=self.view.follow, name="run.log.end")
        self._end.hide()
        search = button("", "link", "search", self._open_find, "run.log.search", tr("Search the log (Ctrl+F)"))
        self._only = button(tr("Errors only"), "link", on_click=self._errors_only, name="run.log.errors")
        self._full = button(tr("Open full log"), "link", on_click=self._toggle_full, name="run.log.full")
        keep = button("", "link", "download", save, name="run.log.save", tip=tr("Save log"))
        for shown in (self._chip, self._attempts, self._counting):
            self.head.addWidget(shown)
        self.head.addStretch(1)
        for made in (self._end, self._only, self._full, search, keep):
            self.head.addWidget(made)

    def _build_levels(self) -> QWidget:
        bar = QWidget()
        layout = row(spacing=6)
        self._toggles: dict[int, QPushButton] = {}
        for bit, text in LEVELS:
            made = button(tr(text), "toggle-chip", name=f"run.log.level.{bit}")
            made.setCheckable(True)
            made.setChecked(True)
            made.clicked.connect(self._levels_clicked)
            self._toggles[bit] = made
            layout.addWidget(made)
        self._note = label("", "hint")
        layout.addWidget(self._note)
        layout.addStretch(1)
        bar.setLayout(layout)
        return bar

    # What it shows

    def set_full(self, full: bool) -> None:
        """It is at full height now, or in its card again."""
        self._is_full = full
        self._full.setText(tr("Back to the overview") if full else tr("Open full log"))
        self._full.setAccessibleName(self._full.text())
        self._levels.setVisible(full or self.model.mask != ALL)

    def _toggle_full(self) -> None:
        self.full_wanted.emit(not self._is_full)

    def _open_find(self) -> None:
        self.finder.open()

    def _errors_only(self) -> None:
        self.set_levels(ALL if self.model.mask == ERROR else ERROR)

    @Slot()
    def _levels_clicked(self) -> None:
        mask = sum(bit for bit, made in self._toggles.items() if made.isChecked())
        self.set_levels(mask or ALL)

    def set_levels(self, mask: int) -> None:
        """Show lines of these levels only."""
        for bit, made in self._toggles.items():
            made.setChecked(bool(mask & bit))
        self._only.setText(tr("All levels") if mask == ERROR else tr("Errors only"))
        self._only.setAccessibleName(self._only.text())
        self._levels.setVisible(self._is_full or mask != ALL)
        if mask != self.model.mask:
            self.model.restart(mask=mask)

    @Slot(int)
    def _choose_attempt(self, _place: int) -> None:
        self.model.restart(attempt=int(self._attempts.value() or 0))

    @Slot()
    def _run_changed(self) -> None:
        detail = self._run.detail
        if detail is None:
            return
        attempts = detail.attempts
        choices = [("0", tr("Latest attempt")), *((str(one.n), attempt_title(one)) for one in reversed(attempts[:-1]))]
        if len(choices) != self._attempts.count():
            before = self._attempts.value()
            self._attempts.clear()
            for key, text in choices:
                self._attempts.addItem(text, key)
            self._attempts.set_value(before or "0")
            self._attempts.setVisible(len(attempts) > 1)
        if detail.run.cleaned is not None and self.model.size:
            self.model.refresh()
        self._show_follow(self.view.following)
        self._show_state()

    @Slot(bool)
    def _show_follow(self, on: bool) -> None:
        live = self._run.detail is not None and self._run.detail.run.state.live and self.model.attempt == 0
        self._chip.setVisible(on and live)
        self._end.setVisible(not on)

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error = error
        self._show_state()

    @Slot()
    def _show_state(self) -> None:
        """Lines, or why there are none."""
        if self.model.size is not None:
            self._error = None
        why = self._why_empty()
        self._empty.setText(why)
        self._stack.setCurrentWidget(self._empty if why else self.view)
        busy = self.model.counted < 1 and (self.model.size or 0) > 1 << 21
        self._counting.setText(tr("reading {share}", share=percent(self.model.counted)) if busy else "")
        lines = self.model.rows()
        exact = self.model.counted >= 1
        self._note.setText(tr("{n} lines", n=f"{lines:,}") if exact else tr("about {n} lines", n=f"{lines:,}"))

    def _why_empty(self) -> str:
        detail = self._run.detail
        if self._error is not None and self.model.size is None:
            what, why, _fix = explain(self._error)
            return f"{what} {why}".strip()
        if self.model.size is None:
            return tr("Reading the log…")
        if self.model.size == 0:
            return _nothing(detail)
        if self.model.mask != ALL and self.model.counted >= 1 and self.model.rows() == 0:
            return tr("No line of the levels chosen.")
        return ""

    def _show_line(self, found: Row) -> None:
        LineDialog(self.model, found, self.told.emit, self).open()


def _nothing(detail: RunDetail | None) -> str:
    if detail is not None and detail.run.cleaned is not None:
        return tr("The log went with the working files on {when}.", when=moment(detail.run.cleaned))
    if detail is not None and detail.run.state.ended:
        return tr("The worker wrote no log.")
    return tr("The log appears once the worker runs.")
