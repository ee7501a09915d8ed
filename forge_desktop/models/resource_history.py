"""What the machine has been doing since the window opened, in a bounded number of points."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.stream import Resources
from forge_desktop.bridge.session import Session

MOST = 240


class Trail:
    """The course of a value: when there are too many points, each two become one."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._each, self._sum, self._n = 1, 0.0, 0

    def add(self, value: float) -> None:
        """One more reading."""
        self._sum, self._n = self._sum + value, self._n + 1
        if self._n < self._each:
            return
        self.values.append(self._sum / self._n)
        self._sum, self._n = 0.0, 0
        if len(self.values) >= MOST:
            pairs = zip(self.values[::2], self.values[1::2], strict=True)
            self.values = [(one + other) / 2 for one, other in pairs]
            self._each *= 2


def gpus(now: Resources) -> list[str]:
    """The keys of the GPUs that report."""
    return sorted({name.partition(".")[0] for name in now.values if name.startswith("gpu")})


def load_of(now: Resources) -> float | None:
    """Mean utilisation of all GPUs, without one of the processor, in per cent."""
    found = [now.values[f"{key}.utilisation"] for key in gpus(now) if f"{key}.utilisation" in now.values]
    return sum(found) / len(found) if found else now.values.get("cpu.utilisation")


def memory_of(now: Resources) -> tuple[float | None, float | None]:
    """Used and total bytes of all GPUs together, without one of the computer."""
    keys = gpus(now)
    if not keys:
        return now.values.get("ram.used"), now.values.get("ram.total")
    used, total = (sum(now.values.get(f"{key}.memory_{what}", 0.0) for key in keys) for what in ("used", "total"))
    return used, total or None


class ResourceHistory(QObject):
    """Listens as long as the session lives, so that going to another page loses nothing."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.now: Resources | None = None
        self.trails: dict[str, Trail] = {name: Trail() for name in ("slots", "load", "memory", "wait", "spend")}
        session.resources.connect(self._heard)

    @classmethod
    def of(cls, session: Session) -> ResourceHistory:
        """The one of a session, made when it is first asked for."""
        return next((child for child in session.children() if isinstance(child, cls)), None) or cls(session)

    @Slot(object)
    def _heard(self, now: Resources) -> None:
        self.now = now
        readings = {"slots": float(now.used.get("gpu", 0)), "load": load_of(now), "memory": memory_of(now)[0]}
        for name, value in readings.items():
            if value is not None:
                self.trails[name].add(value)
        self.changed.emit()

    def note(self, name: str, value: float) -> None:
        """A reading from elsewhere: the queue's wait, what was spent."""
        self.trails[name].add(value)
        self.changed.emit()
