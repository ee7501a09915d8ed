"""What may be asked of a run at work that does not end it, and the deletion of single checkpoints."""

from __future__ import annotations

from pathlib import Path

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.durable import sync_folder
from engine.contract.errors import NotFound
from engine.contract.states import Phase, RunState
from engine.control.jobs.commands import existing, tell, wrong_state
from engine.control.store import artifacts, events
from engine.control.store.artifacts import CHECKPOINT
from engine.control.store.database import Transaction

VERBS = {"save": "saved", "sample": "asked", "log_every": "logged more or less often"}


def ask(transaction: Transaction, uid: str, verb: str, actor: str) -> RunSummary:
    """Note that a checkpoint or answers were asked for; refused unless the run trains."""
    row, at = existing(transaction.connection, uid), now()
    if row["state"] != RunState.RUNNING or row["phase"] != Phase.TRAINING:
        raise wrong_state(row, f"{VERBS[verb]} now", "Only a run that is training can be.")
    cursor = events.add(transaction, "asked", {"verb": verb}, at=at, run_id=row["id"], actor=actor)
    return tell(transaction, row["id"], cursor, at, actor)


def keep_checkpoint(transaction: Transaction, uid: str, checkpoint: int, kept: bool, actor: str) -> RunSummary:
    """Keep a checkpoint for good, or no longer; a run that has one keeps its files."""
    row, at = existing(transaction.connection, uid), now()
    found = artifacts.find(transaction.connection, row["id"], checkpoint)
    if found is None or found.kind != CHECKPOINT:
        raise NotFound("checkpoint.unknown", run=row["name"], checkpoint=checkpoint)
    artifacts.keep_checkpoint(transaction, checkpoint, kept)
    transaction.execute("UPDATE run SET expires = NULL WHERE id = ?", (row["id"],))  # planned anew, if it may go
    body = {"kept" if kept else "released": found.path, "step": found.step}
    cursor = events.add(transaction, "files", body, at=at, run_id=row["id"], actor=actor)
    return tell(transaction, row["id"], cursor, at, actor)


def mark_kept(mark: Path, kept: bool) -> None:
    """Tell the worker, who removes what newer checkpoints replace. Waits for the disk."""
    if kept:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    else:
        mark.unlink(missing_ok=True)
    if mark.parent.is_dir():
        sync_folder(mark.parent)


def delete_checkpoint(transaction: Transaction, uid: str, checkpoint: int, actor: str) -> RunSummary:
    """Forget a checkpoint; its folder goes afterwards. Refused while an attempt may want it."""
    row, at = existing(transaction.connection, uid), now()
    if RunState(row["state"]).live or row["state"] == RunState.QUEUED:
        raise wrong_state(row, "given up a checkpoint", "Pause or stop it first.")
    found = artifacts.find(transaction.connection, row["id"], checkpoint)
    if found is None or found.kind != CHECKPOINT:
        raise NotFound("checkpoint.unknown", run=row["name"], checkpoint=checkpoint)
    artifacts.remove_checkpoint(transaction, row["id"], found.path)
    body = {"removed": found.path, "step": found.step}
    cursor = events.add(transaction, "files", body, at=at, run_id=row["id"], actor=actor)
    return tell(transaction, row["id"], cursor, at, actor)
