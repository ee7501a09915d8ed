"""The search bar of a log: text, forward and back, how many matches so far."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame

from forge_desktop.models.log_lines import Needle
from forge_desktop.models.log_model import Place
from forge_desktop.models.log_search import LogSearch
from forge_desktop.panels.log_view import LogView
from forge_desktop.theme.controls import Field, button, label, row
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.measures import percent

TYPED_MS = 200


class FindBar(QFrame):
    """Searches the whole log of a view; hidden until somebody asks for it."""

    def __init__(self, view: LogView) -> None:
        super().__init__()
        self.setObjectName("run.log.find")
        self._view = view
        self.search = LogSearch(view.model)
        self.field = Field(hint=tr("Search the log"), name="run.log.find.text")
        self.field.setAccessibleName(tr("Search the log"))
        self.field.setMinimumWidth(140)
        self.field.setMaximumWidth(360)
        self.field.installEventFilter(self)
        self._case = button("Aa", "toggle-chip", name="run.log.find.case", tip=tr("Capital letters matter"))
        self._case.setAccessibleName(tr("Capital letters matter"))
        self._case.setCheckable(True)
        self._case.toggled.connect(self._typed)
        back = button(tr("Back"), "link", on_click=lambda: self.step(-1), name="run.log.find.back", tip="Shift+F3")
        forward = button(tr("Next"), "link", on_click=lambda: self.step(1), name="run.log.find.next", tip="F3")
        self._count = label("", "hint")
        self._count.setObjectName("run.log.find.count")
        close = button("", "link", "x", self.close_bar, "run.log.find.close", tr("End the search (Esc)"))
        layout = row(self.field, self._case, back, forward, self._count, None, close, spacing=6)
        layout.setStretch(0, 1)
        self.setLayout(layout)
        self._soon = QTimer(self, singleShot=True, interval=TYPED_MS)
        self._soon.timeout.connect(self._typed)
        self.field.textChanged.connect(lambda _text: self._soon.start())
        self.search.changed.connect(self._show_count)
        self.search.found.connect(self._found)
        self.search.missed.connect(self._show_count)

    def open(self) -> None:
        """Show it, ready for typing."""
        self.show()
        self.field.setFocus()
        self.field.selectAll()

    def close_bar(self) -> None:
        """End the search."""
        self.field.clear()
        self._soon.stop()
        self._typed()
        self.hide()
        self._view.setFocus()

    @Slot()
    def _typed(self) -> None:
        needle = Needle(self.field.text(), self._case.isChecked())
        fresh = needle != self.search.needle
        self._view.needle = needle
        self._view.viewport().update()
        place = self._here(1)
        self.search.start(needle, place[0])
        if fresh and needle.text:
            self.search.go((place[0], place[1] - 1), 1)

    def step(self, direction: int) -> None:
        """The next match, forward or back."""
        if not self.isVisible():
            self.open()
            return
        if self._soon.isActive():
            self._soon.stop()
            self._typed()
        else:
            self.search.go(self._here(direction), direction)

    def _here(self, direction: int) -> Place:
        """Where the search goes on: the line with the caret, or what is seen."""
        caret = self._view.caret()
        if caret is not None:
            return caret
        seen = [place for place, found in self._view.visible() if found is not None]
        return (seen[0] if direction > 0 else seen[-1]) if seen else (0, 0)

    @Slot(object)
    def _found(self, place: Place) -> None:
        self._view.show_place(place, middle=True)
        self._view.set_caret(place)
        self._show_count()

    @Slot()
    def _show_count(self) -> None:
        search = self.search
        if not search.needle.text:
            self._count.setText("")
            return
        text = count(search.total, "{n} line matches", "{n} lines match")
        if not search.complete:
            text = tr("{found} so far · {share} searched", found=text, share=percent(search.share))
        self._count.setText(text)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: Enter goes on, Shift+Enter back, Esc ends the search and not the page."""
        own = (Qt.Key.Key_Escape, Qt.Key.Key_F3)
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and event.key() in own:
            event.accept()
            return True
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_F3):
                self.step(-1 if back else 1)
                return True
            if event.key() == Qt.Key.Key_Escape:
                self.close_bar()
                return True
        return super().eventFilter(watched, event)
