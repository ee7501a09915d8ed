"""Routes about going on: resume, pause, checkpoints, answers during training, and the files of ended runs."""

from __future__ import annotations

from fastapi import APIRouter

from engine.contract.api import KeepCheckpoint, LogEvery, ResumeRun, RunSummary, SampleNow
from engine.control.api.context import Ctx, Key
from engine.control.jobs.requests import Request

router = APIRouter()


@router.post("/runs/{uid}/resume")
async def resume(context: Ctx, uid: str, body: ResumeRun | None = None, key: Key = None) -> RunSummary:
    """Go on with a run as a new attempt."""
    body = body or ResumeRun()
    return await context.controller.resume(
        uid, body, Request("resume", key=key, target=uid, body=body.model_dump_json())
    )  # fmt: skip


@router.post("/runs/{uid}/pause")
async def pause(context: Ctx, uid: str, key: Key = None) -> RunSummary:
    """Save, free the devices, and wait."""
    return await context.controller.pause(uid, Request("pause", key=key, target=uid))


@router.post("/runs/{uid}/checkpoint")
async def checkpoint(context: Ctx, uid: str, key: Key = None) -> RunSummary:
    """A checkpoint at the next step."""
    return await context.controller.save_now(uid, Request("checkpoint", key=key, target=uid))


@router.post("/runs/{uid}/sample")
async def sample(context: Ctx, uid: str, body: SampleNow, key: Key = None) -> RunSummary:
    """Answers of the model that is being trained; they come as events and stand in the detail."""
    request = Request("sample", key=key, target=uid, body=body.model_dump_json())
    return await context.controller.sample_now(uid, body, request)


@router.post("/runs/{uid}/log-every")
async def log_every(context: Ctx, uid: str, body: LogEvery, key: Key = None) -> RunSummary:
    """Another interval between two points of the curve, until the attempt ends."""
    request = Request("log_every", key=key, target=uid, body=body.model_dump_json())
    return await context.controller.log_every(uid, body, request)


@router.delete("/runs/{uid}/files")
async def delete_files(context: Ctx, uid: str, key: Key = None) -> RunSummary:
    """Let the working files of an ended run go; results are in the library before."""
    return await context.controller.delete_files(uid, Request("clean", key=key, target=uid))


@router.patch("/runs/{uid}/checkpoints/{checkpoint}")
async def keep_checkpoint(
    context: Ctx, uid: str, checkpoint: int, body: KeepCheckpoint | None = None, key: Key = None
) -> RunSummary:
    """Keep a checkpoint for good, or no longer."""
    body = body or KeepCheckpoint()
    request = Request("keep_checkpoint", key=key, target=uid, body=f"{checkpoint} {body.kept}")
    return await context.controller.keep_checkpoint(uid, checkpoint, body.kept, request)


@router.delete("/runs/{uid}/checkpoints/{checkpoint}")
async def delete_checkpoint(context: Ctx, uid: str, checkpoint: int, key: Key = None) -> RunSummary:
    """Remove one checkpoint of a run that is not at work."""
    request = Request("delete_checkpoint", key=key, target=uid, body=str(checkpoint))
    return await context.controller.delete_checkpoint(uid, checkpoint, request)
