"""Routes about nodes, where runs go, and what they cost."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.images import PushImage
from engine.contract.nodes import (
    Costs,
    DoctorReport,
    MoveRun,
    NodeProfiles,
    Nodes,
    NodeView,
    PlacementAnswer,
    SetNodeState,
    Transfer,
)  # fmt: skip
from engine.contract.run_spec import RunSpec
from engine.control.api.context import Ctx, Key
from engine.control.jobs.requests import Request
from engine.control.store.costs import DAY_S, By

router = APIRouter()
Values = Annotated[dict[str, Any], Body()]
"""Of a profile, as they come: every problem is named by the check of nodes."""
USUAL_DAYS = 30


@router.get("/nodes")
async def all_nodes(context: Ctx) -> Nodes:
    """All nodes, and moves between them."""
    return await context.controller.nodes()


@router.post("/nodes")
async def add(context: Ctx, values: Values, key: Key = None) -> NodeView:
    """Use one more node."""
    return await context.controller.add_node(values, _request("node_add", values, key))


@router.get("/nodes/export")
async def export(context: Ctx) -> NodeProfiles:
    """Profiles of all nodes but this computer; without secrets."""
    return await context.controller.export_nodes()


@router.post("/nodes/import")
async def take_in(context: Ctx, values: Values, key: Key = None) -> Nodes:
    """Add or change many; all or none."""
    return await context.controller.import_nodes(values, _request("node_import", values, key))


@router.post("/nodes/test")
async def try_out(context: Ctx, values: Values) -> DoctorReport:
    """Whether a node could be reached as these values say; nothing is kept."""
    return await context.controller.try_node(values)


@router.get("/nodes/{name}")
async def one(context: Ctx, name: str) -> NodeView:
    """One node."""
    return await context.controller.node_view(name)


@router.put("/nodes/{name}")
async def edit(context: Ctx, name: str, values: Values, key: Key = None) -> NodeView:
    """Another profile; runs at work there go on."""
    return await context.controller.edit_node(name, values, _request("node_edit", values, key, name))


@router.delete("/nodes/{name}", status_code=204)
async def remove(context: Ctx, name: str, key: Key = None) -> None:
    """Use it no more; refused while a run is at work there."""
    await context.controller.remove_node(name, Request("node_remove", key=key, target=f"node {name}"))


@router.post("/nodes/{name}/state")
async def set_state(context: Ctx, name: str, body: SetNodeState, key: Key = None) -> NodeView:
    """Drain it, take it offline, or back online."""
    request = Request("node_state", key=key, target=f"node {name}", body=body.state)
    return await context.controller.set_node_state(name, body.state, request)


@router.get("/nodes/{name}/doctor")
async def last_report(context: Ctx, name: str) -> DoctorReport:
    """What its doctor last found."""
    return await context.controller.last_report(name)


@router.post("/nodes/{name}/doctor")
async def examine(context: Ctx, name: str) -> DoctorReport:
    """Examine it; every step comes over the stream meanwhile."""
    return await context.controller.doctor(name)


@router.post("/nodes/{name}/image")
async def bring_image(context: Ctx, name: str, body: PushImage) -> Transfer:
    """Begin to copy a worker image there; done at once if it is there already."""
    return await context.controller.bring_image(name, body.image, body.source)


@router.get("/nodes/{name}/image")
async def brought_image(context: Ctx, name: str) -> Transfer:
    """How the latest copy gets on; it comes over the stream as well."""
    return context.controller.brought_image(name)


@router.post("/runs/{uid}/elsewhere")
async def elsewhere(context: Ctx, uid: str, body: MoveRun | None = None, key: Key = None) -> RunSummary:
    """Let a run whose node does not answer go on elsewhere, from its last checkpoint here."""
    node = body.node if body else ""
    return await context.controller.start_elsewhere(uid, node, Request("elsewhere", key=key, target=uid, body=node))


@router.get("/runs/{uid}/placement")
async def placement(context: Ctx, uid: str) -> PlacementAnswer:
    """Why a run is where it is, would go where it would go, or waits."""
    return await context.controller.placement(uid)


@router.post("/placement")
async def place(context: Ctx, spec: RunSpec) -> PlacementAnswer:
    """Where an order would go now."""
    return await context.controller.place(spec)


@router.get("/costs")
async def costs(context: Ctx, since: float | None = None, until: float | None = None, by: By = "day") -> Costs:
    """What was spent between two moments; of the last days unless they are named."""
    end = now() if until is None else until
    begin = end - USUAL_DAYS * DAY_S if since is None else since
    if begin > end:
        raise UserError("request.invalid", detail="The end comes before the beginning.")
    return await context.controller.costs(begin, end, by)


def _request(verb: str, values: dict[str, Any], key: str | None, name: str = "") -> Request:
    target = f"node {name or values.get('name', '')}"
    return Request(verb, key=key, target=target, body=json.dumps(values, sort_keys=True, default=str))
