"""The menu of a row: its deeds with their icons, and why one cannot be done now."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMenu, QWidget

from forge_desktop.theme import icons
from forge_desktop.theme.look import tokens

RowDeed = tuple[str, str, str, Callable[[], object], str]
"""Key, icon, text, what is done, and why it cannot be done now (empty: it can)."""


def pop_up(owner: QWidget, name: str, place: QPoint, fill: Callable[[QMenu], None]) -> None:
    """Open it there; it goes when it closes."""
    menu = QMenu(owner)
    menu.setObjectName(name)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    fill(menu)
    menu.popup(place)


def add_deeds(menu: QMenu, name: str, deeds: Iterable[RowDeed]) -> None:
    """One entry each, named `<name>.<key>`."""
    menu.setToolTipsVisible(True)
    t = tokens()
    for key, icon, text, do, why in deeds:
        action = menu.addAction(icons.icon(icon, t.secondary, 16, disabled=t.muted), text, do)
        action.setObjectName(f"{name}.{key}")
        action.setEnabled(not why)
        action.setToolTip(why)
