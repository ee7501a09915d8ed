"""The list of runs of a replay, in memory: pages in any order, bulk deeds, a queue that can be moved about."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from engine.contract.api import EditRun, RunPage, RunSummary, Settings
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.events import Validation
from engine.contract.listing import (
    BulkRefusal,
    BulkRequest,
    BulkResult,
    Price,
    Quality,
    Queue,
    QueueEntry,
    RunPoint,
    RunPoints,
)
from engine.contract.search import parse
from engine.contract.search_filter import matches
from engine.contract.states import LIVE, RunState
from forge_desktop.bridge.replayed import Played

STARTABLE = (RunState.DRAFT, RunState.PAUSED, RunState.FAILED, RunState.STOPPED)
STOPPABLE = (*LIVE, RunState.QUEUED, RunState.PAUSED)
PAUSABLE = (RunState.RUNNING, RunState.PREPARING, RunState.QUEUED)
SORTS = {"tokens": "tokens_seen"}
"""Name of an order to the field it goes by, where they differ."""


class ReplayListing:
    """What the Runs page asks, answered from what was put there."""

    _runs: dict[str, Played]
    _lock: threading.RLock
    _cursor: int

    def __init__(self) -> None:
        super().__init__()
        self.prices = Settings()
        """What a slot costs."""
        self.asked: list[tuple[str, str, int, int]] = []
        """Every page that was asked for: order, search, offset, limit."""
        self.wait_seconds = 600.0
        """How long the queue expects a run to take."""
        self._places: dict[str, float] = {}
        self._ordered: tuple[object, list[RunSummary]] | None = None

    def runs(
        self,
        states: Sequence[str],
        search: str,
        offset: int,
        limit: int,
        sort: str = "created",
        descending: bool = True,
    ) -> RunPage:
        """As the controller does."""
        self._answer()
        self.asked.append((sort, search, offset, limit))
        with self._lock:
            key = (tuple(states), search, sort, descending, self._cursor, len(self._runs))
            every = [run.summary for run in self._runs.values()]
            cursor, known = self._cursor, self._ordered
        if known is not None and known[0] == key:
            found = known[1]
        else:
            found = self._find_runs(every, states, search, sort, descending)
            self._ordered = (key, found)
        counts = {str(state): number for state, number in Counter(run.state for run in every).items()}
        page = [self._runs[run.uid].summary for run in found[offset : offset + limit] if run.uid in self._runs]
        return RunPage(runs=page, total=len(found), counts=counts, cursor=cursor)

    def _find_runs(
        self, every: list[RunSummary], states: Sequence[str], search: str, sort: str, descending: bool
    ) -> list[RunSummary]:
        query, field = parse(search), SORTS.get(sort, sort)
        searched = bool(search.strip())

        def place(run: RunSummary) -> tuple[bool, Any, float, str]:
            value = getattr(run, field, None)
            value = value.casefold() if isinstance(value, str) else value
            return (value is not None, value if value is not None else 0, run.created, run.uid)

        found = [run for run in every if (not states or run.state in states) and (not searched or matches(query, run))]
        return sorted(found, key=place, reverse=descending)

    def bulk(self, request: BulkRequest) -> BulkResult:
        """As the controller does."""
        self._answer()
        result = BulkResult()
        for uid in request.uids:
            try:
                self._do(uid, request)
                result.done.append(uid)
            except UserError as error:
                name = self._runs[uid].summary.name if uid in self._runs else ""
                result.refused.append(BulkRefusal(uid=uid, name=name, error=error.body()))
        return result

    def _do(self, uid: str, request: BulkRequest) -> None:
        run = self._find(uid).summary
        match request.deed:
            case "start":
                self._must(run, "started", STARTABLE, "It runs, waits or has ended already.")
                self.start(uid)
            case "stop" | "stop_without_saving":
                self._must(run, "stopped", STOPPABLE, "It is not at work.")
                self.stop(uid, request.deed == "stop")
            case "pause":
                self._must(run, "paused", PAUSABLE, "It is not at work.")
                self.pause(uid)
            case "delete":
                self._must(run, "deleted", [state for state in RunState if state not in LIVE], "Stop it first.")
                self.delete(uid)
            case "tag":
                self.edit(uid, EditRun(tags=[*run.tags, *(tag for tag in request.tags if tag not in run.tags)]))
            case "untag":
                self.edit(uid, EditRun(tags=[tag for tag in run.tags if tag not in request.tags]))
            case "pin" | "unpin":
                self.edit(uid, EditRun(pinned=request.deed == "pin"))
            case "priority":
                self.edit(uid, EditRun(priority=request.priority))

    @staticmethod
    def _must(run: RunSummary, verb: str, states: Sequence[RunState], hint: str) -> None:
        if run.state not in states:
            raise Conflict("run.wrong_state", run=run.name, verb=verb, state=run.state, hint=hint)

    def queue(self) -> Queue:
        """As the controller does: by lane, then priority, then age or the place it was moved to."""
        self._answer()
        with self._lock:
            waiting = [run.summary for run in self._runs.values() if run.summary.state is RunState.QUEUED]
        waiting.sort(key=self._in_line)
        entries, of_lane = [], dict[str, int]()
        for run in waiting:
            place = of_lane[run.lane] = of_lane.get(run.lane, 0) + 1
            entries.append(QueueEntry(run=run, position=place, starts_in_seconds=place * self.wait_seconds))
        return Queue(entries=entries)

    def _in_line(self, run: RunSummary) -> tuple[object, ...]:
        lanes = {"gpu": 0, "cpu": 1}
        place = self._places.get(run.uid, run.created)
        return (run.retry_at is not None, lanes.get(run.lane, 2), -run.priority, place, run.uid)

    def move_in_queue(self, uid: str, before: str | None) -> Queue:
        """As the controller does."""
        self._answer()
        with self._lock:
            line = [entry.run for entry in self.queue().entries]
            moved = next((run for run in line if run.uid == uid), None)
            if moved is None:
                run = self._find(uid).summary
                raise Conflict("queue.not_waiting", run=run.name, state=run.state)
            line = [run for run in line if run.lane == moved.lane and run.uid != uid]
            at = next((place for place, run in enumerate(line) if run.uid == before), len(line))
            if before is not None and at == len(line):
                raise NotFound("run.unknown", run=before)
            beside = line[at] if at < len(line) else line[-1] if line else moved
            line.insert(at, moved)
            self._places |= {run.uid: float(place) for place, run in enumerate(line)}
            self._move(self._runs[uid], priority=beside.priority)
            return self.queue()

    def run_points(self, price: Price, quality: Quality) -> RunPoints:
        """Ended runs with both values; a replay has few enough to show each."""
        self._answer()
        with self._lock:
            ended = [run for run in self._runs.values() if run.summary.state.ended]
        points = [_point(run) for run in sorted(ended, key=lambda run: -run.summary.created)]
        known = [one for one in points if _is_known(one, price) and _is_known(one, quality)]
        sign = 1 if quality == "score" else -1
        best: list[RunPoint] = []
        for one in sorted(known, key=lambda one: (getattr(one, price), -sign * getattr(one, quality))):
            if not best or sign * getattr(one, quality) > sign * getattr(best[-1], quality):
                best.append(one)
        return RunPoints(
            points=known, total=len(points), known=len(known), best=[one.uid for one in best],
            currency=self.prices.currency,
        )  # fmt: skip

    def price_list(self) -> Settings:
        """What a test put there."""
        self._answer()
        return self.prices

    def _answer(self) -> None:
        raise NotImplementedError

    def _find(self, uid: str) -> Played:
        raise NotImplementedError

    def _move(self, run: Played, stored: bool = True, **values: Any) -> RunSummary:
        raise NotImplementedError

    def start(self, uid: str) -> RunSummary:
        """Given by the backend."""
        raise NotImplementedError

    def stop(self, uid: str, save: bool) -> RunSummary:
        """Given by the backend."""
        raise NotImplementedError

    def pause(self, uid: str) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def delete(self, uid: str) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def edit(self, uid: str, change: EditRun) -> RunSummary:
        """Given by the backend."""
        raise NotImplementedError


def _is_known(point: RunPoint, name: str) -> bool:
    value = getattr(point, name)
    return value is not None and math.isfinite(value)


def _point(run: Played) -> RunPoint:
    shown = run.summary
    losses = [line.values["validation_loss"] for _n, line in run.lines if isinstance(line, Validation)]
    return RunPoint(
        uid=shown.uid, name=shown.name, created=shown.created, seconds=shown.seconds, cost=shown.cost,
        steps=shown.step, loss=shown.loss, validation_loss=min(losses, default=None), score=shown.score,
    )  # fmt: skip
