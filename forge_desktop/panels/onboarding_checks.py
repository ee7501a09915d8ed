"""The second of the first steps: what was found on this computer, and what to do where something is missing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from forge_desktop.models.first_checks import (
    BAD,
    FAIR,
    GOOD,
    WAITING,
    WORKER,
    Check,
    FirstChecks,
)
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, button, chip_colours, column, label, row
from forge_desktop.theme.language import explain, sentences, tr, word
from forge_desktop.theme.measures import size

COMMAND = "forge worker install"
LOOKS = {
    WAITING: ("plain", "loader-circle"),
    GOOD: ("ok", "circle-check"),
    FAIR: ("info", "info"),
    BAD: ("bad", "circle-alert"),
}


class ChecksCard(Card):
    """Four lines; the one that is missing says how to help."""

    def __init__(self, checks: FirstChecks, go: Callable[[str], object]) -> None:
        super().__init__(tr("What was found on this computer"), margins=(28, 24, 28, 26))
        self._checks = checks
        again = button(tr("Check again"), "link", "refresh-cw", checks.look, "welcome.again")
        self.head.addStretch(1)
        self.head.addWidget(again)
        self._lines = {name: _Line(name) for name in checks.found}
        for line in self._lines.values():
            self.body.addWidget(line)
        self._help = QWidget()
        self._help.setObjectName("welcome.worker.help")
        self._command = label(COMMAND, "excerpt", select=True)
        copy = button(tr("Copy"), "default", "copy", self._copy, "welcome.copy")
        open_settings = button(
            tr("Create one in the settings"), "default", "settings", lambda: go("settings/workers"), "welcome.workers"
        )
        said = label(tr("Training runs in an environment of its own with PyTorch. Create one, or type:"), wrap=True)
        self._help.setLayout(column(said, spacing=10, margins=(34, 0, 0, 0)))
        layout = self._help.layout()
        if layout is not None:
            buttons = QWidget()
            buttons.setLayout(row(self._command, copy, None, open_settings, spacing=10))
            layout.addWidget(buttons)
        self.body.addWidget(self._help)
        checks.changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show what is known by now."""
        for name, line in self._lines.items():
            line.show_check(self._checks.found[name])
        self._help.setVisible(self._checks.found[WORKER].state == BAD)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(COMMAND)


class _Line(QWidget):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.setObjectName(f"welcome.check.{name}")
        self._picture = label()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._title, self._text = label("", "strong", wrap=True), label("", "hint", wrap=True)
        layout = row(self._picture, spacing=14)
        layout.addLayout(column(self._title, self._text, spacing=2), 1)
        self.setLayout(layout)

    def show_check(self, check: Check) -> None:
        """Its icon, and what was found."""
        tone, icon = LOOKS[check.state]
        self._picture.setPixmap(icons.pixmap(icon, chip_colours(tone)[0], 20))
        title, text = said(self._name, check)
        self._title.setText(f"{title} · {word('check', check.state)}")
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self.setAccessibleName(sentences(f"{self._title.text()}.", text))


def said(name: str, check: Check) -> tuple[str, str]:
    """What a check is called, and what it found."""
    waits = check.state == WAITING
    match name:
        case "controller":
            return tr("Job controller"), _controller(check)
        case "worker":
            found = tr("Python at {path}", path=check.facts.get("python", ""))
            found = found if check.state == GOOD else tr("There is none.")
            return tr("Environment for training"), "" if waits else found
        case "device":
            return tr("Device"), "" if waits else _device(check)
        case _:
            return tr("Room on the disk"), "" if waits else _disk(check)


def _controller(check: Check) -> str:
    if check.error is not None:
        what, why, _fix = explain(check.error)
        return sentences(what, why)
    return tr("Answers, version {version}", version=check.facts["version"]) if check.state == GOOD else ""


def _device(check: Check) -> str:
    memory = check.facts.get("memory")
    name = " · ".join(filter(None, (str(check.facts.get("name", "")), size(float(str(memory))) if memory else "")))
    if check.facts.get("gpus"):
        return name
    return sentences(f"{name}." if name else "", tr("No GPU was found: small models train on the processor, slowly."))


def _disk(check: Check) -> str:
    if "free" not in check.facts:
        return tr("It could not be told.")
    free = size(float(str(check.facts["free"])))
    text = tr("{free} are free in {folder}", free=free, folder=check.facts.get("folder", ""))
    return text if check.state == GOOD else sentences(f"{text}.", tr("Make room, or choose another data folder."))
