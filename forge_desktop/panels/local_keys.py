"""Keys that act on one page only: bound by their name in the table of commands, so that the sheet knows them all."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from forge_desktop.models.command_table import LOCAL

KEYS = {entry.key: entry.keys for entry in LOCAL}


def bind(page: QWidget, name: str, does: Callable[[], object]) -> None:
    """Have every key of an entry do something while the page is there."""
    for keys in KEYS[name]:
        QShortcut(QKeySequence(keys), page, does)
