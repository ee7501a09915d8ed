"""The audit: every command leaves a row, and none can be changed, added or taken out unseen."""

import asyncio
import json
import sqlite3

import pytest

from engine.contract.api import EditRun, Settings
from engine.contract.errors import UserError
from engine.control.jobs.commands import Request
from engine.control.store import audit
from engine.control.store.database import Database


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "history.sqlite3")
    yield database
    database.close()


def add(database, *actions):
    for n, action in enumerate(actions):
        database.write_now(
            lambda t, n=n, action=action: audit.append(
                t, at=n / 7, actor="ann", action=action, target="uid", detail="数据"
            ),
            durable=True,
        )


def test_that_an_untouched_chain_holds(database):
    assert database.read_now(audit.verify) == audit.Verdict(0, None, "")
    add(database, "create", "start", "stop")
    verdict = database.read_now(audit.verify)
    last = database.read_now(lambda c: c.execute("SELECT hash FROM audit ORDER BY id DESC").fetchone()[0])
    assert verdict == audit.Verdict(3, None, last.hex())


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'eve' WHERE id = 2",
        "UPDATE audit SET at = 0.5 WHERE id = 2",
        "UPDATE audit SET detail = NULL WHERE id = 2",
        "UPDATE audit SET hash = x'00' WHERE id = 2",
        "UPDATE audit SET previous = x'' WHERE id = 2",
        "DELETE FROM audit WHERE id = 2",
        "UPDATE audit SET id = 9 WHERE id = 2",
    ],
)
def test_that_a_changed_or_missing_row_is_found(database, tmp_path, sql):
    add(database, "create", "start", "stop", "delete")
    other = sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)
    for name in ("audit_no_update", "audit_no_delete"):
        other.execute(f"DROP TRIGGER {name}")
    other.execute(sql)
    other.close()
    verdict = database.read_now(audit.verify)
    assert verdict.broken is not None
    assert verdict.rows == 1


def test_that_every_command_leaves_a_row_in_its_own_transaction(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(start=False, key="k")
            await bench.create(start=False, key="k")  # the same request again
            control = bench.controller
            await control.edit(uid, EditRun(name="other"), Request("edit", target=uid, body='{"name":"other"}'))
            await control.copy(uid, Request("copy", target=uid))
            await control.start(uid, Request("start", target=uid))
            await bench.until(uid, "preparing", "running")
            with pytest.raises(UserError):  # refused: nothing happened, nothing is written down
                await control.start(uid, Request("start", target=uid))
            await control.stop(uid, False, Request("stop", target=uid, body="False"))
            await control.change_settings(Settings(slots={"gpu": 2}), Request("settings", body="slots"))
            with pytest.raises(UserError):
                await control.change_settings(Settings(slots={"gpu": 2000}), Request("settings"))
            rows = bench.fetch("SELECT action, target, actor, detail FROM audit ORDER BY id")
            return uid, rows, bench.database.read_now(audit.verify)

    uid, rows, verdict = asyncio.run(main())
    assert [row["action"] for row in rows] == ["create", "edit", "copy", "start", "stop", "settings"]
    assert rows[0]["target"] == rows[1]["target"] == uid
    assert json.loads(rows[1]["detail"]).keys() == {"fingerprint"}  # what a run is told goes with the run
    assert json.loads(rows[5]["detail"]) == {"body": "slots"}
    assert {row["actor"] for row in rows} == {"local"}
    assert (verdict.rows, verdict.broken) == (6, None)


def test_that_a_deletion_outlives_what_it_deleted(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(start=False)
            await bench.controller.delete(uid, Request("delete", target=uid))
            return uid, bench.fetch("SELECT action, target FROM audit ORDER BY id")

    uid, rows = asyncio.run(main())
    assert [tuple(row) for row in rows] == [("create", uid), ("delete", uid)]
