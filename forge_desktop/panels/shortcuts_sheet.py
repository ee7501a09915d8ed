"""The keyboard shortcuts on one sheet, made from the table of commands; it can be saved to be printed."""

from __future__ import annotations

import html
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QMarginsF
from PySide6.QtGui import QPageLayout, QPageSize, QPdfWriter, QTextDocument
from PySide6.QtWidgets import QDialog, QFileDialog, QWidget

from engine.contract.durable import write_durably
from engine.contract.errors import UserError
from forge_desktop.bridge.session import Session
from forge_desktop.models.command_table import EVERY_KEY, GROUP_TEXTS, Entry
from forge_desktop.models.commands import command_text, group_text, keys_text
from forge_desktop.theme.controls import button, column, label, row, scrolled
from forge_desktop.theme.language import explain, sentences, tr

DOTS_PER_INCH = 150


def groups() -> list[tuple[str, list[Entry]]]:
    """Every entry with keys, by group, in the order of the table."""
    found = {group: [entry for entry in EVERY_KEY if entry.group == group and entry.keys] for group in GROUP_TEXTS}
    return [(group, entries) for group, entries in found.items() if entries]


class ShortcutsSheet(QDialog):
    """All keys, by group."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self.setObjectName("shortcuts")
        self.setWindowTitle(tr("Keyboard shortcuts"))
        self.resize(820, 560)
        self._said = label("", "hint", wrap=True)
        self._said.setObjectName("shortcuts.said")
        inner = QWidget()
        made = [_group(group, entries) for group, entries in groups()]
        left, right = column(*made[:1], None, spacing=18), column(*made[1:], None, spacing=18)
        columns = row(spacing=40, margins=(0, 0, 8, 0))
        columns.addLayout(left, 1)
        columns.addLayout(right, 1)
        inner.setLayout(columns)
        save = button(tr("Save as PDF to print…"), "default", "printer", self._ask_file, "shortcuts.save")
        close = button(tr("Close"), "primary", on_click=self.accept, name="shortcuts.close")
        layout = column(label(self.windowTitle(), "title"), scrolled(inner), spacing=14, margins=(22, 18, 18, 18))
        layout.setStretch(1, 1)
        feet = row(save, self._said, close, spacing=12)
        feet.setStretch(1, 1)
        layout.addLayout(feet)
        self.setLayout(layout)
        close.setFocus()

    def _ask_file(self) -> None:
        dialog = QFileDialog(self, tr("Keyboard shortcuts"), filter="PDF (*.pdf)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("pdf")
        dialog.selectFile("loraforge-shortcuts.pdf")
        dialog.fileSelected.connect(lambda file: self.save(Path(file)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def save(self, file: Path) -> None:
        """Write the sheet as a PDF."""
        content = as_pdf()
        self._session.transfer(
            lambda _backend: _write(file, content),
            lambda _done: self._said.setText(tr("Saved as {path}", path=str(file))),
            lambda error: self._said.setText(sentences(*explain(error))),
            self,
        )


def _group(group: str, entries: list[Entry]) -> QWidget:
    made = QWidget()
    layout = column(label(group_text(group), "section"), spacing=7)
    for entry in entries:
        text = label(command_text(entry), wrap=True)
        line = row(text, spacing=12)
        line.setStretch(0, 1)
        for keys in entry.keys:
            cap = label(_named(keys), "key")
            cap.setAccessibleName(f"{command_text(entry)}: {_named(keys)}")
            line.addWidget(cap)
        layout.addLayout(line)
    layout.addStretch(1)
    made.setLayout(layout)
    return made


def _named(keys: str) -> str:
    return {"Up": "↑", "Down": "↓"}.get(keys) or keys_text(keys)


def as_html() -> str:
    """The sheet as a page."""
    parts = [f"<h1>{html.escape(tr('Keyboard shortcuts'))}</h1>"]
    for group, entries in groups():
        rows = "".join(
            f"<tr><td width='62%'>{html.escape(command_text(entry))}</td>"
            f"<td><b>{html.escape(' · '.join(map(_named, entry.keys)))}</b></td></tr>"
            for entry in entries
        )
        parts.append(f"<h3>{html.escape(group_text(group))}</h3><table width='100%' cellpadding='3'>{rows}</table>")
    return "".join(parts)


def as_pdf() -> bytes:
    """The sheet on A4, in memory."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    writer.setResolution(DOTS_PER_INCH)
    writer.setTitle(tr("Keyboard shortcuts"))
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    writer.setPageMargins(QMarginsF(18, 16, 18, 16), QPageLayout.Unit.Millimeter)
    document = QTextDocument()
    document.setDefaultStyleSheet("body, td { color: black; }")
    document.setHtml(as_html())
    document.print_(writer)
    buffer.close()
    return bytes(buffer.data().data())


def _write(file: Path, content: bytes) -> None:
    """On a thread: put it on the disk."""
    try:
        write_durably(file, content)
    except OSError as error:
        raise UserError("desktop.file_unwritable", file=str(file), detail=str(error)) from error
