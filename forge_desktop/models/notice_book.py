"""Makes notices out of what the session hears, each once, and keeps the last of them between starts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.advice import told
from engine.contract.api import RunDetail, RunSummary
from engine.contract.nodes import MoveView
from engine.contract.states import EndReason, Mark, RunState
from engine.contract.stream import RunEvent
from forge_desktop.bridge.backend_notices import DiskRoom
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models import notice_moves, notices
from forge_desktop.models.notice_alerts import AlertNotices
from forge_desktop.models.notice_wishes import NoticeWishes
from forge_desktop.models.notices import ALERT, COMPLETION, FAILURE, START, Notice

KEPT, KEYS_KEPT = 200, 800
GATHER_MS = 600
DISK_EVERY_MS = 300_000
LITTLE_ROOM = 3_000_000_000
DETAILS_ASKED = 5
ALERT_CODES = frozenset(
    {"checkpoint.not_saved", "checkpoint.from_start", "run.files_expire", "run.files_kept", "run.pause_waits"}
)
"""Notes of a run that somebody may have to act on; marks and retries are told by the run's state."""


class _Known(NamedTuple):
    state: RunState
    mark: Mark | None
    retries: bool


class NoticeBook(QObject):
    """The notices, newest first. `popped` asks for something to be shown now."""

    changed = Signal()
    popped = Signal(object)
    """A list of notices; several of a kind come folded into one."""

    def __init__(
        self,
        session: Session,
        preferences: Preferences,
        parent: QObject | None = None,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(parent)
        self._session, self._preferences, self._clock = session, preferences, clock
        self.wishes = NoticeWishes(preferences)
        found = preferences.get("notices.list", [])
        loaded = [notices.from_stored(one) for one in found] if isinstance(found, list) else []
        self.list: list[Notice] = [one for one in loaded if one is not None][:KEPT]
        keys = preferences.get("notices.keys", [])
        self._keys = dict.fromkeys([str(key) for key in keys] if isinstance(keys, list) else [])
        seen = preferences.get("notices.seen")
        self._seen: float | None = float(seen) if isinstance(seen, int | float) else None
        self._known: dict[str, _Known] = {}
        self._names: dict[str, str] = {}
        self._to_show: list[Notice] = []
        self._asking: set[str] = set()
        self._caught_up_once = False
        self._soon = QTimer(self, singleShot=True, interval=GATHER_MS)
        self._soon.timeout.connect(self._show)
        self._disk = QTimer(self, interval=DISK_EVERY_MS)
        self._disk.timeout.connect(self._look_at_disk)
        session.run_changed.connect(self._run_changed)
        session.run_event.connect(self._run_event)
        session.run_deleted.connect(self._run_deleted)
        session.move_changed.connect(self._move_changed)
        session.online.connect(self._online)
        self._alerts = AlertNotices(session, self._enter, self.mark_read, self._mark_over, self)

    @property
    def unread(self) -> int:
        """How many nobody has looked at."""
        return sum(not notice.read for notice in self.list)

    @property
    def quiet(self) -> bool:
        """Nothing pops up now."""
        return self.wishes.quiet(self._clock())

    def mark_read(self, *keys: str) -> None:
        """Somebody looked at these; without a key, at all."""
        found = [notice for notice in self.list if not notice.read and (not keys or notice.key in keys)]
        for notice in found:
            notice.read = True
        if found:
            self._keep()

    def clear(self) -> None:
        """Forget all of them; none comes again."""
        self.list = []
        self._keep()

    def _mark_over(self, key: str) -> None:
        """What a notice speaks of is over; it need not be looked at any more."""
        for notice in self.list:
            if notice.key == key and not notice.facts.get("over"):
                notice.facts["over"] = notice.read = True
                self._to_show = [one for one in self._to_show if one.key != key]
                self._keep()

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        was = self._known.get(run.uid)
        self._names[run.uid] = run.name
        self._known[run.uid] = _Known(run.state, run.mark, run.retry_at is not None)
        if run.state.ended:
            live = was is not None and not was.state.ended
            if live or (self._seen is not None and (run.finished or 0.0) > self._seen):
                self._ended(run, shown=True)
        elif run.state is RunState.RUNNING and was is not None and was.state in (RunState.QUEUED, RunState.PREPARING):
            self._enter(notices.of_run(run, START, "started"))
        elif run.state is RunState.QUEUED and run.retry_at is not None and was is not None and not was.retries:
            self._enter(notices.of_run(run, ALERT, "retry", **notices.facts_of_end(run)))
        if run.mark is not None and (was is None or was.mark is not run.mark):
            self._marked(run, run.mark, again=was is not None)

    def _ended(self, run: RunSummary, shown: bool) -> Notice | None:
        """Note the end of a run, unless a person wanted it."""
        if run.finished is not None:
            self._seen = max(self._seen or 0.0, run.finished)
        if run.state is RunState.COMPLETED:
            made = notices.of_run(run, COMPLETION, "completed", **notices.facts_of_end(run))
        elif run.state is RunState.FAILED or run.reason not in (None, EndReason.STOPPED_BY_PERSON):
            made = notices.of_run(run, FAILURE, "failed", **notices.facts_of_end(run))
        else:
            return None
        if not self._enter(made, shown, hold=made.kind == FAILURE and shown):
            return None
        if made.kind == FAILURE and shown:
            self._ask_why(made)
        return made

    def _marked(self, run: RunSummary, mark: Mark, again: bool) -> None:
        """A mark may come and go; each time is an event of its own, but the same one is not told twice."""
        number = 1
        while again and f"{run.uid}:{run.attempt}:mark:{mark}:{number}" in self._keys:
            number += 1
        made = notices.of_run(run, ALERT, "mark", mark=str(mark))
        made.key += f":{mark}:{number}"
        self._enter(made)

    def _ask_why(self, notice: Notice) -> None:
        """What the diagnosis says is better than the bare error; it is waited for before anything pops up."""
        self._asking.add(notice.key)

        def got(detail: RunDetail) -> None:
            found = detail.diagnosis
            body = told(found, detail.run.error) if found is not None else None
            if body is not None:
                notice.facts["error"] = body.model_dump()
                self._keep()
            self._asked(notice)

        self._session.ask(lambda backend: backend.run(notice.run), got, lambda _e: self._asked(notice), owner=self)

    def _asked(self, notice: Notice) -> None:
        self._asking.discard(notice.key)
        self._soon.start()

    @Slot(object)
    def _run_event(self, event: RunEvent) -> None:
        code = str(event.body.get("code", ""))
        if event.kind != "guard" and (event.kind != "note" or code not in ALERT_CODES):
            return
        facts = {"code": code, "params": dict(event.body.get("params", {}))}
        made = Notice(f"note:{event.cursor}:{event.at:.0f}", ALERT, "note", event.at, event.run, facts=facts)
        if event.run in self._names:
            made.name = self._names[event.run]
            self._enter(made)
            return

        def named(detail: RunDetail) -> None:
            made.name = detail.run.name
            self._enter(made)

        self._session.ask(lambda backend: backend.run(event.run), named, lambda _error: None, owner=self)

    @Slot(object)
    def _move_changed(self, move: MoveView) -> None:
        told = notice_moves.facts_of(move)
        if told is not None:
            kind = COMPLETION if move.state == "done" else FAILURE
            at = notice_moves.ended_at(move)
            self._enter(Notice(f"move:{move.uid}", kind, told[0], at, move.run, move.name, told[1]))

    @Slot(str)
    def _run_deleted(self, uid: str) -> None:
        self._known.pop(uid, None)
        if any(notice.run == uid for notice in self.list):
            for notice in self.list:
                notice.gone = notice.gone or notice.run == uid
            self._keep()

    @Slot()
    def _online(self) -> None:
        """Find out what happened while nobody listened."""
        since, first = self._seen, not self._caught_up_once
        limit = 1 if since is None else KEPT
        self._session.ask(
            lambda backend: backend.ended_since(since or 0.0, limit),
            lambda runs: self._catch_up(runs, since is None, first),
            lambda _error: None,
            owner=self,
        )
        self._disk.start()
        self._look_at_disk()

    def _catch_up(self, runs: list[RunSummary], begins: bool, first: bool) -> None:
        self._caught_up_once = True
        if begins:  # the first start of all: what is there already is no news
            self._seen = max([self._seen or 0.0, *(run.finished or 0.0 for run in runs)])
            self._preferences.set("notices.seen", self._seen)
            return
        fresh = [made for run in reversed(runs) if (made := self._ended(run, shown=False)) is not None]
        wanted = [notice for notice in fresh if self.wishes.wants(notice.kind)]
        if not wanted or self.quiet:
            return
        summary = [notices.away(wanted)] if first and len(wanted) > 1 else wanted
        for notice in fresh[-DETAILS_ASKED:]:
            if notice.kind == FAILURE:
                self._ask_why(notice)
        self._to_show += summary
        self._soon.start()

    @Slot()
    def _look_at_disk(self) -> None:
        self._session.ask(lambda backend: backend.disk_room(), self._got_room, lambda _error: None, owner=self)

    def _got_room(self, room: DiskRoom | None) -> None:
        if room is None:
            return
        told = bool(self._preferences.get("notices.disk_told", False))
        if room.free < LITTLE_ROOM and not told:
            self._preferences.set("notices.disk_told", True)
            at = self._clock().timestamp()
            facts = {"free": room.free, "folder": room.folder}
            self._enter(Notice(f"disk:{at:.3f}", ALERT, "disk", at, facts=facts))
        elif told and room.free > 2 * LITTLE_ROOM:
            self._preferences.set("notices.disk_told", False)

    def _enter(self, notice: Notice, shown: bool = True, hold: bool = False) -> bool:
        """Take a notice in, once; False if it is known."""
        if notice.key in self._keys:
            return False
        self._keys[notice.key] = None
        wanted = self.wishes.wants(notice.kind)
        notice.read = not wanted
        self.list.insert(0, notice)
        del self.list[KEPT:]
        self._keep()
        if wanted and shown and not self.quiet:
            self._to_show.append(notice)
            if not hold:
                self._soon.start()
        return True

    @Slot()
    def _show(self) -> None:
        """What came within a moment, folded by kind; what waits for its reason comes later."""
        ready = [notice for notice in self._to_show if notice.key not in self._asking]
        self._to_show = [notice for notice in self._to_show if notice.key in self._asking]
        groups: dict[str, list[Notice]] = {}
        for notice in ready:
            groups.setdefault(notice.kind if notice.what != notices.AWAY else notice.key, []).append(notice)
        shown = [group[0] if len(group) == 1 else notices.folded(group) for group in groups.values()]
        if shown:
            self.popped.emit(shown)

    def _keep(self) -> None:
        while len(self._keys) > KEYS_KEPT:
            del self._keys[next(iter(self._keys))]
        values: dict[str, Any] = {
            "notices.list": [notice.stored() for notice in self.list],
            "notices.keys": list(self._keys),
            "notices.seen": self._seen,
        }
        for name, value in values.items():
            self._preferences.set(name, value)
        self.changed.emit()
