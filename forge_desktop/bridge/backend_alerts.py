"""What pages ask of a controller about alerts: what is wrong now, when it is said, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.contract.node_alerts import Alert, AlertRule, AlertRules, Alerts, AlertsSent


class AlertsBackend(Protocol):
    """The part of a backend behind alerts. Calls block and raise UserError."""

    def alert_rules(self) -> AlertRules:
        """When alerts are raised."""

    def set_alert_rules(self, rules: Sequence[AlertRule]) -> AlertRules:
        """Change that; all rules at once."""

    def alerts(self) -> Alerts:
        """Those that are on, and the latest that are over."""

    def acknowledge(self, alert: int) -> Alert:
        """Somebody has seen it."""

    def set_alert_addresses(self, text: str) -> AlertRules:
        """Keep addresses that alerts are sent to, one a line; an empty text forgets them. They never come back."""

    def test_alerts(self) -> AlertsSent:
        """Send a test to all of them."""
