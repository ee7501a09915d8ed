"""Routes about what goes on at nodes: moves of runs, and every container and process of ours."""

from __future__ import annotations

from fastapi import APIRouter

from engine.contract.nodes import DeedResult, InstanceDeed, Instances, MoveRun, MoveView
from engine.control.api.context import Ctx, Key
from engine.control.jobs.requests import Request

router = APIRouter()


@router.post("/runs/{uid}/move")
async def move(context: Ctx, uid: str, body: MoveRun, key: Key = None) -> MoveView:
    """Begin to move a live run to another node; every step comes over the stream."""
    return await context.controller.move_run(uid, body.node, Request("move", key=key, target=uid, body=body.node))


@router.get("/moves")
async def moves(context: Ctx) -> list[MoveView]:
    """Those under way, and those that ended in the last hour."""
    return await context.controller.moves()


@router.post("/moves/{uid}/cancel")
async def cancel(context: Ctx, uid: str) -> MoveView:
    """Give a move up; the source goes on."""
    return await context.controller.cancel_move(uid)


@router.get("/instances")
async def instances(context: Ctx) -> Instances:
    """Every container and process of ours, and the nodes that could not be asked."""
    return await context.controller.instances()


@router.post("/instances/bulk")
async def deed(context: Ctx, body: InstanceDeed) -> DeedResult:
    """Stop, kill, remove or adopt some; each is done or refused by itself."""
    return await context.controller.instance_deed(body)
