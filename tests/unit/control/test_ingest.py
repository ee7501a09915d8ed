"""Journals into the history: at least once in, exactly once stored."""

import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract.states import RunState
from engine.control.jobs import ingest, record, transitions
from engine.control.jobs.ingest import Ingest, Source
from engine.control.store import attempts, details, metrics, runs
from engine.control.store.database import Database
from tests.helpers.controller import make_spec


class Bed:
    """A run in preparation, its journal, and whoever takes it in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal.jsonl"
        self.database = Database(folder / "history.sqlite3")
        self.seq = 0
        self.database.write_now(self._prepare)
        self.again()

    def _prepare(self, t):
        runs.insert(t, "u", make_spec(self.folder), "", 1)
        transitions.move(t, 1, RunState.QUEUED, actor="test", at=1)
        attempt_id, n = attempts.insert(t, 1, cause="first", lease="lease", spec="{}", at=1)
        attempts.add_member(t, attempt_id, "fake", 1, [])
        transitions.move(t, 1, RunState.PREPARING, actor="test", at=1)
        self.source = Source(self.path, 1, "u", attempt_id, n, "lease")

    def again(self) -> None:
        """As after a restart: nothing is known but what the history says."""
        self.ingest = Ingest(self.database, self.source)

    def line(self, kind: str, **content) -> bytes:
        self.seq += 1
        return json.dumps({"v": 1, "seq": self.seq, "t": 100.0 + self.seq, "kind": kind, **content}).encode() + b"\n"

    def step(self, n: int, **values) -> bytes:
        return self.line("step", step=n, epoch=n / 10, values=values or {"loss": 1 / n})

    def write(self, *data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(b"".join(data))

    def pull(self) -> None:
        while self.ingest.pull():
            pass

    @property
    def loss(self):
        points = self.database.read_now(lambda c: metrics.read(c, 1, ["loss"]))
        return points[0].value.tolist() if points else []

    @property
    def row(self):
        return self.database.read_now(lambda c: c.execute("SELECT * FROM run").fetchone())

    def bodies(self, kind: str):
        rows = self.database.read_now(
            lambda c: c.execute("SELECT body FROM event WHERE kind = ? ORDER BY cursor", (kind,)).fetchall()
        )
        return [json.loads(row[0]) for row in rows]

    def position(self):
        return self.database.read_now(lambda c: attempts.position(c, self.source.attempt_id))


@pytest.fixture
def bed(tmp_path: Path):
    bed = Bed(tmp_path)
    yield bed
    bed.database.close()


def test_that_taking_a_journal_in_twice_stores_it_once(bed):
    bed.write(bed.step(1), bed.step(2), bed.line("note", code="x"))
    bed.pull()
    bed.pull()
    bed.again()
    bed.pull()
    assert bed.loss == [1.0, 0.5]
    assert len(bed.bodies("note")) == 1
    assert bed.position().seq == 3
    assert bed.position().bytes == bed.path.stat().st_size


def test_that_a_crash_before_the_commit_stores_nothing_and_loses_nothing(bed, monkeypatch):
    bed.write(bed.step(1), bed.line("note", code="x"))
    whole = record.store

    def crash(transaction, source, flush):
        whole(transaction, source, flush)
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "store", crash)
    with pytest.raises(KeyboardInterrupt):
        bed.pull()
    assert (bed.loss, bed.bodies("note"), bed.position().bytes) == ([], [], 0)
    monkeypatch.undo()
    bed.again()
    bed.pull()
    assert (bed.loss, len(bed.bodies("note"))) == ([1.0], 1)


def test_that_two_who_take_in_the_same_journal_store_it_once(bed):
    other = Ingest(bed.database, bed.source)
    bed.write(bed.step(1))
    bed.pull()
    other.pull()
    bed.write(bed.step(2))
    other.pull()
    bed.pull()
    bed.pull()
    assert bed.loss == [1.0, 0.5]


def test_that_a_torn_last_line_waits_for_its_rest(bed):
    line = bed.step(2)
    first = bed.step(1)
    bed.seq = 0
    first, line = bed.step(1), bed.step(2)
    bed.write(first, line[:20])
    bed.pull()
    assert bed.loss == [1.0]
    bed.write(line[20:])
    bed.pull()
    assert bed.loss == [1.0, 0.5]
    assert bed.bodies("note") == []


@pytest.mark.parametrize(
    "bad", [b"not json\n", b'{"v":1,"seq":2}\n', b"\xff\xfe\n", b"\n", b'{"kind":"nothing"}\n', b"[" * 5000 + b"\n"]
)
def test_that_a_bad_line_is_noted_and_passed_over(bed, bad):
    bed.write(bed.step(1), bad, bed.step(2))
    bed.pull()
    assert bed.loss == [1.0, 0.5]
    assert [body["code"] for body in bed.bodies("note")] == ["journal.bad_line"]


def test_that_a_huge_line_without_an_end_does_not_stop_the_rest(bed, monkeypatch):
    monkeypatch.setattr(ingest, "CHUNK_BYTES", 4096)
    bed.write(b"x" * 10_000, b"\n", bed.step(1))
    bed.pull()
    assert bed.loss == [1.0]


def test_that_missing_numbers_are_noted(bed):
    bed.write(bed.step(1))
    bed.seq = 5
    bed.write(bed.step(2))
    bed.pull()
    assert [body["params"] for body in bed.bodies("note")] == [{"first": 2, "last": 5}]
    assert bed.loss == [1.0, 0.5]


def test_that_a_number_that_came_before_is_not_stored_again(bed):
    bed.write(bed.step(1))
    bed.seq = 0
    bed.write(bed.step(2))
    bed.pull()
    assert bed.loss == [1.0]


def test_that_nan_and_infinities_survive(bed):
    bed.write(bed.line("step", step=1, epoch=0.1, values={"loss": "NaN", "grad_norm": "Infinity"}))
    bed.pull()
    assert [str(value) for value in bed.loss] == ["nan"]
    assert bed.row["loss"] is None


def test_that_the_list_follows_the_journal(bed):
    bed.database.write_now(lambda t: t.execute("UPDATE run SET queued = 99.5"))
    bed.write(
        bed.line("started", pid=1, environment={"python": "3"}), bed.line("planned", total_steps=9, epochs=1, rows=9)
    )
    bed.write(bed.line("phase", phase="training"), bed.step(1, loss=3.0, step_seconds=0.5), bed.step(2, loss=2.0))
    bed.pull()
    summary = bed.database.read_now(lambda c: runs.summary(c, 1))
    assert (summary.state, summary.phase, summary.step, summary.total_steps, summary.loss) == (
        "running", "training", 2, 9, 2.0
    )  # fmt: skip
    assert summary.eta_seconds == 3.5
    assert summary.sparkline == [3.0, 2.0]
    detail = bed.database.read_now(lambda c: details.detail(c, 1))
    assert detail.attempts[0].environment == {"python": "3"}
    assert detail.submit_to_first_step_s == pytest.approx(104.0 - 99.5)


def test_that_scores_samples_and_results_reach_the_run_page(bed):
    bed.write(bed.line("score", when="before", value=0.1, correct=1, rows=10))
    bed.write(bed.line("sample", when="after", index=0, prompt="p", answer="a", correct=True))
    bed.write(bed.line("artifact", artifact="adapter", path="outputs/adapter", bytes=7, sha256="ab"))
    bed.pull()
    detail = bed.database.read_now(lambda c: details.detail(c, 1))
    assert (detail.scores[0].value, detail.samples[0].answer) == (0.1, "a")
    assert (detail.artifacts[0].name, detail.artifacts[0].bytes, detail.artifacts[0].sha256) == ("adapter", 7, "ab")
    output = bed.database.read_now(lambda c: c.execute("SELECT * FROM lineage WHERE role = 'output'").fetchone())
    assert tuple(output) == (1, "output", "adapter", "ab", "outputs/adapter")


def test_that_saving_and_the_last_word_mean_finishing(bed):
    bed.write(bed.line("started", pid=1), bed.line("phase", phase="saving"))
    bed.pull()
    assert bed.row["state"] == "finishing"


def test_that_reports_for_a_stopped_run_are_kept_but_not_obeyed(bed):
    bed.write(bed.line("started", pid=1))
    bed.pull()
    bed.database.write_now(
        lambda t: transitions.move(t, 1, RunState.STOPPED, actor="test", at=200, lease="lease")
    )  # fmt: skip
    bed.write(bed.step(1), bed.line("phase", phase="saving"), bed.line("ended", state="completed", reason="finished"))
    bed.pull()
    assert bed.row["state"] == "stopped"
    assert bed.loss == [1.0]


def test_that_news_are_told_with_the_data_they_report(bed):
    news = []
    bed.database.on_commit = news.extend
    bed.write(bed.step(1), bed.line("score", when="before", value=0.1, correct=1, rows=10))
    bed.pull()
    kinds = [message.type for message in news]
    assert sorted(kinds) == ["event", "points", "run"]
    points = next(message for message in news if message.type == "points")
    assert points.points["loss"] == [(1.0, 101.0, 1.0)]


def test_the_little_curve_keeps_its_size():
    stored = ""
    for n in range(1000):
        stored = record.sparkline(stored, [float(n)])
    values = json.loads(stored)["values"]
    assert len(values) <= record.SPARKLINE_VALUES
    gaps = {b - a for a, b in itertools.pairwise(values)}
    assert values[0] == 0
    assert len(gaps) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 200), max_size=12), restarts=st.sets(st.integers(0, 12)))
def test_that_wherever_writing_and_reading_break_off_every_line_is_stored_once(tmp_path_factory, cuts, restarts):
    bed = Bed(tmp_path_factory.mktemp("ingest"))
    try:
        data = b"".join(bed.step(n) for n in range(1, 21))
        for number, cut in enumerate([*cuts, len(data)]):
            bed.write(data[:cut])
            data = data[cut:]
            if number in restarts:
                bed.again()
            bed.pull()
        assert bed.loss == [1 / n for n in range(1, 21)]
        assert bed.position().seq == 20
    finally:
        bed.database.close()


def test_that_a_long_phase_does_not_fill_the_timeline(bed):
    bed.write(bed.line("note", code="first"), bed.line("phase", phase="downloading"))
    bed.write(*(bed.line("phase", phase="downloading", done=n / 3000) for n in range(1, 3001)))
    bed.write(bed.line("phase", phase="loading"), bed.line("phase", phase="training"))
    bed.write(*(bed.line("phase", phase="saving", done=n / 4) for n in range(3)))
    bed.pull()
    found = [event for event in bed.database.read_now(lambda c: details.detail(c, 1)).events if event.actor == "worker"]
    told = [(event.body["phase"], event.body["done"]) for event in found if event.kind == "phase"]
    assert told == [
        ("downloading", None), ("downloading", 1.0), ("loading", None), ("training", None),
        ("saving", 0.0), ("saving", 0.5),
    ]  # fmt: skip
    assert [event.body["code"] for event in found if event.kind == "note"] == ["first"]
    assert len(bed.bodies("phase")) == 3006


def test_that_the_run_knows_the_tokens_it_has_seen_with_the_steps_that_tell_them(bed):
    def seen():
        return bed.database.read_now(lambda c: runs.summary(c, 1)).tokens_seen

    bed.write(bed.step(1))
    bed.pull()
    assert seen() is None
    bed.write(bed.step(2, loss=1.0, tokens_seen=4096.0), bed.step(3, loss=1.0, tokens_seen=8192.0))
    bed.pull()
    assert seen() == 8192
    bed.write(bed.step(4), bed.step(5, loss=1.0, tokens_seen=math.nan))
    bed.pull()
    assert seen() == 8192
