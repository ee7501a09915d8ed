"""Buttons whose text wraps: a line of "Before you start" with a way to its field, and a large choice."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QPushButton, QSizePolicy

from forge_desktop.theme import icons
from forge_desktop.theme.controls import column, label, row
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.look import tokens

KINDS = {"bad": "x", "warn": "triangle-alert", "ok": "check"}


class WrappingButton(QPushButton):
    """A button as high as the widgets in its layout want to be at its width."""

    def __init__(self) -> None:
        super().__init__()
        self.setAutoDefault(False)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def hasHeightForWidth(self) -> bool:
        """Qt's own hook."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Qt's own hook."""
        layout = self.layout()
        return layout.totalHeightForWidth(width) if layout is not None else 24

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        layout = self.layout()
        return layout.sizeHint() if layout is not None else QSize(100, 24)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(60, self.heightForWidth(max(self.width(), 200)))


class CheckLine(WrappingButton):
    """A sign, a text, and a way to the setting it speaks of."""

    def __init__(self, tone: str, text: str, path: str) -> None:
        super().__init__()
        self.path = path
        self.setProperty("variant", "check-line")
        self.setObjectName(f"wizard.check.{path}")
        said = {"bad": tr("To correct"), "warn": tr("Worth a look"), "ok": tr("In order")}
        self.setAccessibleName(labelled(said[tone], text))
        self.setToolTip(tr("Go to the field") if path else "")
        t = tokens()
        picture = label()
        colour = {"bad": t.bad_text, "warn": t.warn_text, "ok": t.ok_text}[tone]
        picture.setPixmap(icons.pixmap(KINDS[tone], colour, 16))
        picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        words = label(text, wrap=True)
        layout = row(picture, words, spacing=10, margins=(4, 4, 4, 4))
        layout.setStretch(1, 1)
        for part in (picture, words):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setLayout(layout)
        if path:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        else:
            self.setFocusPolicy(Qt.FocusPolicy.NoFocus)


class BigChoice(WrappingButton):
    """A large choice with a title and a sentence."""

    def __init__(self, title: str, sentence: str, name: str) -> None:
        super().__init__()
        self.setProperty("variant", "choice")
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setAccessibleDescription(sentence)
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        parts = (label(title, "strong", wrap=True), label(sentence, "hint", wrap=True))
        for part in parts:
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setLayout(column(*parts, spacing=2, margins=(14, 9, 14, 9)))
