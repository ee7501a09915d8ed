"""Time, cost and score of runs: what each attempt adds, and what a live one adds up to now."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract import events as lines
from engine.contract.api import Settings
from engine.contract.clock import now
from engine.contract.errors import Refused
from engine.contract.ids import new_id
from engine.contract.paths import Home
from engine.contract.states import EndReason, RunState
from engine.control.jobs import record, transitions
from engine.control.jobs import settings as kept
from engine.control.jobs.ingest import Flush, Source
from engine.control.jobs.requests import Request
from engine.control.store import attempts, runs
from engine.control.store.attempts import Position
from engine.control.store.database import Database
from tests.helpers.controller import make_spec, take_next
from tests.helpers.waiting import wait_until


@pytest.fixture
def database(tmp_path: Path):
    database = Database(tmp_path / "history.sqlite3")
    yield database
    database.close()


def put(database, folder):
    return database.write_now(lambda t: runs.insert(t, new_id(), make_spec(folder), "", 1.0))


def begin(database, run_id, at, prices=None):
    def write(t):
        transitions.move(t, run_id, RunState.QUEUED, actor="test", at=at)
        return take_next(t, {"gpu": 1, "cpu": 0, "light": 0}, (), "fake", at, prices)

    return database.write_now(write)


def end(database, claim, at, to=RunState.STOPPED):
    database.write_now(
        lambda t: transitions.complete(
            t, claim.run_id, to, actor="test", at=at, lease=claim.lease, reason=EndReason.FINISHED
        )
    )


def shown(database, run_id, at):
    def read(connection):
        row = connection.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()
        found = runs.from_row(row, at)
        sql = f"SELECT {runs.SECONDS}, {runs.COST} FROM run WHERE id = :id"
        assert tuple(connection.execute(sql, {"now": at, "id": run_id}).fetchone()) == (found.seconds, found.cost)
        return found.seconds, found.cost

    return database.read_now(read)


def test_that_every_attempt_adds_its_time_at_the_price_of_its_own_time(database, tmp_path):
    run_id = put(database, tmp_path)
    assert shown(database, run_id, 1.0) == (0.0, None)
    first = begin(database, run_id, 100.0)
    assert shown(database, run_id, 130.0) == (30.0, None)
    end(database, first, 160.0)
    assert shown(database, run_id, 999.0) == (60.0, None)
    second = begin(database, run_id, 1000.0, {"gpu": 3600.0, "cpu": 1.0})
    assert shown(database, run_id, 1002.0) == (62.0, 2.0)
    database.write_now(lambda t: runs.set_prices(t, {"gpu": 7200.0}))
    end(database, second, 1003.0)
    assert shown(database, run_id, 5000.0) == (63.0, 6.0)
    database.write_now(lambda t: runs.set_prices(t, {}))
    assert shown(database, run_id, 5000.0) == (63.0, 6.0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6)), max_size=5))
def test_that_no_clock_makes_time_or_cost_negative_or_less(database, tmp_path, moments):
    run_id, last = put(database, tmp_path), (0.0, 0.0)
    for begun, looked, ended in moments:
        claim = begin(database, run_id, begun, {"gpu": 1.5})
        live = shown(database, run_id, looked)
        end(database, claim, ended)
        after = shown(database, run_id, 0.0)
        assert live[0] >= last[0]
        assert live[1] >= last[1]
        assert after[0] == pytest.approx(last[0] + max(0.0, ended - begun))
        assert after[1] == pytest.approx(last[1] + max(0.0, ended - begun) * 1.5 / 3600)
        last = after


def test_that_the_score_is_the_share_of_exact_matches_after_training(database, tmp_path):
    run_id = put(database, tmp_path)
    claim = begin(database, run_id, 1.0)
    source = Source(tmp_path / "j", run_id, claim.uid, claim.attempt_id, claim.n, claim.lease)

    def tell(seq, **content):
        line = lines.Score(seq=seq, t=2.0, correct=1, rows=4, **content)
        flush = Flush(Position(), Position(seq, 10 * seq), [line])
        database.write_now(lambda t: record.store(t, source, flush))
        return database.read_now(lambda c: runs.summary(c, run_id)).score

    assert tell(1, when="before", value=0.1) is None
    assert tell(2, when="after", metric="other", value=0.2) is None
    assert tell(3, when="after", value=0.75) == 0.75
    end(database, claim, 9.0)
    assert database.read_now(lambda c: runs.summary(c, run_id)).score == 0.75


def test_that_bad_prices_are_refused_whole(tmp_path):
    home = Home(tmp_path)
    kept.save(home, Settings(prices={"gpu": 2.5}, currency="EUR"))
    with pytest.raises(Refused) as caught:
        kept.save(home, Settings(prices={"gpu": -1.0, "tpu": 2.0, "cpu": float("nan"), "light": 1.0}))
    assert [problem.field for problem in caught.value.problems] == ["prices.gpu", "prices.tpu", "prices.cpu"]
    assert kept.load(home).prices == {"gpu": 2.5}


@pytest.mark.parametrize(("moment", "seconds"), [(60.0, 60.0), (-500.0, 0.0), (1e9, None), (None, None)])
def test_that_time_without_a_controller_is_not_time_of_a_run_that_had_ended(bench, moment, seconds):
    """An end before the attempt began, or after now, is that of a clock that was changed."""

    async def main():
        async with bench.running(prices={"gpu": 3600.0}):
            uid = await bench.create()
            worker = await bench.worker(uid)
            await bench.until(uid, "preparing")
        begun = now() - 3600.0  # as if the controller had been away for an hour
        with contextlib.closing(Database(bench.home.database)) as database:
            database.write_now(lambda t: t.execute("UPDATE run SET working_since = ?", (begun,)))
            database.write_now(lambda t: t.execute("UPDATE attempt SET started = ?", (begun,)))
        worker.end(3, at=None if moment is None else begun + moment)
        async with bench.running():
            row = await bench.until(uid, "failed")
            found = await bench.controller.database.read(lambda c: attempts.of_run(c, row["id"]))
            told = bench.fetch("SELECT max(at) FROM event WHERE run_id = ? AND kind = 'state'", row["id"])[0][0]
        assert row["cost"] == pytest.approx(row["worked_seconds"])
        assert found[0].ended == row["finished"] == pytest.approx(begun + row["worked_seconds"])
        assert told > begun + 3599.0  # the event is from when it was found
        if seconds is None:
            assert row["worked_seconds"] > 3599.0
        else:
            assert row["worked_seconds"] == pytest.approx(seconds, abs=0.001)

    asyncio.run(main())


def test_that_an_end_while_the_controller_looks_on_is_when_it_sees_it(bench):
    """A change of the computer's clock in the middle of a run makes its time neither more nor less."""

    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.play({"kind": "phase", "phase": "loading"})
            heard = "SELECT 1 FROM member WHERE ingested_seq = 1"
            await asyncio.to_thread(wait_until, lambda: bench.fetch(heard), what="the worker is heard")
            worker.end(3, at=1.0)
            row = await bench.until(uid, "failed")
            assert row["finished"] > row["started"] > 1e9

    asyncio.run(main())


def test_that_a_price_counts_for_the_run_at_work_from_the_moment_it_is_set(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            await bench.worker(uid)
            await bench.controller.change_settings(Settings(prices={"gpu": 3.0}), Request("settings"))
            assert (await bench.row(uid))["price"] == 3.0
        async with bench.running(prices={"gpu": 5.0}):
            assert (await bench.row(uid))["price"] == 5.0

    asyncio.run(main())
