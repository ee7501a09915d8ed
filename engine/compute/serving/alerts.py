"""Thresholds somebody should hear of: told once when they are passed, and once when that is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.compute.serving.audit import tell


@dataclass(frozen=True, slots=True)
class Threshold:
    """Begins above `on`, ends below `off`: between them it stays as it is."""

    code: str
    value: str
    on: float
    off: float


THRESHOLDS = (
    Threshold("serve.alert_first_token", "first_token", 5.0, 4.0),
    Threshold("serve.alert_queue", "queue", 0.8, 0.5),
    Threshold("serve.alert_errors", "errors", 0.1, 0.05),
    Threshold("serve.alert_cache", "cache", 0.95, 0.85),
)
"""Seconds to the first token (95th percentile), shares of the queue, of failed requests, and of the cache."""


@dataclass
class Alerts:
    """Those of an instance."""

    thresholds: tuple[Threshold, ...] = THRESHOLDS
    active: list[str] = field(default_factory=list)

    def look(self, values: Mapping[str, float]) -> list[str]:
        """Codes of what is passed now."""
        for one in self.thresholds:
            value, was = values.get(one.value, 0.0), one.code in self.active
            if not was and value > one.on:
                self.active.append(one.code)
                tell("alert begins", logging.WARNING, code=one.code, value=round(value, 3), threshold=one.on)
            elif was and value < one.off:
                self.active.remove(one.code)
                tell("alert ends", code=one.code, value=round(value, 3), threshold=one.off)
        return list(self.active)
