"""The head of a run's page: where one is, the name and how to change it, what it is, and what can be done."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QWidget

from engine.contract.api import RunSummary
from forge_desktop.models.run_columns import lost_text
from forge_desktop.panels.status import TONES
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Chip, Elided, Field, button, clear, column, label, row
from forge_desktop.theme.language import labelled, tr, word
from forge_desktop.theme.look import tokens

TAGS_SHOWN = 3
MAX_NAME = 120
NARROW_PAGE = 1000
AGE_MS = 5000


class NameField(QStackedWidget):
    """A name that becomes a field on a double click or F2; Enter keeps it, Esc leaves it as it was."""

    renamed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("run.name")
        self._name = ""
        self._shown = Elided("", "title")
        self._shown.setToolTip(tr("Double click or F2 to rename"))
        self.field = Field(name="run.name.field")
        self.field.setAccessibleName(tr("Name"))
        self.field.setMaxLength(MAX_NAME)
        self.field.setMaximumWidth(460)
        self.field.installEventFilter(self)
        self.field.editingFinished.connect(self._done)
        self.addWidget(self._shown)
        self.addWidget(self.field)
        self.setFixedHeight(36)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._editing = False

    def sizeHint(self) -> QSize:
        """Qt's own hook: as wide as the name, or the field."""
        wide = 460 if self.currentWidget() is self.field else self._shown.sizeHint().width()
        return QSize(wide, 36)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook: it may be cut."""
        return QSize(min(120, self.sizeHint().width()), 36)

    def set_name(self, name: str) -> None:
        """Show a name; while somebody types, their text stays."""
        self._name = name
        self._shown.set_text(name)
        self.updateGeometry()
        if not self._shown.toolTip():
            self._shown.setToolTip(tr("Double click or F2 to rename"))

    def name(self) -> str:
        """The name shown."""
        return self._name

    def edit(self) -> None:
        """Let the name be typed."""
        self._editing = True
        self.field.setText(self._name)
        self.setCurrentWidget(self.field)
        self.updateGeometry()
        self.field.setFocus()
        self.field.selectAll()

    def _done(self) -> None:
        if not self._editing:
            return
        self._editing = False
        name = self.field.text().strip()
        self.setCurrentWidget(self._shown)
        if name and name != self._name:
            self.renamed.emit(name)

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        """Qt's own hook."""
        self.edit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: Esc ends the typing, not the page."""
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                self._editing = False
                self.setCurrentWidget(self._shown)
                return True
        return super().eventFilter(watched, event)


class RunHead(QWidget):
    """Breadcrumb, name, chips, and a place for buttons."""

    back = Signal()
    renamed = Signal(str)
    tags_wanted = Signal()
    """Somebody wants to change the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("run.head")
        self._from = Elided("", "hint")
        arrow = label()
        arrow.setPixmap(icons.pixmap("chevron-right", tokens().muted, 14))
        back = button(tr("Runs"), "link", on_click=self.back.emit, name="run.back", tip=tr("All runs (Esc)"))
        self.name = NameField()
        self.name.renamed.connect(self.renamed)
        self._chip, self._mark = Chip(), Chip()
        self._run: RunSummary | None = None
        self._age = QTimer(self, interval=AGE_MS)
        self._age.timeout.connect(self._show_mark)
        self._chip.setObjectName("run.status")
        self._extra = QWidget()
        self._more_chips = row(spacing=8)
        self._extra.setLayout(self._more_chips)
        self._chips_shown: object = None
        self.buttons = row(spacing=10)
        self._crumbs = row(back, arrow, self._from, spacing=2)
        self._crumbs.setStretch(2, 1)
        self._line = row(self.name, self._chip, self._mark, self._extra, spacing=10)
        self._line.addStretch(1)
        self._line.addLayout(self.buttons)
        outer = column(spacing=0)
        outer.addLayout(self._crumbs)
        outer.addLayout(self._line)
        self.setLayout(outer)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook: in a narrow page priority and tags stand in the line above."""
        super().resizeEvent(event)
        narrow = event.size().width() < NARROW_PAGE
        if narrow and self._line.indexOf(self._extra) >= 0:
            self._line.removeWidget(self._extra)
            self._crumbs.addWidget(self._extra)
        elif not narrow and self._crumbs.indexOf(self._extra) >= 0:
            self._crumbs.removeWidget(self._extra)
            self._line.insertWidget(3, self._extra)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook: it may become as narrow as its buttons allow."""
        return QSize(500, super().minimumSizeHint().height())

    def show_run(self, run: RunSummary) -> None:
        """Show what it is now."""
        self.name.set_name(run.name)
        self._from.set_text(_source(run))
        tone, icon = TONES[run.state]
        self._chip.set(word("state", run.state), tone, icon)
        self._run = run
        self._show_mark()
        if run.mark is None:
            self._age.stop()
        elif not self._age.isActive():
            self._age.start()
        key = (run.pinned, run.priority, tuple(run.tags))
        if key != self._chips_shown:
            self._chips_shown = key
            self._fill(run)

    @Slot()
    def _show_mark(self) -> None:
        """What is the matter; of a lost node how far it was and since when, beside where the run comes from."""
        run = self._run
        self._mark.setVisible(run is not None and run.mark is not None)
        if run is None or run.mark is None:
            return
        lost = lost_text(run)
        self._mark.set(word("mark", run.mark), "warn", "triangle-alert")
        self._mark.setToolTip(lost)
        self._from.set_text(f"{_source(run)} · {lost}" if lost else _source(run))

    def _fill(self, run: RunSummary) -> None:
        clear(self._more_chips)
        if run.pinned:
            self._more_chips.addWidget(Chip(tr("Pinned"), "plain", "flag"))
        if run.priority:
            text = tr("High priority") if run.priority > 0 else tr("Low priority")
            chip = Chip(text, "plain", "arrow-up" if run.priority > 0 else "arrow-down")
            chip.setToolTip(labelled(tr("Priority"), f"{run.priority:+d}"))
            self._more_chips.addWidget(chip)
        for tag in run.tags[:TAGS_SHOWN]:
            self._more_chips.addWidget(Chip(tag if len(tag) <= 18 else f"{tag[:17]}…", "plain", "tag"))
        if len(run.tags) > TAGS_SHOWN:
            rest = Chip(f"+{len(run.tags) - TAGS_SHOWN}")
            rest.setToolTip("\n".join(run.tags[TAGS_SHOWN:]))
            self._more_chips.addWidget(rest)
        text = "" if run.tags else tr("Add tags")
        self._more_chips.addWidget(button(text, "link", "tag", self.tags_wanted.emit, "run.tags", tr("Edit the tags")))


def _source(run: RunSummary) -> str:
    """Its data, or what it belongs to."""
    return run.dataset.replace("\\", "/").rstrip("/").rpartition("/")[2] or run.project
