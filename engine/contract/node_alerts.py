"""Alerts: when a reading stays past its limit for long, until it recovers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.errors import ErrorBody, UserError

AlertKind = Literal[
    "gpu_temperature", "gpu_idle", "gpu_memory_full", "gpu_lost", "disk_full", "unreachable", "run_stalled",
    "queue_long", "budget",
]  # fmt: skip
ALERT_KINDS: tuple[AlertKind, ...] = (
    "gpu_temperature", "gpu_idle", "gpu_memory_full", "gpu_lost", "disk_full", "unreachable", "run_stalled",
    "queue_long", "budget",
)  # fmt: skip


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class AlertRule(_Body):
    """When an alert is raised, and when it is over."""

    kind: AlertKind
    enabled: bool = True
    threshold: float
    """In the unit of its kind: °C, percent, minutes, share of the budget in percent."""
    recover: float
    """Back past this the alert is over: hysteresis."""
    minutes: float = Field(default=5.0, ge=0, le=10_000)
    """How long it must last."""
    node: str = ""
    """For this node only; empty: all."""


DEFAULT_RULES: tuple[AlertRule, ...] = (
    AlertRule(kind="gpu_temperature", threshold=85, recover=80, minutes=2),
    AlertRule(kind="gpu_idle", threshold=5, recover=15, minutes=30, enabled=False),
    AlertRule(kind="gpu_memory_full", threshold=98, recover=95, minutes=10),
    AlertRule(kind="gpu_lost", threshold=1, recover=0, minutes=0),
    AlertRule(kind="disk_full", threshold=90, recover=85, minutes=1),
    AlertRule(kind="unreachable", threshold=1, recover=0, minutes=1),
    AlertRule(kind="run_stalled", threshold=10, recover=0, minutes=0),
    AlertRule(kind="queue_long", threshold=60, recover=0, minutes=0),
    AlertRule(kind="budget", threshold=80, recover=80, minutes=0),
)


def rule_in_force(rules: Iterable[AlertRule], kind: AlertKind, node: str = "") -> AlertRule | None:
    """The rule for just this node, else the one for all; None where there is none that is on."""
    mine = [rule for rule in rules if rule.kind == kind and rule.node in ("", node)]
    chosen = max(mine, key=lambda rule: bool(rule.node), default=None)
    return chosen if chosen is not None and chosen.enabled else None


class AlertRules(_Body):
    """All rules, and where alerts are sent besides the window."""

    rules: list[AlertRule] = []
    targets: int = 0
    """How many addresses (apprise) are set; they are secrets and never come back."""
    trouble: ErrorBody | None = None
    """Why the latest alert did not reach all of them."""


class SetAlertRules(_Body):
    """Change all rules at once; kinds that are missing raise no alert."""

    rules: list[AlertRule]


class AlertSent(_Body):
    """Whether one address took a message."""

    place: str
    """Its service and which line it is; never the address itself."""
    sent: bool


class AlertsSent(_Body):
    """What came of a test."""

    results: list[AlertSent] = []


class Alert(_Body):
    """An alert: once, until it recovers."""

    id: int
    kind: AlertKind
    node: str = ""
    device: str = ""
    run: str = ""
    run_name: str = ""
    began: float
    ended: float | None = None
    acknowledged: bool = False
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    """The first person who said that they had seen it."""
    value: float = 0.0
    """The latest."""
    worst: float = 0.0
    threshold: float = 0.0
    minutes: float = 0.0
    params: dict[str, Any] = {}


class Alerts(_Body):
    """Those that are on, and the latest that are over."""

    alerts: list[Alert] = []


def words(alert: Alert) -> ErrorBody:
    """An alert as what, why and fix, to be said in any language by its code."""
    return UserError(f"alert.{alert.kind}", **figures(alert)).body()


def figures(alert: Alert) -> dict[str, Any]:
    """What its text names."""
    return {
        "node": alert.node, "device": alert.device, "run_name": alert.run_name, "value": f"{alert.value:.0f}",
        "worst": f"{alert.worst:.0f}", "threshold": f"{alert.threshold:g}", "minutes": f"{alert.minutes:g}",
        "spent": "", "currency": "", "budget": "", "days": "", **alert.params,
    }  # fmt: skip
