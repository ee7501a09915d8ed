"""Lays journal lines down in the history: points as curves, all else as events and facts about attempt and run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.contract import events as lines
from engine.contract.clock import now
from engine.contract.events import JournalLine
from engine.contract.states import Phase, RunState
from engine.contract.stream import Points, RunChanged, RunEvent
from engine.control.jobs import dataset_record, transitions
from engine.control.store import artifacts, attempts, endpoints, events, memory, metrics, runs
from engine.control.store.database import Transaction
from engine.control.store.metrics import Block, Row, micros

if TYPE_CHECKING:
    from engine.control.jobs.ingest import Flush, Source

SPARKLINE_VALUES = 48
PACE_MEMORY = 0.9
WORKER = "worker"
SCORES = ("exact_match", "pair_accuracy", "accuracy", "micro_f1", "pearson", "recall_at_1", "mrr")
"""Metrics of held-out rows that are the run's score: of several the last."""
TOKENS_SEEN = "tokens_seen"


def store(transaction: Transaction, source: Source, flush: Flush) -> int:
    """Store one reading of a journal; returns the next blob's ordinal."""
    blocks = _blocks(flush.lines)
    last = any(isinstance(line, lines.Ended) for line in flush.lines)
    ordinal = metrics.append(transaction, source.run_id, source.attempt_id, flush.old.ordinal, blocks, last)
    _progress(transaction, source, flush.lines)
    for note in flush.notes:
        _event(transaction, source, note, seq=None)
    stepped = False
    for line in flush.lines:
        if isinstance(line, lines.Step) and not stepped:
            attempts.first_step(transaction, source.attempt_id, line.step)
            stepped = True
        _fact(transaction, source, line)
        more = dataset_record.take_in(transaction, source, line) if isinstance(line, lines.DatasetMade) else {}
        if not isinstance(line, lines.Step | lines.Validation | lines.Device | lines.RowLossesSaved):
            _event(transaction, source, line, line.seq, more)
        _report(transaction, source, line)
    if blocks:
        transaction.news.append(Points(run=source.uid, attempt=source.n, points=_points(blocks)))
    summary = runs.summary(transaction.connection, source.run_id)
    transaction.news.append(RunChanged(at=now(), run=summary))
    return ordinal


def _blocks(found: list[JournalLine]) -> list[Block]:
    """Points grouped by axis and metrics, each group in the order of the journal."""
    blocks: dict[tuple[str, ...], Block] = {}
    for line in found:
        if isinstance(line, lines.Step):
            row = Row(line.seq, line.step, line.t, {**line.values, "epoch": line.epoch})
            _put(blocks, "step", row)
        elif isinstance(line, lines.Validation):
            _put(blocks, "step", Row(line.seq, line.step, line.t, line.values))
        elif isinstance(line, lines.Device):
            _put(blocks, "time", Row(line.seq, micros(line.t), line.t, line.values))
    return list(blocks.values())


def _put(blocks: dict[tuple[str, ...], Block], axis: metrics.Axis, row: Row) -> None:
    names = tuple(sorted(row.values))
    if names:
        blocks.setdefault((axis, *names), Block(axis, names)).rows.append(row)


def _points(blocks: list[Block]) -> dict[str, list[tuple[float, float, float]]]:
    """The same as they travel, in the order of the journal: metric to (x, t, value)."""
    rows = sorted(((row.seq, block, row) for block in blocks for row in block.rows), key=lambda found: found[0])
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _seq, block, row in rows:
        x = row.t if block.axis == "time" else float(row.x)
        for name in block.metrics:
            found.setdefault(name, []).append((x, row.t, row.values[name]))
    return found


def _progress(transaction: Transaction, source: Source, found: list[JournalLine]) -> None:
    """What a list shows of a run that is getting on: step, loss, pace, the little curve."""
    steps = [line for line in found if isinstance(line, lines.Step)]
    row = transaction.one("SELECT attempt, pace, loss, sparkline FROM run WHERE id = ?", (source.run_id,))
    if not steps or row is None or row["attempt"] != source.n:
        return
    pace = row["pace"]
    for line in steps:
        seconds = line.values.get("step_seconds")
        if seconds is not None and math.isfinite(seconds):
            pace = seconds if pace is None else PACE_MEMORY * pace + (1 - PACE_MEMORY) * seconds
    losses = [line.values["loss"] for line in steps if "loss" in line.values]
    seen = [count for line in steps if math.isfinite(count := line.values.get(TOKENS_SEEN, math.nan))]
    transaction.execute(
        "UPDATE run SET last_step = ?, loss = ?, pace = ?, sparkline = ?, first_step = coalesce(first_step, ?), "
        "tokens_seen = coalesce(?, tokens_seen) WHERE id = ?",
        (
            *(steps[-1].step, losses[-1] if losses else row["loss"], pace),
            *(sparkline(row["sparkline"], losses), steps[0].t, int(seen[-1]) if seen else None, source.run_id),
        ),
    )


def sparkline(stored: str, losses: list[float]) -> str:
    """Every nth loss so far, n doubling whenever there are too many."""
    state: dict[str, Any] = json.loads(stored) if stored else {"every": 1, "seen": 0, "values": []}
    for loss in losses:
        if state["seen"] % state["every"] == 0:
            state["values"].append(float(f"{loss:.6g}") if math.isfinite(loss) else None)
        state["seen"] += 1
        if len(state["values"]) > SPARKLINE_VALUES:
            state["values"] = state["values"][::2]
            state["every"] *= 2
    return events.dump(state)


def _fact(transaction: Transaction, source: Source, line: JournalLine) -> None:
    """What the worker says once about attempt or run."""
    if isinstance(line, lines.Started):
        attempts.store_fact(transaction, source.attempt_id, "environment", line.environment)
    elif isinstance(line, lines.Planned):
        attempts.store_fact(transaction, source.attempt_id, "plan", _body(line))
        _set(transaction, source, "total_steps", line.total_steps)
    elif isinstance(line, lines.PhaseBegan):
        _set(transaction, source, "phase", line.phase)
    elif isinstance(line, lines.Score) and line.when == "after" and line.metric in SCORES:
        _set(transaction, source, "score", line.value)
    elif isinstance(line, lines.Device) and line.names:
        attempts.store_fact(transaction, source.attempt_id, "device_names", line.names)
    elif isinstance(line, lines.ArtifactSaved):
        artifacts.add_result(transaction, source.run_id, source.attempt_id, line)
    elif isinstance(line, lines.CheckpointSaved):
        artifacts.add_checkpoint(transaction, source.run_id, source.attempt_id, line)
    elif isinstance(line, lines.CheckpointRemoved):
        artifacts.remove_checkpoint(transaction, source.run_id, line.path)
    elif isinstance(line, lines.Resumed):
        attempts.resumed(transaction, source.attempt_id, line.attempt, line.step, line.path)
    elif isinstance(line, lines.MemoryForecast):
        memory.foretold(transaction, source.run_id, source.attempt_id, line)
    elif isinstance(line, lines.MemoryFact):
        memory.told(transaction, source.attempt_id, line)
    elif isinstance(line, lines.Ready):
        endpoints.add(transaction, source.run_id, source.attempt_id, line)
    elif isinstance(line, lines.Ended):
        attempts.store_fact(transaction, source.attempt_id, "last_word", _body(line))


def _set(transaction: Transaction, source: Source, column: str, value: object) -> None:
    transaction.execute(f"UPDATE run SET {column} = ? WHERE id = ? AND attempt = ?", (value, source.run_id, source.n))


def _event(
    transaction: Transaction, source: Source, line: JournalLine, seq: int | None, more: Mapping[str, Any] | None = None
) -> None:
    """Store and tell what was said; `more` is what we know of it beside that."""
    body, level = {**_body(line), **(more or {})}, events.INFO
    if isinstance(line, lines.Note | lines.GuardActed):
        level = events.LEVELS[line.level]
    cursor = events.add(
        transaction, line.kind, body, at=line.t, run_id=source.run_id, attempt_id=source.attempt_id,
        seq=seq, level=level, actor=WORKER if seq else "controller",
    )  # fmt: skip
    transaction.news.append(
        RunEvent(cursor=cursor, at=line.t, run=source.uid, attempt=source.n, kind=line.kind, level=level, body=body)
    )


def _body(line: JournalLine) -> dict[str, Any]:
    return line.model_dump(mode="json", exclude={"v", "seq", "t", "kind"})


def _report(transaction: Transaction, source: Source, line: JournalLine) -> None:
    """A worker's report may move its run, if the run's state and lease still allow it."""
    to = None
    if isinstance(line, lines.Started):
        to = RunState.RUNNING
    elif isinstance(line, lines.Ended) or (isinstance(line, lines.PhaseBegan) and line.phase is Phase.SAVING):
        to = RunState.FINISHING
    if to is not None:
        row = transaction.one("SELECT state FROM run WHERE id = ?", (source.run_id,))
        if row is not None and row["state"] != to:
            transitions.move(transaction, source.run_id, to, actor=WORKER, at=line.t, lease=source.lease)
