"""Readings are kept finely for an hour, then as means; the pretended GPUs are the same each time."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.control.jobs.machine import Machine
from engine.control.nodes.sampler import Reading, gpu_indices
from engine.control.nodes.sampler_container import parsed
from engine.control.nodes.sampler_fake import LOST, ROUND, VARIABLE, FakeSampler, WithFakeGpus, fake_gpus
from engine.control.store import readings
from engine.control.store.database import Database
from tests.helpers.controller import Bench, bench

__all__ = ["bench"]
DAY = 86_400.0
BEGIN = 1_800_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(tmp_path / "history.sqlite3")
    yield made  # type: ignore[misc]
    made.close()


def fill(database: Database, since: float, until: float, every: float = 5.0) -> None:
    """Readings whose value is their distance from the beginning, thinned as the controller does it."""
    moments = [since + number * every for number in range(int((until - since) / every))]
    for begin in range(0, len(moments), 700):
        part = moments[begin : begin + 700]
        rows = [(1, at, {"cpu.utilisation": at - BEGIN, "gpu0.temperature": 60.0}) for at in part]
        database.write_now(lambda t, rows=rows, at=part[-1]: (readings.add(t, rows), readings.thin(t, at)))  # type: ignore[misc,func-returns-value]


def counts(database: Database) -> dict[int, int]:
    rows = database.read_now(
        lambda c: c.execute("SELECT level, count(*) FROM node_reading GROUP BY level").fetchall()
    )  # fmt: skip
    return dict(map(tuple, rows))


def test_what_is_older_is_kept_more_coarsely(database: Database) -> None:
    fill(database, BEGIN, BEGIN + 3 * DAY, every=30.0)
    found = counts(database)
    assert found[readings.AS_READ] <= 121
    assert 2 * 1440 - 2 <= found[readings.MINUTE] <= 2 * 1440 + 1
    assert 71 <= found[readings.HOUR] <= 72


def test_means_are_those_of_the_readings(database: Database) -> None:
    fill(database, BEGIN, BEGIN + 7300)
    rows = database.read_now(
        lambda c: c.execute("SELECT at, body FROM node_reading WHERE level = 1 ORDER BY at").fetchall()
    )
    first = rows[0]
    assert first["at"] == BEGIN // 60 * 60
    for row in rows[1:]:
        assert json.loads(row["body"])["cpu.utilisation"] == pytest.approx(row["at"] - BEGIN + 27.5)


def test_thinning_twice_changes_nothing(database: Database) -> None:
    fill(database, BEGIN, BEGIN + 7300)
    before = counts(database)
    database.write_now(lambda t: readings.thin(t, BEGIN + 7295))
    assert counts(database) == before


@pytest.mark.parametrize(("hours", "spacing"), [(0.5, 5.0), (12, 60.0), (24 * 30, 3600.0)])
def test_a_chart_has_no_hole_between_fine_and_coarse(database: Database, hours: float, spacing: float) -> None:
    end = BEGIN + 2.6 * DAY
    fill(database, BEGIN, end, every=5.0 if hours < 1 else 30.0)
    since = end - hours * 3600

    def ask(connection: object) -> object:
        return readings.history(connection, 1, "local", since, end, end)  # type: ignore[arg-type]

    found = database.read_now(ask)
    moments = [at for at, _value in found.series["cpu.utilisation"]]  # type: ignore[attr-defined]
    assert moments == sorted(moments)
    assert max(later - one for one, later in pairwise(moments)) <= spacing + 1e-6
    assert end - moments[-1] <= 60
    assert found.seconds == pytest.approx(spacing, rel=0.2)  # type: ignore[attr-defined]


def test_too_many_points_become_means(database: Database) -> None:
    fill(database, BEGIN, BEGIN + 3600)
    found = database.read_now(
        lambda c: readings.history(c, 1, "x", BEGIN, BEGIN + 3600, BEGIN + 3600, ("temperature",), 100)
    )
    assert list(found.series) == ["gpu0.temperature"]
    assert 50 <= len(found.series["gpu0.temperature"]) <= 101


def test_pretended_gpus_are_reproducible() -> None:
    one, other = FakeSampler(4, 7, "box"), FakeSampler(4, 7, "box")
    assert [one.read() for _ in range(50)] == [other.read() for _ in range(50)]
    assert FakeSampler(4, 8, "box").read() != FakeSampler(4, 7, "box").read()


def test_one_grows_hot_and_one_is_lost() -> None:
    sampler = FakeSampler(4, 1)
    found = [sampler.reading(number).values for number in range(ROUND)]
    heat = [values["gpu1.temperature"] for values in found]
    assert max(heat) > 90
    assert max(heat[0], heat[-1]) < 62
    assert {len(gpu_indices(values)) for values in found} == {3, 4}
    assert gpu_indices(found[LOST[0]]) == ["0", "1", "2"]
    assert any(values["gpu1.throttle_heat"] for values in found)


def test_the_environment_puts_them_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert fake_gpus("box") is None
    monkeypatch.setenv(VARIABLE, "3@5")
    values, names = Machine(tmp_path).read()
    assert gpu_indices(values) == ["0", "1", "2"]
    assert values["disk.total"] >= values["disk.free"] > 0
    assert "cpu" in names
    real = FakeSampler(1, name="real")
    fake = fake_gpus("box")
    assert fake is not None
    found = WithFakeGpus(real, fake).read(True)
    assert found is not None
    assert gpu_indices(found.values) == ["0", "1", "2"]
    for wrong in ("", "0", "many", "99"):
        monkeypatch.setenv(VARIABLE, wrong)
        assert fake_gpus("box") is None


def test_the_sampler_of_containers_prints_readings() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine.compute.worker.sampler", "--every", "0.05", "--count", "3"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    found = parsed(done.stdout)
    assert found is not None
    assert {"cpu.utilisation", "ram.used", "ram.total", "disk.free", "disk.total"} <= found[1].values.keys()
    assert found[0] == json.loads(lines[-1])["t"]


@pytest.mark.parametrize(
    "text", [b"", b"Traceback", b"[]", b'{"t": 1}', b'{"t": 1, "values": 3, "names": {}}', b"\xff"]
)
def test_other_lines_are_no_reading(text: bytes) -> None:
    assert parsed(text) is None


async def until(condition: object) -> None:
    for _ in range(1000):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to be so")


async def _readings_of_nodes(bench: Bench) -> None:
    bench.reading_every = 0.02
    bench.places.samplers["box"] = FakeSampler(2, 3)
    async with bench.running():
        subscriber = bench.controller.hub.subscribe()
        await bench.add_node("box", gpus=2)
        await bench.add_node("dumb")
        node = bench.controller.pool.node("box")
        await until(lambda: "gpu1.temperature" in node.values)
        await until(lambda: len(bench.fetch("SELECT 1 FROM node_reading WHERE node_id = ?", node.id)) > 3)
        heard = {message.node for message in subscriber.take() if message.type == "node_reading"}
        assert heard == {"local", "box"}
        view = await bench.controller.node_view("box")
        assert view.values == node.values
        found = await bench.controller.health.history("box", 0, 9e9, ["temperature"])
        assert set(found.series) == {"gpu0.temperature", "gpu1.temperature"}
        executor = bench.places.executor("box")
        executor.away = True
        await bench.until_reach("box", "unreachable")
        await until(lambda: bench.controller.pool.node("box").reach == "unreachable")
        for _ in range(5):  # what was asked before the node fell silent may still come in, a reading or two
            count = len(_stored(bench, node.id))
            rounds = len(_stored(bench, 1))
            await until(lambda rounds=rounds: len(_stored(bench, 1)) > rounds + 3)
            if len(_stored(bench, node.id)) == count:
                return
        raise AssertionError("a node that is silent is still read")


def _stored(bench: Bench, node_id: int) -> list[Any]:
    return bench.fetch("SELECT 1 FROM node_reading WHERE node_id = ?", node_id)


def test_every_node_that_answers_is_read(bench: Bench) -> None:
    asyncio.run(_readings_of_nodes(bench))


class Breaking:
    """A sampler that fails."""

    def read(self, gpus: bool) -> Reading | None:
        raise OSError("it is broken")

    def close(self) -> None:
        pass


async def _broken(bench: Bench) -> None:
    bench.reading_every = 0.01
    bench.places.samplers.update(bad=Breaking(), box=FakeSampler(1))
    async with bench.running():
        await bench.add_node("bad")
        await bench.add_node("box")
        await until(lambda: bench.controller.pool.node("box").read_at is not None)
        assert bench.controller.pool.node("bad").read_at is None


def test_one_that_cannot_be_read_holds_up_nobody(bench: Bench) -> None:
    asyncio.run(_broken(bench))
