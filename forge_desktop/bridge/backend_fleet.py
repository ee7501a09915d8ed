"""What pages ask of a controller about alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.contract.node_alerts import Alert, AlertRule, AlertRules, Alerts


class FleetBackend(Protocol):
    """The part of a backend behind alerts. Calls block and raise UserError."""

    def alert_rules(self) -> AlertRules:
        """When alerts are raised."""

    def set_alert_rules(self, rules: Sequence[AlertRule]) -> AlertRules:
        """Change that; all rules at once."""

    def alerts(self) -> Alerts:
        """Those that are on, and the latest that are over."""

    def acknowledge(self, alert: int) -> Alert:
        """Somebody has seen it."""
