"""The config a run was started with, as YAML, of each attempt, with what changed from one to the next."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from PySide6.QtCore import Slot
from PySide6.QtGui import QColor, QGuiApplication, QTextCursor, QTextFormat
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from engine.contract.api import RunDetail
from engine.contract.config_file import to_yaml
from engine.contract.errors import ErrorBody
from engine.contract.run_spec import RunConfig
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.attempts_card import attempt_title
from forge_desktop.theme.controls import Card, Choice, button, column, label
from forge_desktop.theme.language import count, explain, tr
from forge_desktop.theme.look import mono_font, tokens

MAX_TOLD = 6


class ConfigPanel(QWidget):
    """Read only: what was asked for never changes afterwards."""

    def __init__(self, model: RunModel, save: Callable[[], object]) -> None:
        super().__init__()
        self.setObjectName("run.config")
        self._model = model
        self._known: dict[int, str] = {}
        """YAML by attempt."""
        self._attempts = 0
        card = Card(tr("Config as started"))
        self._choice = Choice()
        self._choice.setObjectName("run.config.attempt")
        self._choice.setAccessibleName(tr("Attempt"))
        self._choice.setMinimumWidth(180)
        self._choice.activated.connect(lambda _place: self._show())
        self._choice.hide()
        card.head.addWidget(self._choice)
        card.head.addStretch(1)
        card.head.addWidget(button(tr("Copy all"), "link", "copy", self._copy, "run.config.copy"))
        card.head.addWidget(button(tr("Save config"), "link", "download", save, name="run.config.save"))
        self.changes = label("", "hint", wrap=True, select=True)
        self.changes.setObjectName("run.config.changes")
        self.changes.hide()
        self.text = QPlainTextEdit()
        self.text.setProperty("role", "log")
        self.text.setFont(mono_font())
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setAccessibleName(tr("Config as started"))
        self._environment = label("", "hint", wrap=True, select=True)
        card.body.addWidget(self.changes)
        card.body.addWidget(self.text, 1)
        card.body.addWidget(self._environment)
        self.setLayout(column(card))
        model.changed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        detail = self._model.detail
        if detail is None:
            return
        if len(detail.attempts) != self._attempts:
            self._attempts = len(detail.attempts)
            self._offer(detail)
            self._known.clear()
            self._show()
        elif not self.text.toPlainText():
            self._show()

    def _offer(self, detail: RunDetail) -> None:
        self._choice.clear()
        for place, attempt in enumerate(reversed(detail.attempts)):
            text = tr("Latest attempt") if place == 0 else attempt_title(attempt)
            self._choice.addItem(text, str(attempt.n))
        self._choice.setVisible(len(detail.attempts) > 1)

    def _chosen(self) -> int:
        return int(self._choice.value() or 0)

    def _show(self) -> None:
        """The chosen attempt's config; an earlier one, and the one before, are asked for when they are wanted."""
        detail = self._model.detail
        if detail is None:
            return
        number = self._chosen()
        found = next((one for one in detail.attempts if one.n == number), None)
        facts = found.environment if found is not None else {}
        self._environment.setText(" · ".join(f"{key} {value}" for key, value in facts.items() if value))
        if len(detail.attempts) < 2:
            self._write(_own(detail), "")
            return
        numbers = [one.n for one in detail.attempts]
        place = numbers.index(number) if number in numbers else len(numbers) - 1
        before = numbers[place - 1] if place else 0
        for wanted in filter(None, (number, before)):
            if wanted not in self._known:
                self._ask(wanted)
        shown = self._known.get(number, _own(detail) if place == len(numbers) - 1 else "")
        self._write(shown, self._known.get(before, "") if before else shown)
        if not before:
            self.changes.hide()

    def _ask(self, number: int) -> None:
        uid = self._model.uid

        def got(text: str) -> None:
            if self._known.get(number) != text:
                self._known[number] = text
                self._show()

        def bad(error: ErrorBody) -> None:
            if number == self._chosen():
                what, _why, _fix = explain(error)
                self.changes.setText(what)
                self.changes.show()

        self._model.session.ask(lambda backend: backend.attempt_config(uid, number), got, bad, owner=self)

    def _write(self, text: str, before: str) -> None:
        if self.text.toPlainText() != text:
            self.text.setPlainText(text)
        changed = changes(before, text) if before and text else []
        self._mark([line for line, _text in changed])
        told = [said for _line, said in changed[:MAX_TOLD]]
        more = count(len(changed), "{n} line is unlike the attempt before:", "{n} lines are unlike the attempt before:")
        self.changes.setText("\n".join([more, *told]) if changed else tr("The same as the attempt before."))
        self.changes.setVisible(bool(before and text))

    def _mark(self, lines: list[int]) -> None:
        marks = []
        for number in lines:
            mark = QTextEdit.ExtraSelection()
            cursor = QTextCursor(self.text.document().findBlockByNumber(number))
            mark.cursor = cursor
            mark.format.setBackground(QColor(tokens().warn_soft))
            mark.format.setProperty(QTextFormat.Property.FullWidthSelection, True)
            marks.append(mark)
        self.text.setExtraSelections(marks)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())


def _own(detail: RunDetail) -> str:
    return to_yaml(RunConfig.from_spec(detail.spec)) if detail.spec.kind == "train" else ""


def changes(before: str, after: str) -> list[tuple[int, str]]:
    """Lines of `after` that are not in `before`: number and `was → is`."""
    old, new = before.splitlines(), after.splitlines()
    found = []
    for kind, a, a_end, b, b_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind in ("replace", "insert"):
            for offset in range(b_end - b):
                was = old[a + offset].strip() if a + offset < a_end else "–"
                found.append((b + offset, f"≠ {was} → {new[b + offset].strip()}"))
    return found
