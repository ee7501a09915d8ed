"""Memory ran out: the run goes on with less, asks what to lower, or fails, as its limits say."""

from __future__ import annotations

from typing import Any

from engine.contract.errors import UserError
from engine.contract.ladder import Rung
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.states import EndReason, RunState
from engine.contract.stream import RunEvent
from engine.control.jobs import next_start
from engine.control.jobs.ending import Verdict
from engine.control.jobs.next_start import Wish
from engine.control.store import events, memory, runs
from engine.control.store.database import Transaction

LOWERED = {
    "parts": "memory.lowered_parts", "checkpointing": "memory.lowered_checkpointing",
    "8bit": "memory.lowered_8bit", "length": "memory.lowered_length", "4bit": "memory.lowered_4bit",
}  # fmt: skip
"""What the timeline says."""
KILLED_FOR_MEMORY = "worker.killed_memory"
"""Ended by the system while the computer's memory was full."""


def ran_out(found: Verdict) -> bool:
    """Whether that is why an attempt failed."""
    if found.state is not RunState.FAILED:
        return False
    return found.reason is EndReason.OUT_OF_MEMORY or (
        found.error is not None and found.error.code == KILLED_FOR_MEMORY
    )


def answer(transaction: Transaction, run_id: int, spec: RunSpec, found: Verdict) -> tuple[Verdict, Rung | None]:
    """What becomes of the run, and the rung that was taken."""
    mode = spec.limits.out_of_memory
    if mode == "never" or not isinstance(spec.job, TrainJob) or not ran_out(found):
        return found, None
    offered = memory.offered(transaction.connection, run_id, spec)
    if not offered:
        return Verdict(RunState.FAILED, EndReason.OUT_OF_MEMORY, UserError("memory.nothing_left").body()), None
    if mode == "ask":
        return Verdict(RunState.PAUSED, EndReason.OUT_OF_MEMORY, UserError("memory.asks").body()), None
    rung = offered[0]
    memory.take(transaction, run_id, rung)
    next_start.keep(transaction, run_id, Wish("memory"))
    return Verdict(RunState.QUEUED, EndReason.OUT_OF_MEMORY), rung


def chosen(transaction: Transaction, run_id: int, spec: RunSpec, name: str) -> Rung:
    """The rung a person chose; refused if it is not offered."""
    offered = memory.offered(transaction.connection, run_id, spec)
    rung = next((one for one in offered if one.name == name), None)
    if rung is None:
        raise UserError("memory.rung_unknown", rung=name, offered=", ".join(one.name for one in offered) or "none")
    memory.take(transaction, run_id, rung)
    return rung


def tell(transaction: Transaction, run_id: int, attempt_id: int | None, rung: Rung, at: float, actor: str) -> None:
    """Note in the timeline what was lowered."""
    params: dict[str, Any] = {"rung": rung.name, "changes": changes_text(rung), "saved": saved_text(rung)}
    body = {"level": "warning", "code": LOWERED[rung.name], "params": params}
    cursor = events.add(
        transaction, "note", body, at=at, run_id=run_id, attempt_id=attempt_id, level=events.WARNING, actor=actor
    )
    summary = runs.summary(transaction.connection, run_id)
    transaction.news.append(
        RunEvent(cursor=cursor, at=at, run=summary.uid, attempt=summary.attempt, kind="note", level=events.WARNING,
                 body=body)
    )  # fmt: skip


def changes_text(rung: Rung) -> str:
    """`training.micro_batch_parts = 2`."""
    return ", ".join(f"{path} = {value}" for path, value in rung.changes.items())


def saved_text(rung: Rung) -> str:
    """`0.42 GB`; a dash where it is not known."""
    return "–" if rung.saved is None else f"{rung.saved / 1e9:.2f} GB"
