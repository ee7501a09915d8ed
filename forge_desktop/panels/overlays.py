"""What lies over the page: the palette, the panel with notices or help, and messages."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from forge_desktop.models.notice_book import NoticeBook
from forge_desktop.models.palette_model import PaletteModel
from forge_desktop.panels.help_panel import HelpPanel
from forge_desktop.panels.notice_center import NoticeCenter
from forge_desktop.panels.palette import Palette
from forge_desktop.panels.side_panel import SidePanel
from forge_desktop.panels.toast import Toasts
from forge_desktop.theme.language import tr


class Overlays(QObject):
    """Made anew with the window's widgets."""

    navigate = Signal(str)
    command = Signal(str)
    notice_opened = Signal(object)

    def __init__(
        self, frame: QWidget, book: NoticeBook, make_palette: Callable[[QObject], PaletteModel], still: bool
    ) -> None:
        super().__init__(frame)
        self._book = book
        self.panel = SidePanel(frame)
        self.toasts = Toasts(frame, still)
        self.palette = Palette(frame, make_palette)

    def show_notices(self, kind: str = "all") -> None:
        """The notice centre."""
        center = NoticeCenter(self._book, kind)
        center.opened.connect(self.notice_opened)
        center.navigate.connect(self.navigate)
        self.panel.present(center, tr("Notices"))

    def toggle_notices(self) -> None:
        """Open the notice centre, or close it."""
        if isinstance(self.panel.content, NoticeCenter):
            self.panel.dismiss()
        else:
            self.show_notices()

    def show_help(self, topic: str) -> None:
        """A help topic."""
        helping = HelpPanel(topic)
        helping.navigate.connect(self.navigate)
        helping.command.connect(self.command)
        self.panel.present(helping, tr("Help"))

    def toggle_help(self, topic: str) -> None:
        """Help for a topic; closed if it shows that already."""
        content = self.panel.content
        if not isinstance(content, HelpPanel):
            self.show_help(topic)
        elif content.topic == topic:
            self.panel.dismiss()
        else:
            content.show_topic(topic)

    def close_one(self) -> bool:
        """Close what lies on top; False if there is nothing."""
        if self.palette.isVisible():
            self.palette.dismiss()
        elif self.panel.content is not None:
            self.panel.dismiss()
        elif not self.toasts.close_one():
            return False
        return True
