"""The fixed prompts, one a line: a prompt may hold commas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QPlainTextEdit, QWidget

from forge_desktop.theme.language import tr
from forge_desktop.wizard.fields import SettingField

HEIGHT = 92


class PromptsField(SettingField):
    """A list of texts as lines."""

    def _make_control(self) -> tuple[QWidget, Callable[[Any], object]]:
        box = QPlainTextEdit()
        box.setProperty("role", "input")
        box.setPlaceholderText(tr("One question a line"))
        box.setTabChangesFocus(True)
        box.setFixedHeight(HEIGHT)
        box.textChanged.connect(lambda: self._write(lines_of(box.toPlainText())))

        def show(value: Any) -> None:
            wanted = [str(one) for one in value] if isinstance(value, list | tuple) else []
            if lines_of(box.toPlainText()) != wanted:  # what is being typed stays as it is
                box.setPlainText("\n".join(wanted))

        return box, show


def lines_of(text: str) -> list[str]:
    """Every line that says something."""
    return [line.strip() for line in text.splitlines() if line.strip()]
