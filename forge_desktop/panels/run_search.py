"""The search of the Runs page: a field that completes operators, its help, chips, the Filter menu, saved searches."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent, QResizeEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QCompleter, QFrame, QGridLayout, QMenu, QPushButton, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.search_words import OPERATORS
from engine.contract.states import RunState
from forge_desktop.models.runs_model import RunsModel
from forge_desktop.models.search_operators import (
    MEANINGS,
    chip_text,
    completions,
    has_term,
    operators_in,
    plain_words,
    values_of,
    with_term,
    without,
    without_value,
)
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Field, button, label, restyle
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import explain, sentences, tr, word
from forge_desktop.theme.look import tokens

FACETS = (("tag", "Tag"), ("model", "Model"), ("project", "Project"))
BUTTONS = 104
"""Room for the icons in the field, in pixels."""
WholeRole = int(Qt.ItemDataRole.UserRole) + 1


class SearchField(Field):
    """Words and operators; Tab or Enter takes the completion, F1 or ? explains the operators."""

    def __init__(self, model: RunsModel) -> None:
        super().__init__(hint=tr("Search…"), name="runs.search")
        self._model = model
        self.setAccessibleName(tr("Search runs"))
        self.setAccessibleDescription(tr("Words, and operators such as state:failed"))
        self.setClearButtonEnabled(True)
        self.addAction(icons.icon("search", tokens().muted), Field.ActionPosition.LeadingPosition)
        asked = icons.icon("circle-question-mark", tokens().muted)
        self.help = self.addAction(asked, Field.ActionPosition.TrailingPosition)
        self.help.setToolTip(tr("Operators of the search"))
        self.help.triggered.connect(self.show_help)
        self._items = QStandardItemModel(self)
        self._completer = QCompleter(self._items, self)
        self._completer.setCompletionRole(WholeRole)
        self._completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        self._completer.setWidget(self)
        self._completer.activated.connect(self._take_completion)
        self.textEdited.connect(self._complete)
        self.textChanged.connect(model.set_search)

    @Slot(str)
    def _complete(self, text: str) -> None:
        self._items.clear()
        for shown, whole in completions(text, self._model.runs) if self.cursorPosition() == len(text) else ():
            item = QStandardItem(shown)
            item.setData(whole, WholeRole)
            self._items.appendRow(item)
        if self._items.rowCount():
            self._completer.complete()
        else:
            self._hide_offers()

    def _hide_offers(self) -> None:
        popup = self._completer.popup()
        if popup is not None:
            popup.hide()

    @Slot(str)
    def _take_completion(self, text: str) -> None:
        self.setText(text)

    def offers(self) -> list[str]:
        """What is offered to complete the text."""
        return [self._items.item(row).text() for row in range(self._items.rowCount())]

    def event(self, event: QEvent) -> bool:
        """Qt's own hook: F1, and Escape while there is a text, are for the field and not for the window."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            own = event.key() == Qt.Key.Key_F1 or (event.key() == Qt.Key.Key_Escape and bool(self.text()))
            if own:
                event.accept()
                return True
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook: the hint says as much as there is room for."""
        super().resizeEvent(event)
        hint = tr("Search runs, models, tags…")
        fits = self.fontMetrics().horizontalAdvance(hint) + BUTTONS <= self.width()
        self.setPlaceholderText(hint if fits else tr("Search…"))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook: Down into the list goes by itself; F1 helps; Escape empties."""
        if event.key() == Qt.Key.Key_F1:
            self.show_help()
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)

    @Slot()
    def show_help(self) -> None:
        """The operators, each with an example that can be taken."""
        popup = OperatorHelp(self)
        popup.taken.connect(self.take)
        popup.adjustSize()
        corner = self.mapToGlobal(QPoint(self.width() - popup.width(), self.height() + 4))
        popup.move(corner)
        popup.show()

    @Slot(str)
    def take(self, example: str) -> None:
        """Put an operator into the field."""
        self.setText(f"{self.text().rstrip()} {example}".strip())
        self.setFocus()


class OperatorHelp(QFrame):
    """A small list: operator, what it means."""

    taken = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("runs.search.help")
        self.setProperty("role", "popup")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        grid = QGridLayout(self)
        grid.setContentsMargins(16, 14, 16, 14)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        grid.addWidget(label(tr("Operators of the search"), "card-title"), 0, 0, 1, 4)
        words = tr("Words are looked for in name, model, dataset and tags.")
        grid.addWidget(label(words, "hint"), 1, 0, 1, 4)
        half = -(-len(OPERATORS) // 2)
        for place, operator in enumerate(OPERATORS.values()):
            line, side = 2 + place % half, 2 * (place // half)
            example = button(operator.example, "link", name=f"runs.search.help.{operator.name}")
            example.clicked.connect(partial(self._take, operator.example))
            grid.addWidget(example, line, side, Qt.AlignmentFlag.AlignLeft)
            grid.addWidget(label(tr(MEANINGS[operator.name]), "hint"), line, side + 1)
        minus = tr('A minus means "not", commas mean "or": -tag:old, state:failed,stopped')
        grid.addWidget(label(minus, "hint"), half + 2, 0, 1, 4)

    def _take(self, example: str) -> None:
        self.taken.emit(example)
        self.close()


class SearchChips(QWidget):
    """One chip for each operator in force; a click takes it away."""

    def __init__(self, field: SearchField) -> None:
        super().__init__()
        self.setObjectName("runs.chips")
        self._field = field
        self._flow = FlowLayout(self, 6)
        self._shown: list[str] = []
        field.textChanged.connect(self._refresh)
        self.hide()
        self._refresh()

    def chips(self) -> list[QPushButton]:
        """The chips from left to right."""
        return [chip for chip in self.findChildren(QPushButton) if chip.parent() is self]

    @Slot()
    def _refresh(self) -> None:
        found = operators_in(self._field.text())
        if [token.text for token in found] == self._shown:
            return
        self._shown = [token.text for token in found]
        self._flow.clear()
        for token in found:
            chip = button(chip_text(token), "toggle-chip", "x", name=f"runs.chip.{token.name}")
            chip.setAccessibleName(tr("Remove {operator}", operator=token.text))
            chip.setToolTip(chip.accessibleName())
            chip.setCheckable(True)
            chip.setChecked(True)
            chip.clicked.connect(lambda _checked=False, text=token.text: self._remove(text))
            self._flow.addWidget(chip)
            chip.show()
        if len(found) > 1:
            clear = button(tr("Clear all"), "link", on_click=self._clear, name="runs.chips.clear")
            self._flow.addWidget(clear)
            clear.show()
        self.setVisible(bool(found))
        self.updateGeometry()

    def _remove(self, text: str) -> None:
        self._field.setText(without(self._field.text(), text))
        self._field.setFocus()

    def _clear(self) -> None:
        self._field.setText(plain_words(self._field.text()))
        self._field.setFocus()


class SearchError(QWidget):
    """What is wrong with the search, and the fix, under the field."""

    def __init__(self, field: SearchField) -> None:
        super().__init__()
        self._field = field
        self.text = label("", "hint", tone="bad", wrap=True)
        self.text.setObjectName("runs.search.error")
        layout = QGridLayout(self)
        layout.setContentsMargins(2, 0, 2, 0)
        layout.addWidget(self.text)
        self.hide()

    def show_error(self, error: ErrorBody | None) -> None:
        """Say it, or nothing."""
        problems = error.problems if error is not None else []
        said = sentences(*(part for problem in problems for part in explain(problem)[1:]))
        if error is not None and not problems:
            said = sentences(*explain(error))
        self.text.setText(said)
        self.text.setAccessibleName(said)
        restyle(self._field, tone="bad" if error is not None else "")
        self.setVisible(error is not None)


class FilterMenu(QObject):
    """A menu that writes operators: state, tag, model, project, pinned."""

    def __init__(self, field: SearchField, model: RunsModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._field, self._model = field, model

    def fill(self, menu: QMenu) -> None:
        """Everything that can be chosen now."""
        states = menu.addMenu(tr("State"))
        for state in RunState:
            self._add(states, "state", str(state), word("state", state))
        for key, title in FACETS:
            part = menu.addMenu(tr(title))
            for value in values_of(key, self._model.runs):
                self._add(part, key, value, value)
            part.setEnabled(not part.isEmpty())
        self._add(menu, "pinned", "yes", tr("Pinned"))
        menu.addSeparator()
        clear = menu.addAction(tr("Clear the search"), self._field.clear)
        clear.setEnabled(bool(self._field.text()))

    def _add(self, menu: QMenu, key: str, value: str, text: str) -> None:
        action = menu.addAction(text.replace("&", "&&"))
        action.setCheckable(True)
        action.setChecked(has_term(self._field.text(), key, value))
        action.toggled.connect(partial(self._toggle, key, value))

    def _toggle(self, key: str, value: str, on: bool) -> None:
        change = with_term if on else without_value
        self._field.setText(change(self._field.text(), key, value))
