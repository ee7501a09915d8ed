"""Alerts over the real controller."""

from __future__ import annotations

from collections.abc import Sequence

from engine.client.client import ControllerClient
from engine.contract.errors import NotFound
from engine.contract.node_alerts import Alert, AlertRule, AlertRules, Alerts, AlertsSent
from engine.contract.secrets import ALERT_SECRET


class ControllerAlerts:
    """Part of `ControllerBackend`."""

    _client: ControllerClient

    def alert_rules(self) -> AlertRules:
        """When alerts are raised."""
        return self._client.alert_rules()

    def set_alert_rules(self, rules: Sequence[AlertRule]) -> AlertRules:
        """Change that."""
        return self._client.set_alert_rules(rules)

    def alerts(self) -> Alerts:
        """Those that are on, and the latest that are over."""
        return self._client.alerts()

    def acknowledge(self, alert: int) -> Alert:
        """Somebody has seen it."""
        return self._client.acknowledge(alert)

    def set_alert_addresses(self, text: str) -> AlertRules:
        """Keep them as a secret, or forget them."""
        try:
            if text.strip():
                self._client.set_secret(ALERT_SECRET, text.strip())
            else:
                self._client.delete_secret(ALERT_SECRET)
        except NotFound:
            pass  # there were none
        return self._client.alert_rules()

    def test_alerts(self) -> AlertsSent:
        """Send a test to all of them."""
        return self._client.test_alerts()
