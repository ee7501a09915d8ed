"""What is remembered of charts: switches and the chosen metric for all runs, the zoom for each run."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, TypeVar

from forge_desktop.bridge.preferences import Preferences

SWITCHES, ZOOM, METRIC = "charts", "charts.zoom", "charts.metric"
ZOOMS_KEPT = 50
Plain = TypeVar("Plain")


class ChartMemory:
    """Reads and writes the preferences; without any, it forgets when the page goes."""

    def __init__(self, preferences: Preferences | None) -> None:
        self._preferences = preferences

    def switches(self, kind: type[Plain]) -> Plain:
        """The switches as they were left; what cannot be used (of another version, say) is left out."""
        made = kind()
        known = self._get(SWITCHES, {})
        for field in fields(kind):  # type: ignore[arg-type]
            value, default = known.get(field.name), getattr(made, field.name)
            if isinstance(value, type(default)) or (isinstance(default, float) and isinstance(value, int)):
                setattr(made, field.name, value)
        return made

    def keep_switches(self, switches: Any) -> None:
        """Remember them."""
        self._set(SWITCHES, asdict(switches))

    def metric(self) -> str:
        """The metric that was looked at."""
        return str(self._get(METRIC, "") or "")

    def keep_metric(self, metric: str) -> None:
        """Remember it."""
        self._set(METRIC, metric)

    def zoom(self, uid: str, axis: str) -> tuple[float, float] | None:
        """The piece of x that was seen of a run, along this axis."""
        match self._get(ZOOM, {}).get(uid):
            case [str(known), float() | int() as low, float() | int() as high] if known == axis and low < high:
                return (float(low), float(high))
            case _:
                return None

    def keep_zoom(self, uid: str, axis: str, zoom: tuple[float, float] | None) -> None:
        """Remember it, of the last runs."""
        known = {run: kept for run, kept in self._get(ZOOM, {}).items() if run != uid}
        if zoom is not None:
            known[uid] = [axis, *zoom]
        self._set(ZOOM, dict(list(known.items())[-ZOOMS_KEPT:]))

    def _get(self, name: str, default: Any) -> Any:
        found = default if self._preferences is None else self._preferences.get(name, default)
        return found if isinstance(found, type(default)) else default

    def _set(self, name: str, value: Any) -> None:
        if self._preferences is not None:
            self._preferences.set(name, value)
