"""Keeps spare workers ready: makes them, gives them up when memory is short, and lets them have attempts.

A start never fails because of them: whatever is wrong with a spare, the start is a cold one.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
import time
from collections.abc import Callable

from engine.control.executors.base import Launch, SparePlan, SpareStatus
from engine.control.executors.memory import Memory, read_memory
from engine.control.executors.spare import Plan, Spare, Taken, resolve

log = logging.getLogger(__name__)
LOOK_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0
PROVEN_S = 60.0
"""A spare that was ready for so long did not break at once."""
USUAL_BYTES = 400 << 20
"""What a spare takes, until one was measured."""


class Spares:
    """A thread of its own looks after them; `start` may be called from any other."""

    def __init__(self, memory: Callable[[], Memory] = read_memory, first_wait: float = FIRST_WAIT_S) -> None:
        self._memory, self._first_wait = memory, first_wait
        self._wanted: Callable[[], SparePlan | None] = lambda: None
        self._spares: list[Spare] = []
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._status = SpareStatus()
        self._failures, self._not_before = 0, 0.0
        self._unfit: set[str] = set()
        """Plans whose processes must not be forked."""
        self._size = USUAL_BYTES

    def keep(self, plan: Callable[[], SparePlan | None]) -> None:
        """Do so from now on; called again, look again at once."""
        self._wanted = plan
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="spares", daemon=True)
            self._thread.start()
        self._wake.set()

    def status(self) -> SpareStatus:
        """As of the last look."""
        return self._status

    def start(self, launch: Launch) -> Taken | None:
        """Have a spare become this worker; None if the start must be a cold one."""
        with self._lock:
            spare = next((spare for spare in self._spares if spare.ready and not self._closed), None)
            if spare is None:
                return None
            taken = None
            if spare.fits(launch):
                taken = spare.take(launch)
                if taken is None:
                    log.warning("the spare worker did not start %s: a cold start", launch.folder.root)
                    self._failed()
                else:
                    self._failures = 0
            if taken is None or spare.plan.method == "wait":
                self._drop(spare, end=taken is None)
        self._wake.set()
        return taken

    def close(self) -> None:
        """End them all."""
        with self._lock:
            self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        with self._lock:
            self._end_all()

    def _run(self) -> None:
        while not self._closed:
            try:
                with self._lock:
                    self._look()
            except Exception:
                log.exception("looking after spare workers failed; trying again")
                self._not_before = time.monotonic() + LONGEST_WAIT_S
            self._rest()
        with self._lock:
            self._end_all()

    def _rest(self) -> None:
        """Until something is said by a spare that warms up, or the next look is due, or somebody wakes us."""
        with self._lock:
            warming = [spare.answers for spare in self._spares if not spare.ready]
        deadline = time.monotonic() + LOOK_S
        while time.monotonic() < deadline and not self._wake.wait(0 if warming else LOOK_S):
            with contextlib.suppress(OSError, ValueError):
                if warming and select.select(warming, [], [], 0.1)[0]:
                    break
        self._wake.clear()

    def _look(self) -> None:
        if self._closed:
            return
        wanted = self._wanted()
        plan = resolve(wanted, self._unfit) if wanted is not None and wanted.count > 0 else None
        if wanted is None or plan is None:
            self._end_all()
            self._status = SpareStatus("off")
            return
        for spare in list(self._spares):
            if spare.plan.key != plan.key:
                log.info("the spare worker is out of date")
                self._drop(spare, end=True)
            else:
                self._look_at(spare)
        if self._short_of_memory(wanted.memory):
            if self._spares or self._status.state != "given_up":
                log.info("memory is short: no spare worker for now")
            self._end_all()
            self._status = SpareStatus("given_up")
            return
        self._make(plan, 1 if plan.method == "fork" else wanted.count, wanted)
        self._tell()

    def _look_at(self, spare: Spare) -> None:
        """Whether it got ready, or broke."""
        word = spare.listen()
        if word == "ready":
            self._size = spare.bytes() or self._size
            log.info("a spare worker is ready after %.1f s (%s), %d MB", spare.age, spare.plan.method, self._size >> 20)
        elif word == "unfit":
            log.info("spare workers cannot be forked here: %s", spare.why)
            self._unfit.add(spare.plan.root)
            self._drop(spare, end=True)
        elif word == "dead":
            log.warning("a spare worker ended by itself; see %s", spare.log)
            if spare.ready and spare.ready_for > PROVEN_S:
                self._failures = 0
            self._failed()
            self._drop(spare, end=True)

    def _make(self, plan: Plan, count: int, wanted: SparePlan) -> None:
        while len(self._spares) < count and time.monotonic() >= self._not_before:
            try:
                self._spares.append(Spare(plan, wanted))
            except OSError as error:
                log.warning("a spare worker could not be started: %s", error)
                self._failed()

    def _failed(self) -> None:
        self._not_before = time.monotonic() + min(self._first_wait * 2**self._failures, LONGEST_WAIT_S)
        self._failures += 1

    def _short_of_memory(self, least: int) -> bool:
        """Giving up and coming back have different limits: a spare that comes must not be what makes memory short."""
        memory = self._memory()
        back = 0 if self._spares else self._size
        return memory.available < least + back or memory.stalled

    def _tell(self) -> None:
        held = sum(spare.bytes() for spare in self._spares)
        if any(spare.ready for spare in self._spares):
            self._status = SpareStatus("ready", held)
        elif self._spares:
            self._status = SpareStatus("warming", held)
        else:
            self._status = SpareStatus("broken")

    def _drop(self, spare: Spare, end: bool) -> None:
        if end:
            spare.end()
        if spare in self._spares:
            self._spares.remove(spare)
        if not any(other.ready for other in self._spares):
            self._status = SpareStatus("warming" if time.monotonic() >= self._not_before else "broken")

    def _end_all(self) -> None:
        for spare in self._spares:
            spare.end()
        self._spares = []
