"""A state machine over queue, transitions and ingestion: whatever happens in whatever order, the history is right."""

import contextlib
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from engine.contract.ids import new_id
from engine.contract.states import LIVE, EndReason, RunState
from engine.control.jobs import queue, transitions
from engine.control.jobs.ingest import Ingest, Source
from engine.control.store import metrics, runs
from engine.control.store.database import Database
from tests.helpers.controller import make_spec, take_next

SLOTS = {"gpu": 2}
GPUS = ("0", "1")
FINAL = (RunState.STOPPED, RunState.FAILED, RunState.PAUSED, RunState.QUEUED, RunState.COMPLETED)


@dataclass
class Work:
    """An attempt as the test knows it."""

    run_id: int
    source: Source
    journal: Path
    lease: str
    seq: int = 0
    step: int = 0
    torn: bytes = b""
    ingest: Ingest | None = None
    told: list[tuple[str, int, float]] = field(default_factory=list)
    """(kind, seq, loss) of each complete line."""


class HistoryMachine(RuleBasedStateMachine):
    """Runs are made, started, reported on (also late, also twice), ended and started again."""

    all_runs = Bundle("runs")
    all_works = Bundle("works")

    @initialize()
    def open(self) -> None:
        """A history of its own."""
        self.folder = Path(tempfile.mkdtemp(prefix="forge-machine-"))
        self.database = Database(self.folder / "history.sqlite3")
        self.clock = 0.0
        self.works: list[Work] = []

    def teardown(self) -> None:
        """Close and remove it."""
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.folder)

    def now(self) -> float:
        """Later than before."""
        self.clock += 1.0
        return self.clock

    def row(self, run_id: int):
        """A run as the history has it."""
        return self.database.read_now(lambda c: c.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone())

    @rule(target=all_runs, priority=st.integers(-2, 2))
    def create(self, priority: int) -> int:
        """A person makes a run and starts it."""
        at = self.now()

        def write(t):
            run_id = runs.insert(t, new_id(), make_spec(self.folder, priority=priority), "", at)
            assert transitions.move(t, run_id, RunState.QUEUED, actor="test", at=at)
            return run_id

        return self.database.write_now(write)

    @rule(target=all_works)
    def claim(self):
        """The scheduler takes the next: the most urgent, of these the one that has waited longest."""
        waiting = self.database.read_now(
            lambda c: c.execute("SELECT id, priority, queued FROM run WHERE state = 'queued'").fetchall()
        )
        live = self.live()
        at = self.now()
        available = queue.slots(SLOTS, GPUS)
        claim = self.database.write_now(lambda t: take_next(t, available, GPUS, "fake", at))
        if live >= SLOTS["gpu"] or not waiting:
            assert claim is None
            return multiple()
        expected = min(waiting, key=lambda row: (-row["priority"], row["queued"], row["id"]))
        assert claim is not None
        assert claim.run_id == expected["id"]
        journal = self.folder / f"{claim.attempt_id}.jsonl"
        source = Source(journal, claim.run_id, claim.uid, claim.attempt_id, claim.n, claim.lease)
        work = Work(claim.run_id, source, journal, claim.lease)
        self.works.append(work)
        return work

    def live(self) -> int:
        """Runs at work."""
        states = ",".join(f"'{state}'" for state in LIVE)
        return self.database.read_now(
            lambda c: c.execute(f"SELECT count(*) FROM run WHERE state IN ({states})").fetchone()[0]
        )

    @rule(work=all_works, count=st.integers(1, 5), back=st.integers(0, 3))
    def write_steps(self, work: Work, count: int, back: int) -> None:
        """The worker takes some steps, perhaps again from an earlier one."""
        work.step = max(0, work.step - back)
        for _ in range(count):
            work.step += 1
            loss = 1.0 / (work.step + work.seq)
            self.say(work, "step", loss=loss, step=work.step, epoch=0.1, values={"loss": loss})

    @rule(work=all_works, kind=st.sampled_from(["started", "saving", "note", "ended"]))
    def write_news(self, work: Work, kind: str) -> None:
        """The worker says something else, wherever its run stands."""
        content = {
            "started": ("started", {"pid": 1}),
            "saving": ("phase", {"phase": "saving"}),
            "note": ("note", {"code": "training.full_logits"}),
            "ended": ("ended", {"state": "completed", "reason": "finished"}),
        }[kind]
        self.say(work, content[0], **content[1])

    def say(self, work: Work, kind: str, loss: float = 0.0, **content) -> None:
        """A whole line; one that was torn before is completed first."""
        self.complete_torn(work)
        work.seq += 1
        line = {"v": 1, "seq": work.seq, "t": self.now(), "kind": kind, **content}
        with work.journal.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
        work.told.append((kind, work.seq, loss))

    @rule(work=all_works, share=st.floats(0.05, 0.95))
    def tear(self, work: Work, share: float) -> None:
        """A line of which only a part is there yet."""
        self.complete_torn(work)
        line = json.dumps({"v": 1, "seq": work.seq + 1, "t": self.now(), "kind": "note", "code": "x"}).encode() + b"\n"
        cut = max(1, int(len(line) * share))
        with work.journal.open("ab") as file:
            file.write(line[:cut])
        work.torn = line[cut:]

    def complete_torn(self, work: Work) -> None:
        """Its rest comes."""
        if work.torn:
            with work.journal.open("ab") as file:
                file.write(work.torn)
            work.torn = b""
            work.seq += 1
            work.told.append(("note", work.seq, 0.0))

    @rule(work=all_works, fresh=st.booleans())
    def pull(self, work: Work, fresh: bool) -> None:
        """The journal is taken in, by the same reader or by one that knows nothing. Late reports change nothing."""
        before = self.row(work.run_id)
        if fresh or work.ingest is None:
            work.ingest = Ingest(self.database, work.source)
        while work.ingest.pull():
            pass
        after = self.row(work.run_id)
        current = before["attempt"] == work.source.n and before["state"] in LIVE
        if not current:
            assert (after["state"], after["reason"]) == (before["state"], before["reason"])
        if before["attempt"] != work.source.n:
            assert dict(after) == dict(before)
        assert after["state"] not in FINAL or before["state"] == after["state"]

    @rule(work=all_works)
    def two_readers(self, work: Work) -> None:
        """Two controllers read the same journal: what one has stored the other does not store again."""
        old = Ingest(self.database, work.source)
        old._position = self.database.read_now(lambda c: _position(c, work.source.attempt_id))
        self.pull(work, True)
        old.pull()

    @rule(work=all_works, to=st.sampled_from(FINAL), late=st.booleans())
    def end(self, work: Work, to: RunState, late: bool) -> None:
        """The worker's process has ended; a lease that is not the run's any more decides nothing."""
        row = self.row(work.run_id)
        held = row["state"] in LIVE and row["attempt"] == work.source.n
        lease = "another's" if late else work.lease
        at = self.now()
        moved = self.database.write_now(
            lambda t: transitions.complete(
                t, work.run_id, to, actor="test", at=at, lease=lease, reason=EndReason.FINISHED
            )
        )
        if moved:
            assert held
            assert not late
            assert self.row(work.run_id)["state"] == to
        else:
            assert self.row(work.run_id)["state"] == row["state"]
        assert moved or late or not held

    @rule(run_id=all_runs, to=st.sampled_from([RunState.QUEUED, RunState.STOPPED, RunState.RUNNING, RunState.DRAFT]))
    def wish(self, run_id: int, to: RunState) -> None:
        """A person (or a bug) asks for a move without a lease: only what the table allows, not out of a live state."""
        row = self.row(run_id)
        at = self.now()
        moved = self.database.write_now(lambda t: transitions.move(t, run_id, to, actor="test", at=at))
        was = RunState(row["state"])
        assert moved == (was not in LIVE and to in transitions.TABLE[was])
        assert self.row(run_id)["state"] == (to if moved else was)

    @rule(work=all_works)
    def crash(self, work: Work) -> None:
        """The controller dies in the middle of storing: nothing of it remains."""
        self.complete_torn(work)
        reader = Ingest(self.database, work.source)
        original = reader._store

        def dying(transaction, flush):
            original(transaction, flush)
            raise _Killed

        reader._store = dying  # type: ignore[method-assign]
        with contextlib.suppress(_Killed):
            reader.pull()

    @invariant()
    def slots_and_leases_hold(self) -> None:
        """Never more runs than slots; a device has one holder; only open attempts hold devices."""
        if not hasattr(self, "database"):
            return
        assert self.live() <= SLOTS["gpu"]
        leases = self.database.read_now(
            lambda c: c.execute(
                "SELECT device, share, ended FROM device_lease JOIN attempt ON attempt.id = attempt_id"
            ).fetchall()
        )
        assert len({(row["device"], row["share"]) for row in leases}) == len(leases) == self.live()
        assert all(row["ended"] is None for row in leases)

    @invariant()
    def history_is_a_prefix_of_each_journal(self) -> None:
        """What is stored of an attempt is the first lines of its journal, each once, with its value."""
        for work in getattr(self, "works", []):
            self._check(work)

    def _check(self, work: Work) -> None:
        def look(connection):
            events = [
                row[0]
                for row in connection.execute(
                    "SELECT seq FROM event WHERE attempt_id = ? AND seq IS NOT NULL", (work.source.attempt_id,)
                )
            ]
            curve = next(iter(metrics.read(connection, work.run_id, ["loss"])), None)
            position = _position(connection, work.source.attempt_id).seq
            return events, curve, position

        events, curve, position = self.database.read_now(look)
        points = []
        if curve is not None:
            mine = curve.attempt == work.source.n
            points = list(zip(curve.seq[mine].tolist(), curve.value[mine].tolist(), strict=True))
        known = [line for line in work.told if line[1] <= position]
        assert sorted(events) == [seq for kind, seq, _ in known if kind != "step"]
        assert points == [(seq, loss) for kind, seq, loss in known if kind == "step"]


class _Killed(Exception):
    """Stands for the end of the process."""


def _position(connection, attempt_id):
    from engine.control.store import attempts

    return attempts.position(connection, attempt_id)


TestHistoryMachine = HistoryMachine.TestCase
TestHistoryMachine.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
