"""Versions, logs, shortcuts, and the bundle of diagnostics, which is shown before it is saved."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import PySide6
from PySide6.QtCore import QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QWidget,
)

from engine.contract.api import Health
from engine.contract.diagnostics import Bundle
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.session import Session
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Card, button, column, label, row, set_enabled
from forge_desktop.theme.language import labelled, tr, word
from forge_desktop.theme.measures import size

FILE_NAME = "loraforge-diagnostics.zip"


class HelpPanel(QWidget):
    """Everything a report begins with."""

    def __init__(self, session: Session, go: Callable[[str], object]) -> None:
        super().__init__()
        self._session = session
        self._logs: Path | None = None
        self._values: dict[str, object] = {}
        versions = Card(tr("Versions"), margins=(20, 16, 20, 18))
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(24)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        versions.body.addLayout(self._grid)
        self._open = button(tr("Open the logs"), icon="folder-open", on_click=self._open_logs, name="help.logs")
        set_enabled(self._open, False, tr("The job controller does not answer."))
        keys = button(tr("Shortcuts"), icon="keyboard", on_click=lambda: go("shortcuts"), name="help.shortcuts")
        versions.body.addLayout(row(self._open, keys, None))
        self.setLayout(column(versions, self._bundle_card(), spacing=14))
        session.online.connect(self._fetch)
        self._show(None)
        self._fetch()

    def _bundle_card(self) -> Card:
        card = Card(tr("Diagnostics"), margins=(20, 16, 20, 18))
        text = tr("One file with versions, settings, logs, and why the last runs failed. Names of you and this "
                  "computer, tokens, addresses and paths are replaced; training data is never in it.")  # fmt: skip
        self._hide = QCheckBox(tr("Also hide names of models, datasets and runs"))
        self._hide.setObjectName("help.hide")
        self._gather = button(tr("Gather…"), "primary", "life-buoy", self._collect, name="help.gather")
        self._error = ErrorCard("help.error")
        card.body.addWidget(label(text, "hint", wrap=True))
        card.body.addLayout(row(self._hide, None, self._gather))
        card.body.addWidget(self._error)
        return card

    @Slot()
    def _fetch(self) -> None:
        self._session.ask(lambda b: b.health(), self._show, lambda _error: None, owner=self)

    def _show(self, health: Health | None) -> None:
        values = [
            (tr("Desktop"), f"Python {platform.python_version()} · Qt {PySide6.__version__}"),
            (tr("System"), f"{platform.system()} {platform.release()} · {platform.machine()}"),
            (tr("Job controller"), health.version if health else tr("does not answer")),
            (tr("Data"), health.home if health else "—"),
        ]
        for place, (name, value) in enumerate(values):
            for item in (self._grid.itemAtPosition(place, 0), self._grid.itemAtPosition(place, 1)):
                old = item.widget() if item is not None else None
                if old is not None:
                    old.deleteLater()
            self._grid.addWidget(label(name, "label"), place, 0)
            self._grid.addWidget(label(value, wrap=True, select=True), place, 1)
        if health is not None and health.home:
            self._logs = Path(health.home) / "logs"
            set_enabled(self._open, True)

    def _open_logs(self) -> None:
        if self._logs is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._logs)))

    def _collect(self) -> None:
        hide = self._hide.isChecked()
        self._error.show_error(None)
        self._gather.setText(" " + tr("Gathering…"))
        set_enabled(self._gather, False, tr("It takes a moment."))
        self._session.transfer(lambda b: b.diagnostics(hide), self._gathered, self._failed, owner=self)

    def _gathered(self, bundle: Bundle) -> None:
        self._ready_again()
        BundleDialog(self._session, bundle, self.window()).open()

    def _failed(self, error: ErrorBody) -> None:
        self._ready_again()
        self._error.show_error(error)

    def _ready_again(self) -> None:
        self._gather.setText(" " + tr("Gather…"))
        set_enabled(self._gather, True)


class BundleDialog(QDialog):
    """Every file of the bundle, to be read before it is saved."""

    def __init__(self, session: Session, bundle: Bundle, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("bundle")
        self.setWindowTitle(tr("Diagnostics"))
        self.resize(860, 600)
        self._session, self._bundle = session, bundle
        self._list = QListWidget()
        self._list.setAccessibleName(tr("Files"))
        self._list.setFixedWidth(240)
        self._list.setSpacing(3)
        for part in bundle.files:
            self._list.addItem(QListWidgetItem(f"{part.name}\n{size(len(part.text.encode()))}"))
        self._text = QPlainTextEdit()
        self._text.setProperty("role", "log")
        self._text.setReadOnly(True)
        self._text.setAccessibleName(tr("Content"))
        self._text.setObjectName("bundle.text")
        self._list.currentRowChanged.connect(self._show)
        self._error = ErrorCard("bundle.error")
        self._save = button(tr("Save…"), "primary", "save", self._choose, name="bundle.save")
        card = Card(margins=(4, 4, 4, 4))
        parts = row(self._list, self._text, spacing=8)
        parts.setStretch(1, 1)
        card.body.addLayout(parts)
        hint = label(self._replaced(), "hint", wrap=True)
        hint.setObjectName("bundle.replaced")
        layout = column(label(tr("This is everything that will be saved"), "card-title"), hint, spacing=10,
                        margins=(20, 18, 20, 18))  # fmt: skip
        layout.addWidget(card, 1)
        layout.addWidget(self._error)
        layout.addLayout(row(None, button(tr("Close"), on_click=self.reject, name="bundle.close"), self._save))
        self.setLayout(layout)
        self._list.setCurrentRow(0)

    def _replaced(self) -> str:
        if not self._bundle.replaced:
            return tr("Nothing had to be replaced.")
        parts = ", ".join(f"{word('replaced', kind)} {n}" for kind, n in self._bundle.replaced.items())
        return labelled(tr("Replaced"), parts)

    @Slot(int)
    def _show(self, place: int) -> None:
        if 0 <= place < len(self._bundle.files):
            self._text.setPlainText(self._bundle.files[place].text)

    def _choose(self) -> None:
        chosen, _filter = QFileDialog.getSaveFileName(self, tr("Save diagnostics"), FILE_NAME, "*.zip")
        if chosen:
            self.save_to(Path(chosen))

    def save_to(self, file: Path) -> None:
        """Write it there."""
        bundle = self._bundle
        self._session.transfer(
            lambda b: b.save_diagnostics(bundle, file), lambda _none: self.accept(), self._error.show_error, owner=self
        )
