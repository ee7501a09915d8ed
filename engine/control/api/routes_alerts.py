"""Routes about alerts and their rules, and about what was read of nodes."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.node_alerts import Alert, AlertRules, Alerts, AlertsSent
from engine.contract.nodes import NodeHistory
from engine.control.api.context import Ctx, Key
from engine.control.jobs.desk import owner
from engine.control.jobs.requests import Request

router = APIRouter()
USUAL_S = 3600.0
Values = Annotated[dict[str, Any], Body()]


@router.get("/nodes/{name}/history")
async def history(
    context: Ctx,
    name: str,
    since: float | None = None,
    until: float | None = None,
    value: Annotated[list[str] | None, Query()] = None,
) -> NodeHistory:
    """Readings of a node between two moments; of the last hour unless they are named. `value`: only these."""
    end = now() if until is None else until
    begin = end - USUAL_S if since is None else since
    if begin > end:
        raise UserError("request.invalid", detail="The end comes before the beginning.")
    return await context.controller.health.history(name, begin, end, value or ())


@router.get("/alert-rules")
async def rules(context: Ctx) -> AlertRules:
    """When alerts are raised, and to how many addresses they are sent."""
    return await context.controller.alerts.rules()


@router.put("/alert-rules")
async def set_rules(context: Ctx, values: Values, key: Key = None) -> AlertRules:
    """Other rules, all at once; refused with every problem of them."""
    body = json.dumps(values, sort_keys=True, default=str)
    return await context.controller.alerts.set_rules(values, Request("alert_rules", key=key, body=body))


@router.get("/alerts")
async def alerts(context: Ctx) -> Alerts:
    """Those that are on, and the latest that are over."""
    return await context.controller.alerts.listed()


@router.post("/alerts/test")
async def test(context: Ctx) -> AlertsSent:
    """Send a test to all addresses."""
    return await context.controller.alerts.test()


@router.post("/alerts/{number}/acknowledge")
async def acknowledge(context: Ctx, number: int) -> Alert:
    """Somebody has seen it; the first of them is kept with it."""
    return await context.controller.alerts.acknowledge(number, owner())
