"""Asking the controller about alerts, their rules, and what was read of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from engine.client.calls import SLOW_S, Calls
from engine.contract.ids import new_id
from engine.contract.node_alerts import Alert, AlertRule, AlertRules, Alerts, AlertsSent
from engine.contract.nodes import NodeHistory


class _Rules(BaseModel):
    """Rules as they are: the controller says everything that is wrong with them."""

    model_config = ConfigDict(extra="allow")


class AlertCalls(Calls):
    """A part of `ControllerClient`."""

    def alert_rules(self) -> AlertRules:
        """When alerts are raised, and to how many addresses they are sent."""
        return self._get("/alert-rules", AlertRules)

    def set_alert_rules(self, rules: Sequence[AlertRule | Mapping[str, Any]]) -> AlertRules:
        """Other rules, all at once."""
        plain = [rule.model_dump(mode="json") if isinstance(rule, AlertRule) else dict(rule) for rule in rules]
        return self._read(
            self._send("PUT", "/alert-rules", body=_Rules.model_validate({"rules": plain}), key=new_id()), AlertRules
        )

    def alerts(self) -> Alerts:
        """Those that are on, and the latest that are over."""
        return self._get("/alerts", Alerts)

    def acknowledge(self, alert: int) -> Alert:
        """Somebody has seen it."""
        return self._read(self._send("POST", f"/alerts/{alert}/acknowledge"), Alert)

    def test_alerts(self) -> AlertsSent:
        """Send a test to all addresses."""
        return self._read(self._send("POST", "/alerts/test", timeout=SLOW_S), AlertsSent)

    def node_history(
        self, name: str, since: float | None = None, until: float | None = None, values: Sequence[str] = ()
    ) -> NodeHistory:
        """Readings of a node between two moments; of the last hour unless they are named."""
        given = {"since": since, "until": until, "value": list(values) or None}
        query = {key: value for key, value in given.items() if value is not None}
        return self._get(f"/nodes/{quote(name, safe='')}/history", NodeHistory, query)
