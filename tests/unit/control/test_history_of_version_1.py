"""A history that version 1 wrote: it opens, keeps every point, is found by search, and goes on."""

import json
import math
import sqlite3

import numpy as np
import pytest
import sqlite_utils

from engine.control.jobs.ingest import Ingest, Source
from engine.control.store import metrics, migrations, run_list
from engine.control.store.database import Database
from engine.control.store.metrics import Block, Row
from tests.helpers.controller import make_spec

STEPS = 1500


@pytest.fixture
def folder(tmp_path):
    """A run in training whose points lie in blobs, as version 1 left them: more of them than are left unsealed now."""
    spec = make_spec(tmp_path, "Überlanger Lauf", tags=["nightly"])
    connection = sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    migrations._STEPS[1](sqlite_utils.Database(connection))
    connection.execute("PRAGMA user_version = 1")
    connection.execute(
        "INSERT INTO run(uid, kind, lane, name, project, owner, state, model, dataset, method, created, spec_hash, "
        "tags, attempt) VALUES ('u','train','gpu',?,'default','me','running','model','rows.jsonl','sft lora',1,?,?,1)",
        (spec.name, spec.sha256(), json.dumps(spec.tags)),
    )
    connection.execute("INSERT INTO run_spec VALUES (1, ?)", (spec.model_dump_json(),))
    connection.execute("INSERT INTO attempt(run_id, n, cause, lease, spec) VALUES (1, 1, 'first', 'lease', '{}')")
    connection.execute(
        "INSERT INTO member(attempt_id, rank, node_id, executor, handle, devices, ingested_seq) "
        "VALUES (1, 0, 1, 'fake', '', '[]', ?)",
        (2 * STEPS,),
    )
    for place, (name, axis) in enumerate((("loss", "step"), ("ram.used", "time")), 1):
        connection.execute("INSERT INTO metric(id, name) VALUES (?, ?)", (place, name))
        connection.execute("INSERT INTO series(run_id, metric_id, axis, n) VALUES (1, ?, ?, ?)", (place, axis, STEPS))
    for n in range(1, STEPS + 1):
        loss = Block("step", ("loss",), [Row(2 * n - 1, n, 1000.0 + n, {"loss": value(n)})])
        ram = Block("time", ("ram.used",), [Row(2 * n, n * 10**6, float(n), {"ram.used": float(n)})])
        for place, block in enumerate((loss, ram), 1):
            connection.execute("INSERT INTO tail VALUES (1, ?, 1, ?)", (2 * n + place, metrics.encode(block, [place])))
    connection.close()
    return tmp_path


def value(n):
    return math.nan if n % 7 == 0 else 1 / n


def curve(database, name):
    (points,) = database.read_now(lambda c: metrics.read(c, 1, [name]))
    return points


def test_that_every_point_is_kept_and_the_run_goes_on(folder):
    database = Database(folder / "history.sqlite3")
    assert curve(database, "loss").value.tobytes() == np.array([value(n) for n in range(1, STEPS + 1)]).tobytes()
    assert curve(database, "ram.used").x.tolist() == [float(n) for n in range(1, STEPS + 1)]
    axes = database.read_now(lambda c: dict(c.execute("SELECT axis, count(*) FROM tail GROUP BY axis").fetchall()))
    assert axes == {"step": STEPS, "time": STEPS}

    step = {"v": 1, "seq": 2 * STEPS + 1, "t": 9.0, "kind": "step", "step": STEPS + 1, "epoch": 1.0}
    (folder / "journal.jsonl").write_text(json.dumps({**step, "values": {"loss": 0.5}}) + "\n")
    assert Ingest(database, Source(folder / "journal.jsonl", 1, "u", 1, 1, "lease")).pull()
    loss = curve(database, "loss")
    assert loss.seq.tolist() == [*range(1, 2 * STEPS, 2), 2 * STEPS + 1]
    assert loss.value[:-1].tobytes() == np.array([value(n) for n in range(1, STEPS + 1)]).tobytes()
    left = database.read_now(lambda c: dict(c.execute("SELECT axis, count(*) FROM tail GROUP BY axis").fetchall()))
    assert left == {"time": STEPS}  # the steps were sealed with the first line that came after
    database.close()


@pytest.mark.parametrize("words", ["überlanger", "NIGHTLY", "rows.jsonl lauf", "ÜB", "u"])
def test_that_its_runs_are_found(folder, words):
    database = Database(folder / "history.sqlite3")
    assert database.read_now(lambda c: run_list.page(c, search=words)).total == 1
    database.close()
