"""All ended runs as points: what came of each against what it took, which are best so far, and what is said of one."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.contract.csv_cells import harmless
from engine.contract.listing import RunPoint
from forge_desktop.bridge.points import Floats
from forge_desktop.models.compare_model import value_of
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.measures import duration, figure, money, percent

FIELDS = ("uid", "name", "created", "seconds", "cost", "steps", "loss", "validation_loss", "score", "n")


@dataclass(frozen=True)
class Axis:
    """What one axis shows of a point."""

    key: str
    form: str
    more_is_better: bool = False

    def written(self, value: float, currency: str) -> str:
        """The value for people."""
        if self.form == "seconds":
            return duration(value)
        if self.form == "share":
            return percent(value, 1)
        return money(value, currency) if self.key == "cost" else figure(value)


QUALITIES = {
    "score": Axis("score", "share", more_is_better=True),
    "validation_loss": Axis("validation_loss", "number"),
    "loss": Axis("loss", "number"),
}
PRICES = {"seconds": Axis("seconds", "seconds"), "cost": Axis("cost", "number")}


def best_so_far(x: Floats, y: Floats, more: bool) -> tuple[Floats, Floats]:
    """The points that beat everything that took no more, by rising x."""
    order = np.lexsort((-y if more else y, x))
    x, y = x[order], y[order]
    running = np.maximum.accumulate(y) if more else np.minimum.accumulate(y)
    better = np.append(True, running[1:] != running[:-1]) if len(y) else np.empty(0, bool)
    return x[better], y[better]


@dataclass
class Picture:
    """The points by what they took."""

    quality: Axis = QUALITIES["score"]
    price: Axis = PRICES["seconds"]
    points: list[RunPoint] = field(default_factory=list)
    x: Floats = field(default_factory=lambda: np.empty(0))
    y: Floats = field(default_factory=lambda: np.empty(0))
    letters: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Of the runs that are compared: place and letter."""
    currency: str = "USD"

    @classmethod
    def of(
        cls, points: Sequence[RunPoint], letters: dict[str, tuple[int, str]], quality: str, price: str, currency: str
    ) -> Picture:
        """Those of which both values are known."""
        usable = [(point, value_of(point, price), value_of(point, quality)) for point in points]
        kept = [(point, x, y) for point, x, y in usable if x is not None and y is not None]
        kept.sort(key=lambda found: found[1])
        x, y = np.array([one[1] for one in kept], float), np.array([one[2] for one in kept], float)
        return cls(QUALITIES[quality], PRICES[price], [one[0] for one in kept], x, y, letters, currency)

    def best_line(self) -> tuple[Floats, Floats]:
        """The best so far."""
        return best_so_far(self.x, self.y, self.quality.more_is_better)

    def cells(self, place: int) -> tuple[str, str, str]:
        """Name, what came of it, what it took."""
        point = self.points[place]
        letter = self.letters.get(point.uid)
        return (
            f"{letter[1]} · {point.name}" if letter else point.name,
            self.quality.written(float(self.y[place]), self.currency),
            self.price.written(float(self.x[place]), self.currency),
        )

    def said(self, place: int) -> str:
        """What a tooltip says of a run."""
        name, quality, price = self.cells(place)
        near = self.points[place].n - 1
        more = "\n" + count(near, "{n} more run lies here", "{n} more runs lie here") if near > 0 else ""
        return f"{name}\n{quality} · {price}{more}"

    def as_csv(self) -> bytes:
        """All of them for a spreadsheet."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(FIELDS)
        for point in self.points:
            writer.writerow([harmless(point.name) if field == "name" else getattr(point, field) for field in FIELDS])
        return out.getvalue().encode("utf-8-sig")


def table_heads(picture: Picture) -> tuple[str, str, str]:
    """What the columns of the table are called."""
    qualities = {"score": tr("Score after"), "validation_loss": tr("Validation loss"), "loss": tr("Final loss")}
    return tr("Run"), qualities[picture.quality.key], tr("Time") if picture.price.key == "seconds" else tr("Cost")
