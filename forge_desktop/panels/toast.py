"""Short messages at the bottom right of the window: they come by themselves and go by themselves."""

from __future__ import annotations

from PySide6.QtCore import QEasingCurve, QEvent, QObject, QPoint, QPropertyAnimation, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QApplication, QFrame, QGraphicsDropShadowEffect, QWidget

from forge_desktop.models.notices import AGAIN, FAILURE, LOOKS, Notice, text, title
from forge_desktop.theme import icons
from forge_desktop.theme.controls import button, chip_colours, column, label, row
from forge_desktop.theme.language import sentences, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.motion import announce

WIDTH, GAP, MARGIN, SLIDE = 372, 10, 20, 24
FOOT = 84
"""Height that stays free below: the buttons of the page that is open must not be covered."""
MOST = 3
STAY_MS, AGAIN_MS, SLIDE_MS = 8000, 2000, 180
LONGEST = 150


class Toast(QFrame):
    """One message, with a way to what it speaks of."""

    opened = Signal(object)
    """The notice."""
    closed = Signal(object)
    """The toast."""

    def __init__(self, notice: Notice, stay_ms: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.notice = notice
        self._hovered = False
        self.setObjectName("toast")
        self.setProperty("role", "toast")
        self.setAccessibleName(sentences(f"{title(notice)}.", text(notice)))
        self.setFixedWidth(WIDTH)
        self._build()
        shadow = QGraphicsDropShadowEffect(self, blurRadius=24, xOffset=0, yOffset=6)
        colour = self.palette().shadow().color()
        colour.setAlpha(70)
        shadow.setColor(colour)
        self.setGraphicsEffect(shadow)
        self.slide = QPropertyAnimation(self, b"pos", self)
        self.slide.setDuration(SLIDE_MS)
        self.slide.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._stay = QTimer(self, singleShot=True, interval=stay_ms)
        self._stay.timeout.connect(self._time_is_up)
        self._stay.start()

    def _build(self) -> None:
        tone, icon = LOOKS[self.notice.kind]
        picture = label()
        picture.setPixmap(icons.pixmap(icon, chip_colours(tone)[0], 20))
        self.title = label(title(self.notice), "strong", wrap=True)
        said = text(self.notice)
        said = said if len(said) <= LONGEST else said[: LONGEST - 1].rstrip() + "…"
        self.text = label(said, "hint", wrap=True)
        words = tr("Show all") if not self.notice.address else tr("Open")
        self.open = button(words, "link", on_click=self._open, name="toast.open")
        self.close_button = button("", "quiet", "x", self.dismiss, "toast.close", tr("Close"))
        self.close_button.setFixedWidth(34)
        body = column(self.title, self.text, spacing=3)
        body.addLayout(row(self.open, None))
        layout = row(picture, spacing=12, margins=(16, 12, 8, 8))
        layout.setAlignment(picture, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(body, 1)
        layout.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self.setLayout(layout)
        QWidget.setTabOrder(self.close_button, self.open)  # as they are read: from the top
        self.text.setVisible(bool(said))  # not before it has a place: it would be a window of its own
        self.open.setVisible(self.notice.what != AGAIN)

    def heightForWidth(self, width: int) -> int:
        """Qt's own hook: wrapped words decide how tall it is."""
        layout = self.layout()
        return layout.totalHeightForWidth(width) if layout is not None else super().heightForWidth(width)

    @property
    def held(self) -> bool:
        """Somebody reads it, works in it, or has not come back to the window yet."""
        focus = QApplication.focusWidget()
        inside = focus is not None and self.isAncestorOf(focus)
        return self._hovered or inside or not self.window().isActiveWindow()

    @Slot()
    def dismiss(self) -> None:
        """Go away."""
        self._stay.stop()
        self.closed.emit(self)

    @Slot()
    def _time_is_up(self) -> None:
        if self.held:
            self._stay.start(AGAIN_MS)
        else:
            self.dismiss()

    def _open(self) -> None:
        self.opened.emit(self.notice)
        self.dismiss()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Qt's own hook."""
        super().enterEvent(event)
        self._hovered = True

    def leaveEvent(self, event: QEvent) -> None:
        """Qt's own hook."""
        super().leaveEvent(event)
        self._hovered = False


class Toasts(QObject):
    """At most three at once, the newest below; they keep to their corner when the window changes."""

    opened = Signal(object)
    """The notice somebody wants to see."""

    def __init__(self, parent: QWidget, still: bool = False, stay_ms: int = STAY_MS) -> None:
        super().__init__(parent)
        self._parent, self.still, self.stay_ms = parent, still, stay_ms
        self.list: list[Toast] = []
        self._back_to: QWidget | None = None
        parent.installEventFilter(self)

    def show(self, notice: Notice) -> None:
        """Let one appear; the oldest that nobody is reading makes room."""
        while len(self.list) >= MOST:
            free = [toast for toast in self.list if not toast.held]
            self._remove((free or self.list)[0])
        made = Toast(notice, self.stay_ms, self._parent)
        made.opened.connect(self.opened)
        made.closed.connect(self._remove)
        self.list.append(made)
        made.show()
        self.place()
        if not self.still:
            self._slide(made)
        announce(made, made.accessibleName(), urgent=notice.kind == FAILURE)

    def focus_newest(self) -> bool:
        """Bring the keyboard to the newest one; False if there is none."""
        if not self.list:
            return False
        self._back_to = QApplication.focusWidget()
        self.list[-1].open.setFocus(Qt.FocusReason.ShortcutFocusReason)
        return True

    def close_one(self) -> bool:
        """Close the one that has the keyboard, else the newest; False if there is none."""
        if not self.list:
            return False
        focus = QApplication.focusWidget()
        inside = [toast for toast in self.list if focus is not None and toast.isAncestorOf(focus)]
        self._remove((inside or self.list[-1:])[0])
        return True

    @Slot(object)
    def _remove(self, toast: Toast) -> None:
        if toast not in self.list:
            return
        focus = QApplication.focusWidget()
        had_focus = focus is not None and toast.isAncestorOf(focus)
        self.list.remove(toast)
        toast.hide()
        toast.deleteLater()
        if had_focus and self._back_to is not None and self._back_to.isVisible():
            self._back_to.setFocus()
        self.place()

    @Slot()
    def place(self) -> None:
        """Put them where they belong."""
        bottom = self._parent.height() - FOOT
        for toast in reversed(self.list):
            height = toast.heightForWidth(WIDTH)
            toast.setFixedHeight(height)
            there = QPoint(self._parent.width() - MARGIN - WIDTH, bottom - height)
            if toast.slide.state() == QPropertyAnimation.State.Running:
                toast.slide.setEndValue(there)
            else:
                toast.move(there)
            toast.raise_()
            bottom -= height + GAP

    def _slide(self, toast: Toast) -> None:
        there = toast.pos()
        toast.slide.setStartValue(there + QPoint(SLIDE, 0))
        toast.slide.setEndValue(there)
        toast.slide.finished.connect(self.place)
        toast.slide.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: the window grew or shrank."""
        if event.type() == QEvent.Type.Resize:
            self.place()
        return super().eventFilter(watched, event)


def ink(kind: str) -> str:
    """The colour of a kind's icon."""
    return chip_colours(LOOKS[kind][0])[0] if kind in LOOKS else tokens().secondary
