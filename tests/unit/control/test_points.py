"""Every ended run as a point."""

import asyncio

import pytest

from engine.contract.errors import Refused
from engine.contract.listing import RunPoint, RunPoints
from engine.control.store import metrics, points
from engine.control.store.database import Database
from engine.control.store.metrics import Block, Row
from tests.bench import history
from tests.unit.control.test_api import api

RUNS = 120


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = Database(tmp_path_factory.mktemp("points") / "history.sqlite3")
    history.fill(database, RUNS)

    def vary(t):
        t.execute("UPDATE run SET deleting = 1 WHERE id = 7")
        t.execute("UPDATE run SET loss = ? WHERE id = 8", (float("inf"),))
        t.execute("INSERT INTO attempt(id, run_id, n, cause, lease, spec) VALUES (1, 9, 1, 'first', 'l', '{}')")
        rows = [Row(n, n, float(n), {"validation_loss": value}) for n, value in enumerate((0.9, 0.4, 0.6), 1)]
        metrics.append(t, 9, 1, 1, [Block("step", ("validation_loss",), rows)], True)

    database.write_now(vary)
    yield database
    database.close()


def ask(database, **options):
    return RunPoints.model_validate_json(database.read_now(lambda c: points.points(c, **options)))


def test_that_a_point_has_the_fields_it_travels_with():
    assert {*points.NAMES, "n"} == set(RunPoint.model_fields)


def test_that_every_ended_run_is_a_point_newest_first(database):
    ended = [row for row in history.rows(RUNS) if row[7] in ("completed", "failed", "stopped") and row[0] != 7]
    names = [name.strip() for name in history._COLUMNS.split(",")]
    found = ask(database, currency="EUR")
    assert (found.total, found.currency) == (len(ended), "EUR")
    assert [point.uid for point in found.points] == [row[1] for row in reversed(ended)]
    for point, row in zip(found.points, reversed(ended), strict=True):
        run = dict(zip(names, row, strict=True))
        assert (point.name, point.created, point.seconds) == (run["name"], run["created"], run["worked_seconds"])
        assert (point.cost, point.steps, point.score) == (run["cost"], run["last_step"], run["score"])
        assert point.loss == (float("inf") if run["id"] == 8 else run["loss"])
        assert point.validation_loss == (0.4 if run["id"] == 9 else None)


def test_that_a_search_and_the_most_there_may_be_narrow_it(database, monkeypatch):
    every = ask(database).points
    assert [one.uid for one in ask(database, search="score>0.5").points] == [
        one.uid for one in every if one.score is not None and one.score > 0.5
    ]
    monkeypatch.setattr(points, "MAX_POINTS", 5)
    few = ask(database)
    assert ([one.uid for one in few.points], few.total) == ([one.uid for one in every[:5]], len(every))
    with pytest.raises(Refused):
        ask(database, search="score>x")


def picture(database, **options):
    return RunPoints.model_validate_json(database.read_now(lambda c: points.picture(c, **options)))


@pytest.mark.parametrize("price", ["seconds", "cost"])
@pytest.mark.parametrize("quality", ["score", "loss", "validation_loss"])
def test_that_a_picture_has_every_place_and_the_best_so_far(database, price, quality):
    found = picture(database, price=price, quality=quality)
    known = {one.uid: (getattr(one, price), getattr(one, quality)) for one in ask(database).points}
    known = {uid: pair for uid, pair in known.items() if None not in pair and float("inf") not in pair}
    assert (found.known, found.total) == (len(known), ask(database).total)
    assert sum(one.n for one in found.points if one.uid in known) >= len(known)
    assert {one.uid for one in found.points} <= set(known)
    sign, best = (1 if quality == "score" else -1), []
    for uid, (_x, y) in sorted(known.items(), key=lambda pair: (pair[1][0], -sign * pair[1][1])):
        if not best or sign * y > sign * known[best[-1]][1]:
            best.append(uid)
    assert [known[uid] for uid in found.best] == [known[uid] for uid in best]
    assert set(found.best) <= {one.uid for one in found.points}


def test_that_a_picture_of_many_runs_stays_small(database, monkeypatch):
    monkeypatch.setattr(points, "COLUMNS", 3)
    monkeypatch.setattr(points, "ROWS", 2)
    found = picture(database, price="seconds", quality="score")
    assert len(found.points) <= 4 * 3 + len(found.best)
    assert sum(one.n for one in found.points) >= found.known > len(found.points)
    few = picture(database, price="seconds", quality="score", search="score>0.5")
    assert few.known == sum(one.score is not None and one.score > 0.5 for one in ask(database).points)
    assert picture(database, price="seconds", quality="score", project="nobody's").points == []


def test_the_routes(bench):
    async def main():
        async with api(bench) as client:
            uid = await bench.create("a run", start=False)
            empty = await client.get("/runs/points")
            assert RunPoints.model_validate_json(empty.content) == RunPoints(total=0)
            drawn = await client.get("/runs/points?price=cost&quality=loss")
            assert RunPoints.model_validate_json(drawn.content) == RunPoints(total=0, known=0)
            assert (await client.get("/runs/points?price=x&quality=loss")).status_code == 422
            assert (await client.get("/runs/points?search=stat:x")).status_code == 422
            assert (await client.get("/runs?search=loss<x")).json()["code"] == "search.refused"
            assert (await client.get("/queue")).json() == {"entries": []}
            moved = await client.post(f"/queue/{uid}/move", json={"before": None})
            assert (moved.status_code, moved.json()["code"]) == (409, "queue.not_waiting")
            body = {"uids": [uid], "deed": "tag", "tags": ["x"]}
            assert (await client.post("/runs/bulk", json=body)).json() == {"done": [uid], "refused": []}
            assert (await client.get("/runs?search=tag:X owner:me")).json()["total"] == 1
            assert (await client.post("/runs/bulk", json={"uids": [], "deed": "stop"})).status_code == 422
            assert (await client.patch("/settings", json={"prices": {"gpu": -1}})).json()["code"] == "settings.refused"
            assert (await client.patch("/settings", json={"currency": "euro"})).status_code == 422
            await client.patch("/settings", json={"prices": {"gpu": 2.5}, "currency": "EUR"})
            assert (await client.get("/runs/points")).json()["currency"] == "EUR"

    asyncio.run(main())
