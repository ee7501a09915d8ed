"""A place for a widget that is made when it is first needed: what nobody looks at costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

Made = TypeVar("Made", bound=QWidget)


class Later(QWidget, Generic[Made]):
    """Empty until it is shown or asked for; then it holds the widget, in its place of the order of Tab."""

    def __init__(self, make: Callable[[], Made]) -> None:
        super().__init__()
        self._make: Callable[[], Made] | None = make
        self._made: Made | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)

    @property
    def is_made(self) -> bool:
        """Somebody needed it already."""
        return self._made is not None

    def made(self) -> Made:
        """The widget, made now if it was not yet."""
        if self._made is None:
            assert self._make is not None, "it is asked for while it is being made"
            make, self._make = self._make, None
            self._made = make()
            self.layout().addWidget(self._made)  # type: ignore[union-attr]
            come_after(self, self._made)
        return self._made

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook: nobody sees it empty."""
        super().showEvent(event)
        if self._made is None and self._make is not None:
            self.made()


def come_after(anchor: QWidget, late: QWidget) -> None:
    """Let Tab come to a widget that joined a window late, and to all in it, right after another widget.

    Qt puts it behind everything that was there before, and orders only what takes the keyboard.
    """
    inside, at = [late], late.nextInFocusChain()
    while at is not None and at is not late:
        if late.isAncestorOf(at):
            inside.append(at)
        at = at.nextInFocusChain()
    before = anchor
    for widget in inside:
        if widget.focusPolicy() != Qt.FocusPolicy.NoFocus or isinstance(widget, Later):
            _tab_order(before, widget)
            before = widget


def _tab_order(first: QWidget, second: QWidget) -> None:
    policies = [(widget, widget.focusPolicy()) for widget in (first, second)]
    for widget, policy in policies:
        if policy == Qt.FocusPolicy.NoFocus:  # a place where something will be made has one in the order, too
            widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    QWidget.setTabOrder(first, second)
    for widget, policy in policies:
        widget.setFocusPolicy(policy)
