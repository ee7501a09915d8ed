"""Alerts as the Nodes page follows them: those that are on, the rules in force, and at what a node counts as hot."""

from __future__ import annotations

import math
from functools import partial

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.node_alerts import DEFAULT_RULES, Alert, AlertRule, AlertRules, Alerts, rule_in_force
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session


class NodeAlerts(QObject):
    """What the controller says of alerts. Not replayed by the stream: asked for whenever it answers again."""

    changed = Signal(str)
    """Of this node; an empty name: of any."""
    failed = Signal(object)
    """ErrorBody of an acknowledgement that was refused."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._alerts: dict[int, Alert] = {}
        self._told: dict[int, Alert] = {}
        """Since the latest question."""
        self.rules: list[AlertRule] = list(DEFAULT_RULES)
        """The usual ones until the controller has said."""
        session.online.connect(self.fetch)
        session.alert_changed.connect(self._changed)
        session.alert_rules_changed.connect(self.use_rules)
        if session.is_online:
            self.fetch()

    @Slot()
    def fetch(self) -> None:
        """Ask for both. What is told meanwhile is newer than the answer."""
        self._told.clear()

        def got(found: tuple[Alerts, AlertRules]) -> None:
            known = {one.id: one for one in found[0].alerts} | self._told
            self._alerts = {number: one for number, one in known.items() if one.ended is None}
            self.use_rules(found[1].rules)

        self._session.ask(lambda b: (b.alerts(), b.alert_rules()), got, lambda _error: None, owner=self)

    @Slot(object)
    def use_rules(self, rules: list[AlertRule]) -> None:
        """Somebody changed them, in whichever window."""
        self.rules = list(rules)
        self.changed.emit("")

    @Slot(object)
    def _changed(self, alert: Alert) -> None:
        self._told[alert.id] = alert
        if alert.ended is None:
            self._alerts[alert.id] = alert
        else:
            self._alerts.pop(alert.id, None)
        self.changed.emit(alert.node)

    @property
    def raised(self) -> list[Alert]:
        """Those that are on, the oldest first; who has seen them stands in them."""
        return sorted(self._alerts.values(), key=lambda alert: (alert.began, alert.id))

    def of(self, node: str) -> list[Alert]:
        """Those of one node."""
        return [alert for alert in self.raised if alert.node == node]

    def heat_rule(self, node: str) -> AlertRule | None:
        """The rule of temperature in force for a node; None where none is on."""
        return rule_in_force(self.rules, "gpu_temperature", node)

    def hot_at(self, node: str) -> float:
        """°C at which a node counts as hot now: the limit; once its alert is on, all above where that is over."""
        rule = self.heat_rule(node)
        if rule is None:
            return math.inf
        on = any(alert.kind == "gpu_temperature" for alert in self.of(node))
        return math.nextafter(min(rule.recover, rule.threshold), math.inf) if on else rule.threshold

    def acknowledge(self, *numbers: int) -> None:
        """Somebody has seen these: the controller keeps it, and tells every window."""
        for number in numbers:
            self._session.ask(partial(_acknowledge, number), self._changed, self.failed.emit, owner=self)


def _acknowledge(number: int, backend: Backend) -> Alert:
    return backend.acknowledge(number)
