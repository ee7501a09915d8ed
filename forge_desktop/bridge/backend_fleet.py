"""What pages ask of a controller about what goes on at nodes: moves, instances, alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.contract.node_alerts import Alert, AlertRule, AlertRules, Alerts
from engine.contract.nodes import DeedResult, Instances, InstanceVerb, MoveView


class FleetBackend(Protocol):
    """The part of a backend behind moves, the Instances page and alerts. Calls block and raise UserError."""

    def move_run(self, uid: str, node: str = "") -> MoveView:
        """Move a live run; without a node the scheduler's choice. Its steps come as `move_changed`."""

    def cancel_move(self, uid: str) -> MoveView:
        """Give a move up, by its id; the source goes on."""

    def instances(self) -> Instances:
        """Every container and process that is managed, on every node."""

    def instance_deed(self, ids: Sequence[str], verb: InstanceVerb) -> DeedResult:
        """Stop, kill, remove or adopt some of them."""

    def alert_rules(self) -> AlertRules:
        """When alerts are raised."""

    def set_alert_rules(self, rules: Sequence[AlertRule]) -> AlertRules:
        """Change that; all rules at once."""

    def alerts(self) -> Alerts:
        """Those that are on, and the latest that are over."""

    def acknowledge(self, alert: int) -> Alert:
        """Somebody has seen it."""
