"""State changes: the table, the lease, and what is written with a move."""

import json
from itertools import product
from pathlib import Path

import pytest

from engine.contract.ids import new_id
from engine.contract.states import ENDED, LIVE, EndReason, RunState
from engine.control.jobs import transitions
from engine.control.store import attempts, nodes, runs
from engine.control.store.database import Database
from tests.helpers.controller import make_spec

S = RunState


@pytest.fixture
def database(tmp_path: Path):
    database = Database(tmp_path / "history.sqlite3")
    yield database
    database.close()


def put(database: Database, folder: Path, state: RunState, lease: str = "lease") -> int:
    def write(t):
        run_id = runs.insert(t, new_id(), make_spec(folder), "me", 1.0)
        t.execute("UPDATE run SET state = ? WHERE id = ?", (state, run_id))
        if state in LIVE:
            attempt_id, _ = attempts.insert(t, run_id, cause="first", lease=lease, spec="{}", at=2.0)
            attempts.add_member(t, attempt_id, "fake", 1, ["cpu"])
            t.execute("INSERT INTO device_lease VALUES (1, 'cpu', 0, ?)", (attempt_id,))
        return run_id

    return database.write_now(write)


def state_of(database: Database, run_id: int) -> str:
    return database.read_now(lambda c: c.execute("SELECT state FROM run WHERE id = ?", (run_id,)).fetchone()[0])


def move(database: Database, run_id: int, to: RunState, **more) -> bool:
    return database.write_now(lambda t: transitions.move(t, run_id, to, actor="test", at=5.0, **more), durable=True)


def test_that_the_table_names_every_state():
    assert set(transitions.TABLE) == set(RunState)


def test_that_every_state_but_draft_can_be_reached():
    assert set().union(*transitions.TABLE.values()) == set(RunState) - {S.DRAFT}


def test_that_a_move_is_made_exactly_when_the_table_allows_it(database, tmp_path):
    for was, to in product(RunState, RunState):
        run_id = put(database, tmp_path, was)
        allowed = to in transitions.TABLE[was]
        assert move(database, run_id, to, lease="lease" if was in LIVE else None) is allowed, (was, to)
        assert state_of(database, run_id) == (to if allowed else was)
        database.write_now(lambda t: t.execute("DELETE FROM device_lease"))


@pytest.mark.parametrize("was", sorted(LIVE))
def test_that_nobody_moves_a_live_run_without_its_lease(database, tmp_path, was):
    run_id = put(database, tmp_path, was)
    for to in transitions.TABLE[was]:
        assert not move(database, run_id, to, lease="another")
        assert not move(database, run_id, to)
    assert state_of(database, run_id) == was


def test_that_a_late_report_never_wins(database, tmp_path):
    run_id = put(database, tmp_path, S.RUNNING)
    assert move(database, run_id, S.STOPPED, lease="lease", reason=EndReason.STOPPED_BY_PERSON)
    for to in (S.QUEUED, S.RUNNING, S.FINISHING, S.COMPLETED, S.FAILED):
        assert not move(database, run_id, to, lease="lease")
    assert state_of(database, run_id) == S.STOPPED


def test_that_a_late_report_of_an_earlier_attempt_does_not_move_the_next(database, tmp_path):
    run_id = put(database, tmp_path, S.RUNNING, lease="old")
    move(database, run_id, S.FAILED, lease="old")
    move(database, run_id, S.QUEUED)
    move(database, run_id, S.PREPARING)
    database.write_now(lambda t: attempts.insert(t, run_id, cause="retry", lease="new", spec="{}", at=9.0))
    assert not move(database, run_id, S.RUNNING, lease="old")
    assert move(database, run_id, S.RUNNING, lease="new")


def test_that_state_reason_actor_and_event_are_written_together(database, tmp_path):
    run_id = put(database, tmp_path, S.RUNNING)
    news = []
    database.on_commit = news.extend
    move(database, run_id, S.FAILED, lease="lease", reason=EndReason.OUT_OF_MEMORY)
    row = database.read_now(lambda c: c.execute("SELECT * FROM event WHERE run_id = ?", (run_id,)).fetchone())
    assert (row["kind"], row["actor"]) == ("state", "test")
    assert json.loads(row["body"])["to"] == "failed"
    assert [(m.cursor, m.run.state, m.run.reason) for m in news] == [(row["cursor"], "failed", "out_of_memory")]


def test_that_nothing_of_a_move_stays_when_its_transaction_fails(database, tmp_path):
    run_id = put(database, tmp_path, S.RUNNING)
    news = []
    database.on_commit = news.extend

    def write(t):
        transitions.move(t, run_id, S.FAILED, actor="test", at=5.0, lease="lease")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write_now(write)
    assert state_of(database, run_id) == "running"
    assert news == []
    assert database.read_now(lambda c: c.execute("SELECT count(*) FROM event").fetchone()[0]) == 0


@pytest.mark.parametrize("to", sorted(ENDED - {S.COMPLETED}))
def test_that_an_end_closes_the_attempt_and_frees_its_device(database, tmp_path, to):
    run_id = put(database, tmp_path, S.RUNNING)
    move(database, run_id, to, lease="lease", reason=EndReason.LOST)
    ended, left = database.read_now(
        lambda c: (
            c.execute("SELECT ended FROM attempt WHERE run_id = ?", (run_id,)).fetchone()[0],
            c.execute("SELECT count(*) FROM device_lease").fetchone()[0],
        )
    )
    assert (ended, left) == (5.0, 0)


def test_that_a_completed_run_passes_through_the_states_its_worker_did_not_report(database, tmp_path):
    run_id = put(database, tmp_path, S.PREPARING)
    database.write_now(
        lambda t: transitions.complete(
            t, run_id, S.COMPLETED, actor="test", at=5.0, lease="lease", reason=EndReason.FINISHED
        )
    )
    bodies = database.read_now(lambda c: [json.loads(r[0])["to"] for r in c.execute("SELECT body FROM event")])
    assert bodies == ["running", "finishing", "completed"]


def test_that_a_start_lost_with_the_controller_keeps_its_place_in_the_queue(database, tmp_path):
    run_id = put(database, tmp_path, S.PREPARING)
    database.write_now(lambda t: t.execute("UPDATE run SET queued = 3.0"))
    move(database, run_id, S.QUEUED, lease="lease")
    assert database.read_now(lambda c: c.execute("SELECT queued FROM run").fetchone()[0]) == 3.0


def test_that_nodes_keep_nothing_longer_of_a_run_whose_start_was_lost_there(database, tmp_path):
    run_id = put(database, tmp_path, S.PREPARING)  # its volume was made; the next start may be on another node
    move(database, run_id, S.QUEUED, lease="lease")
    (uid,) = database.read_now(lambda c: c.execute("SELECT uid FROM run").fetchone())
    assert database.read_now(lambda c: nodes.kept_days(c, 0.0)) == {uid: 0.0}
    database.write_now(lambda t: t.execute("UPDATE run SET pinned = 1"))
    assert database.read_now(lambda c: nodes.kept_days(c, 0.0)) == {uid: None}
