"""What a chart is handed: series with a name, a colour and a line, marks, and the switches it obeys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor

from forge_desktop.models.series_view import ChartAxis, CurveSource
from forge_desktop.theme.look import tokens

Range = tuple[float, float]
DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
"""Lines that differ without colour, by `ChartSeries.dash`."""
FAINT, GHOST = 0.42, 0.24
"""How much of its colour a raw and an overwritten line has; mixed, since drawing half transparent lines is slow."""


@dataclass
class ChartSeries:
    """One line of a chart."""

    label: str
    source: CurveSource
    colour: int = 0
    """Which of the theme's series colours; they repeat."""
    dash: int = 0
    """Which of `DASHES`; they repeat. Neighbours differ in colour and in line."""
    form: Literal["line", "dots"] = "line"
    """dots: measured seldom; each point is seen, joined by a dashed line."""
    smooth: bool = True
    """A strong moving average over the faint raw line; else the raw line is the strong one."""
    overwritten: bool = True
    """What a later attempt took the place of is seen, faint."""

    def ink(self, share: float = 1.0) -> QColor:
        """Its colour in the theme in force, or a faint one."""
        t = tokens()
        return mixed(t.series[self.colour % len(t.series)], t.surface, share)

    def line(self) -> Qt.PenStyle:
        """Its line."""
        return DASHES[self.dash % len(DASHES)]


@dataclass(frozen=True)
class ChartMark:
    """Something that happened at a step: an attempt began, a checkpoint was saved."""

    step: float
    text: str
    kind: Literal["attempt", "saved", "resumed", "guard"]
    short: str = ""
    """What fits beside a line."""


@dataclass
class ChartSwitches:
    """How curves are shown; plain values, so that they can be remembered."""

    smoothing: float = 0.9
    log: bool = False
    clip: bool = False
    axis: ChartAxis = "step"
    window: str = "all"
    """all, share (the last tenth), last (so many steps) or range."""
    last: float = 1000.0
    range: list[float] = field(default_factory=list)


class ChartLink(QObject):
    """What the charts of one page share: where the crosshair stands and what piece of x is seen."""

    moved = Signal()
    """The crosshair stands elsewhere."""
    zoomed = Signal()
    """Another piece is seen."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.x: float | None = None
        self.zoom: Range | None = None

    def point_at(self, x: float | None) -> None:
        """Put the crosshair somewhere, or away."""
        if x != self.x:
            self.x = x
            self.moved.emit()

    def look_at(self, zoom: Range | None) -> None:
        """See a piece of x; None: whatever the switches say."""
        if zoom != self.zoom:
            self.zoom = zoom
            self.zoomed.emit()


def mixed(colour: str, ground: str, share: float) -> QColor:
    """So much of a colour upon a ground."""
    one, other = QColor(colour), QColor(ground)
    return QColor(*(round(share * a + (1 - share) * b) for a, b in zip(_rgb(one), _rgb(other), strict=True)))


def _rgb(colour: QColor) -> tuple[int, int, int]:
    return colour.red(), colour.green(), colour.blue()
