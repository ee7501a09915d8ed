"""How a move stands: what the history and the run's files say of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract.checkpoints import Manifest
from engine.contract.errors import ErrorBody, UserError
from engine.contract.nodes import MoveView
from engine.contract.paths import Home
from engine.contract.states import EndReason, RunState
from engine.control.executors.docker import whole
from engine.control.jobs import next_start
from engine.control.store import artifacts, events, moves
from engine.control.store.artifacts import CHECKPOINT, Stored
from engine.control.store.moves import Move

TAIL_BYTES = 1 << 20
SAME = ("processor", "torch", "threads", "transformers", "peft")
"""What must agree for the same losses, bit for bit, on a processor."""
OURS = "run.start_lost"


@dataclass(frozen=True)
class Facts:
    """A move, and the run it moves."""

    move: Move
    uid: str
    owner: str
    state: RunState
    reason: str | None
    error: ErrorBody | None
    left_id: int
    left_lease: str
    left_open: bool
    gave_way: bool
    """The source's attempt ended so that the run can go on elsewhere."""
    asked_at: float | None
    """When the source was asked, by the clock of here."""
    checkpoint: Stored | None
    """The one to go on from."""
    arrived_id: int | None = None
    arrived_lease: str = ""
    arrived_handle: str = ""
    arrived_open: bool = False
    stepped: bool = False
    """It has taken a step on the target."""
    lost_in_start: bool = False
    on_gpu: bool = False
    environments: tuple[dict[str, Any], dict[str, Any]] = ({}, {})


def look(connection: sqlite3.Connection, uid: str) -> Facts | None:
    """None: there is no such move, or its run is being deleted."""
    move = moves.find(connection, uid)
    run = connection.execute(
        "SELECT * FROM run WHERE deleting = 0 AND id = ?", (move.run_id if move else None,)
    ).fetchone()
    if move is None or run is None:
        return None
    attempts = {
        row["n"]: row
        for row in connection.execute(
            "SELECT attempt.*, member.handle FROM attempt JOIN member ON member.attempt_id = attempt.id AND rank = 0 "
            "WHERE run_id = ?",
            (move.run_id,),
        )
    }
    left, state = attempts[move.details.left], RunState(run["state"])
    there = attempts.get(move.details.arrived) if move.details.arrived is not None else None
    error = ErrorBody.model_validate_json(run["error"]) if run["error"] else None
    arrived: dict[str, Any] = {}
    if there is not None:
        arrived = {
            "arrived_id": there["id"], "arrived_lease": there["lease"], "arrived_handle": there["handle"],
            "arrived_open": there["ended"] is None, "stepped": there["first_step"] is not None,
            "on_gpu": any(_device(row) not in ("", "cpu") for row in (left, there)),
            "lost_in_start": error is not None and error.code == OURS,
            "environments": (events.load(left["environment"] or "{}"), events.load(there["environment"] or "{}")),
        }  # fmt: skip
    return Facts(
        move, run["uid"], run["owner"], state, run["reason"], error, left["id"], left["lease"], left["ended"] is None,
        left["reason"] == EndReason.MOVED and (state is RunState.QUEUED or there is not None), left["stop_asked"],
        _checkpoint(connection, move), **arrived,
    )  # fmt: skip


def _device(row: sqlite3.Row) -> str:
    return str(events.load(row["plan"] or "{}").get("device") or "").lower()


def _checkpoint(connection: sqlite3.Connection, move: Move) -> Stored | None:
    """The one that was chosen; else the best there is."""
    if move.details.checkpoint is not None:
        return artifacts.find(connection, move.run_id, move.details.checkpoint)
    best = next(iter(next_start.candidates(connection, move.run_id)), None)
    there = artifacts.of_run(connection, move.run_id)
    found = [one for one in there if one.kind == CHECKPOINT and best is not None and one.path == best.path]
    return found[-1] if found else None


def leaving(home: Home, facts: Facts) -> MoveView | None:
    """How far the source's end has got: saved, ended, what has come here. Waits for files: call it on a thread."""
    move = facts.move
    folder = home.attempt(facts.uid, move.details.left)
    saved = _last(folder.journal, "checkpoint", "ended")
    point = saved.get("checkpoint")
    if point is None or point.get("cause") not in ("move", "pause"):
        return None
    path = home.run(facts.uid) / str(point["path"])
    total = int(point.get("bytes") or 0)
    update: dict[str, Any] = {"train_step": point.get("step"), "bytes_total": total, "step": "stopping"}
    if saved.get("ended") is not None:
        update |= {
            "step": "copying",
            "bytes": min(total, _size(path) or _size(path.with_name(f".{path.name}.partial"))),
        }
    return move.view.model_copy(update=update)


def _size(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:
        return 0


def verified(path: Path) -> Manifest:
    """The checkpoint here, whole. Waits: call it on a thread."""
    try:
        return whole.check_checkpoint(path)
    except whole.Damaged as error:
        raise UserError("move.damaged", detail=str(error)) from error


def compare(manifest: Manifest, theirs: Mapping[str, str], node: str) -> None:
    """What lies on the target is what the manifest of here names, whose files were found right a moment ago."""
    for name, mark in manifest.files.items():
        if theirs.get(name) != mark.sha256:
            raise UserError("move.differs", node=node, file=name)


def downtime(home: Home, facts: Facts, at: float) -> float | None:
    """Seconds from the last step on the source to the first on the target, seen at `at`. Waits: call it on a thread.

    The nodes' clocks tell them. What cannot be, since more has not passed here since the source was asked, comes of
    clocks that differ: then it is counted here, a moment too long.
    """
    last = _last(home.attempt(facts.uid, facts.move.details.left).journal, "step").get("step")
    first = next(_lines(home.attempt(facts.uid, facts.move.details.arrived or 0).journal, "step"), None)
    if last is None or first is None:
        return None
    told = float(first["t"]) - float(last["t"])
    if facts.asked_at is None:
        return max(0.0, told)
    most = max(0.0, at - facts.asked_at)
    return told if 0.0 < told <= most else most


def agree(facts: Facts) -> list[str]:
    """In what the two environments differ as far as losses depend on it; GPUs never promise the same bits."""
    ours, theirs = facts.environments
    differs = [name for name in SAME if ours.get(name) != theirs.get(name)]
    return differs + (["GPU"] if facts.on_gpu else [])


def _last(journal: Path, *kinds: str) -> dict[str, dict[str, Any]]:
    """The last line of each kind, in the last part of a journal."""
    try:
        with journal.open("rb") as file:
            file.seek(max(0, journal.stat().st_size - TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for raw in lines:
        line = _parsed(raw)
        if line.get("kind") in kinds:
            found[str(line["kind"])] = line
    return found


def _lines(journal: Path, kind: str) -> Iterator[dict[str, Any]]:
    try:
        with journal.open("rb") as file:
            for raw in file:
                line = _parsed(raw)
                if line.get("kind") == kind:
                    yield line
    except OSError:
        return


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
