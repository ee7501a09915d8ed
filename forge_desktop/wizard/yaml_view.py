"""A config as highlighted text that can be read and copied."""

from __future__ import annotations

import re

from PySide6.QtGui import QColor, QSyntaxHighlighter, QTextCharFormat, QTextDocument
from PySide6.QtWidgets import QPlainTextEdit

from forge_desktop.theme.language import tr
from forge_desktop.theme.look import mono_font, tokens

KEY = re.compile(r"^(\s*(?:- )?)([A-Za-z_][\w.-]*)(:)")
NUMBER = re.compile(r"(?<=[:\-] )-?\d[\d.e+-]*$")
WORD = re.compile(r"(?<=: )(?:true|false|null|\[\]|\{\})$")


class YamlView(QPlainTextEdit):
    """Read-only."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "log")
        self.setFont(mono_font())
        self.setReadOnly(True)
        self.setObjectName("wizard.yaml")
        self.setAccessibleName(tr("Config"))
        self.setMinimumHeight(300)
        self.setTabChangesFocus(True)
        self._painter = _Painter(self.document())

    def show_text(self, text: str) -> None:
        """Another text; the same one leaves cursor and scrolling alone."""
        if self.toPlainText() != text:
            self.setPlainText(text)


class _Painter(QSyntaxHighlighter):
    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        t = tokens()
        self._forms = {
            name: _form(colour)
            for name, colour in (("key", t.accent_text), ("value", t.info_text), ("word", t.warn_text))
        }

    def highlightBlock(self, text: str) -> None:
        """Qt's own hook."""
        if found := KEY.match(text):
            self.setFormat(found.start(2), len(found[2]), self._forms["key"])
        for pattern, name in ((NUMBER, "value"), (WORD, "word")):
            if found := pattern.search(text):
                self.setFormat(found.start(), len(found[0]), self._forms[name])


def _form(colour: str) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(QColor(colour))
    return made
