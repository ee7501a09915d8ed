"""Alerts over a replay: rules, alerts and addresses in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.contract import alert_check
from engine.contract.errors import Conflict, NotFound, Refused
from engine.contract.node_alerts import DEFAULT_RULES, Alert, AlertRule, AlertRules, Alerts, AlertSent, AlertsSent
from engine.contract.stream import AlertChanged, AlertRulesChanged, StreamMessage
from forge_desktop.bridge import fake_nodes

PERSON = "ada"
SCHEMES = ("mailto", "slack", "json")


class ReplayAlerts:
    """Part of `ReplayBackend`."""

    def __init__(self) -> None:
        super().__init__()
        self.rules: list[AlertRule] = list(DEFAULT_RULES)
        self.addresses: list[str] = []
        """Where alerts are sent; one with `dead` in it takes nothing."""
        self.raised: dict[int, Alert] = {}

    def _tell(self, message: StreamMessage) -> None:
        raise NotImplementedError

    def _answer(self) -> None:
        raise NotImplementedError

    def tell_alert(self, alert: Alert) -> None:
        """An alert began, got worse or is over."""
        self.raised[alert.id] = alert
        self._tell(AlertChanged(alert=alert))

    def use_fleet_alerts(self) -> None:
        """Have those of the six pretended nodes."""
        for alert in fake_nodes.alerts(time.time()):
            self.tell_alert(alert)

    def end_alert(self, number: int) -> None:
        """It is over."""
        self.tell_alert(self.raised[number].model_copy(update={"ended": time.time()}))

    def alert_rules(self) -> AlertRules:
        """When alerts are raised."""
        self._answer()
        return AlertRules(rules=list(self.rules), targets=len(self.addresses))

    def set_alert_rules(self, rules: Sequence[AlertRule]) -> AlertRules:
        """As the controller checks them."""
        self._answer()
        problems = alert_check.problems_of([rule.model_dump() for rule in rules])
        if problems:
            raise Refused("alerts.refused", count=len(problems), problems=problems)
        self.rules = list(rules)
        self._tell(AlertRulesChanged(rules=self.rules))
        return self.alert_rules()

    def alerts(self) -> Alerts:
        """Those that are on first."""
        self._answer()
        return Alerts(alerts=sorted(self.raised.values(), key=lambda one: (one.ended is not None, -one.began)))

    def acknowledge(self, alert: int) -> Alert:
        """Somebody has seen it."""
        self._answer()
        if alert not in self.raised:
            raise NotFound("alerts.unknown", id=alert)
        if not self.raised[alert].acknowledged:
            seen = {"acknowledged": True, "acknowledged_at": time.time(), "acknowledged_by": PERSON}
            self.tell_alert(self.raised[alert].model_copy(update=seen))
        return self.raised[alert]

    def set_alert_addresses(self, text: str) -> AlertRules:
        """Only a few services are known here."""
        self._answer()
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        for number, line in enumerate(lines, 1):
            if line.partition("://")[0] not in SCHEMES:
                raise Refused("alerts.bad_address", line=number)
        self.addresses = lines
        return self.alert_rules()

    def test_alerts(self) -> AlertsSent:
        """Whether each takes it."""
        self._answer()
        if not self.addresses:
            raise Conflict("alerts.no_addresses")
        results = [
            AlertSent(place=f"{one.partition('://')[0]} ({number})", sent="dead" not in one)
            for number, one in enumerate(self.addresses, 1)
        ]
        return AlertsSent(results=results)
