"""One line of a form in a dialog: a name, a control, a sentence, and in its place what is wrong."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from forge_desktop.theme.controls import column, label, restyle, row


class FormLine(QWidget):
    """Holds a control; what is wrong takes the place of the sentence below it."""

    def __init__(self, title: str, control: QWidget, sentence: str = "", *beside: QWidget) -> None:
        super().__init__()
        self.title, self.control, self._sentence = title, control, sentence
        control.setAccessibleName(title)
        control.setAccessibleDescription(sentence)
        self._below = label(sentence, "hint", wrap=True)
        self._below.setVisible(bool(sentence))
        line = row(control, *beside, spacing=8)
        line.setStretch(0, 1)
        layout = column(label(title, "label"), spacing=4)
        layout.addLayout(line)
        layout.addWidget(self._below)
        layout.addStretch(1)
        self.setLayout(layout)

    def show_problem(self, text: str) -> None:
        """What is wrong with it; empty: nothing."""
        self._below.setText(text or self._sentence)
        self._below.setVisible(bool(text or self._sentence))
        restyle(self._below, tone="bad" if text else "")
        restyle(self.control, tone="bad" if text else "")
        self.control.setAccessibleDescription(self._below.text())

    def say(self, sentence: str) -> None:
        """Another sentence below it, which a problem still takes the place of."""
        self._sentence = sentence
        if not self.problem():
            self.show_problem("")

    def problem(self) -> str:
        """What is said to be wrong with it."""
        return self._below.text() if self._below.property("tone") == "bad" else ""
