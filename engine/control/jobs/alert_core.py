"""When an alert begins and ends: values in, alerts out. Pure: it asks nobody, and no clock but the one it is given.

An alert is raised once its value was past the limit for long enough, and then not again until it has recovered:
back past the rule's second limit. What is not known at the moment changes nothing; what no longer exists is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.contract.alert_check import LOW
from engine.contract.node_alerts import Alert, AlertKind, AlertRule, rule_in_force

GAP_S = 60.0
"""Nothing was known for so long: that it lasted all the time is no longer said."""
TELL_EVERY_S = 60.0
WORSE_BY = 1.0


@dataclass(frozen=True)
class Sight:
    """One thing that is looked at now. `value` None: it exists, and nothing is known of it at the moment."""

    kind: AlertKind
    subject: str
    value: float | None
    node: str = ""
    device: str = ""
    run: str = ""
    run_name: str = ""
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """An alert began, got worse, or is over."""

    what: Literal["raised", "worse", "over"]
    subject: str
    alert: Alert


@dataclass
class _Watched:
    """What is remembered of one subject."""

    since: float | None = None
    """Past the limit since then, by the monotonic clock."""
    known: float = 0.0
    alert: Alert | None = None
    told: float = 0.0
    told_worst: float = 0.0


class Watcher:
    """Remembers what is past its limit, and for how long."""

    def __init__(self, on: Iterable[tuple[str, Alert]] = ()) -> None:
        """`on`: subjects and alerts that an earlier controller raised and that are not over."""
        self._watched: dict[tuple[str, str], _Watched] = {
            (alert.kind, subject): _Watched(alert=alert, told_worst=alert.worst) for subject, alert in on
        }

    @property
    def on(self) -> list[tuple[str, Alert]]:
        """Subjects and alerts that are on."""
        return [(subject, one.alert) for (_kind, subject), one in self._watched.items() if one.alert is not None]

    def keep(self, kind: str, subject: str, alert: Alert) -> None:
        """The alert as it was stored: it has its id now."""
        if (kind, subject) in self._watched:
            self._watched[kind, subject].alert = alert

    def look(self, rules: Sequence[AlertRule], sights: Iterable[Sight], clock: float, at: float) -> list[Change]:
        """What changed. `clock` never goes back; `at` is the time of day, for people."""
        changes: list[Change] = []
        seen: set[tuple[str, str]] = set()
        for sight in sights:
            rule = rule_in_force(rules, sight.kind, sight.node)
            if rule is None:
                continue
            seen.add((sight.kind, sight.subject))
            one = self._watched.setdefault((sight.kind, sight.subject), _Watched(known=clock))
            change = _judge(one, rule, sight, clock, at)
            if change is not None:
                changes.append(change)
        for key in [key for key in self._watched if key not in seen]:
            alert = self._watched.pop(key).alert
            if alert is not None:
                changes.append(Change("over", key[1], alert.model_copy(update={"ended": at})))
        return changes


def past(rule: AlertRule, value: float) -> bool:
    """The value is past the limit."""
    return value <= rule.threshold if rule.kind in LOW else value >= rule.threshold


def recovered(rule: AlertRule, value: float) -> bool:
    """It has come back far enough."""
    back = value >= rule.recover if rule.kind in LOW else value <= rule.recover
    return back and not past(rule, value)


def _judge(one: _Watched, rule: AlertRule, sight: Sight, clock: float, at: float) -> Change | None:
    value = sight.value
    if value is None:
        return None
    gap, one.known = clock - one.known > GAP_S, clock
    if one.alert is not None:
        return _while_on(one, one.alert, rule, replace(sight, value=value), clock, at)
    if not past(rule, value):
        one.since = None
        return None
    if one.since is None or gap:
        one.since = clock
    if clock - one.since < rule.minutes * 60:
        return None
    alert = Alert(
        id=0, kind=sight.kind, node=sight.node, device=sight.device, run=sight.run, run_name=sight.run_name, began=at,
        value=value, worst=value, threshold=rule.threshold, minutes=rule.minutes, params=sight.params,
    )  # fmt: skip
    one.alert, one.told, one.told_worst = alert, clock, value
    return Change("raised", sight.subject, alert)


def _while_on(one: _Watched, alert: Alert, rule: AlertRule, sight: Sight, clock: float, at: float) -> Change | None:
    value = sight.value or 0.0
    low = rule.kind in LOW
    worst = min(alert.worst, value) if low else max(alert.worst, value)
    now = alert.model_copy(update={"value": value, "worst": worst, "params": sight.params or alert.params})
    if recovered(rule, value):
        one.alert, one.since = None, None
        return Change("over", sight.subject, now.model_copy(update={"ended": at}))
    one.alert = now
    if abs(worst - one.told_worst) >= WORSE_BY and clock - one.told >= TELL_EVERY_S:
        one.told, one.told_worst = clock, worst
        return Change("worse", sight.subject, now)
    return None
