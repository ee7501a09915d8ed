"""What the history tells a forecast, and what the controller makes of it: node, price, budget."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.contract.errors import UserError
from engine.contract.forecast import AskForecast
from engine.contract.ids import new_id
from engine.contract.states import EndReason, RunState
from engine.control.jobs import forecasting, transitions
from engine.control.jobs.requests import Request
from engine.control.store import attempts, events, forecasts, metrics, runs
from engine.control.store.database import Database, Transaction
from engine.control.store.metrics import Block, Row
from tests.helpers.controller import Bench, bench, make_spec, take_next

__all__ = ["bench"]
FOUR_ROWS = {"training": {"micro_batch_size": 4, "accumulation": 1}}


def spec(folder: Path, **training: Any) -> Any:
    made = make_spec(folder)
    plain = made.model_dump(mode="json")
    plain["job"]["training"] |= {"micro_batch_size": 4, "accumulation": 1, **training}
    return type(made).model_validate(plain)


def lay_down(
    database: Database, folder: Path, began: float, pace: float, steps: int = 100, phases: bool = True,
    state: RunState = RunState.COMPLETED, **training: Any,
) -> int:  # fmt: skip
    """A run as the history keeps it: 7 s before the first step, 3 s after the last."""

    def write(t: Transaction) -> int:
        run_id = runs.insert(t, new_id(), spec(folder, **training), "", began)
        transitions.move(t, run_id, RunState.QUEUED, actor="test", at=began)
        claim = take_next(t, {"gpu": 1, "cpu": 0, "light": 0}, (), "fake", began)
        assert claim is not None
        training_ends = began + 7 + steps * pace
        if phases:
            for name, at in (("loading", began + 1), ("training", began + 7), ("saving", training_ends)):
                events.add(t, "phase", {"phase": name}, at=at, run_id=run_id, attempt_id=claim.attempt_id)
        attempts.first_step(t, claim.attempt_id, 1)
        t.execute("UPDATE run SET last_step = ? WHERE id = ?", (steps, run_id))
        transitions.complete(t, run_id, state, actor="test", at=training_ends + 3, lease=claim.lease,
                             reason=EndReason.FINISHED)  # fmt: skip
        return int(run_id)

    return database.write_now(write)


def test_that_time_is_split_into_steps_and_what_is_around_them(tmp_path):
    database = Database(tmp_path / "history.sqlite3")
    try:
        lay_down(database, tmp_path, 1000.0, 0.5)
        (found,) = database.read_now(lambda c: forecasts.past(c, "model"))
    finally:
        database.close()
    assert (found.steps, found.training, found.around) == (100, pytest.approx(50), pytest.approx(10))
    shape = found.shape
    assert (shape.model, shape.method, shape.node, shape.gpus, shape.rows) == ("model", "sft lora", "local", 0, 4)


def test_that_only_whole_runs_of_the_model_count_the_newest_first(tmp_path):
    database = Database(tmp_path / "history.sqlite3")
    try:
        lay_down(database, tmp_path, 1000.0, 0.5)
        lay_down(database, tmp_path, 2000.0, 0.1, state=RunState.FAILED)
        lay_down(database, tmp_path, 3000.0, 0.1, phases=False)  # how long it trained is not known
        lay_down(database, tmp_path, 4000.0, 0.25)
        found = database.read_now(lambda c: forecasts.past(c, "model"))
        none = database.read_now(lambda c: forecasts.past(c, "another"))
    finally:
        database.close()
    assert [one.training for one in found] == [pytest.approx(25), pytest.approx(50)]
    assert none == []


def test_that_tokens_and_what_its_gpus_drew_are_told(tmp_path):
    database = Database(tmp_path / "history.sqlite3")

    def gpus(t: Transaction) -> None:
        (run_id, attempt_id) = t.one("SELECT run_id, id FROM attempt")
        t.execute("UPDATE member SET devices = ? WHERE attempt_id = ?", ('["0", "1"]', attempt_id))
        names = ("gpu0.power", "gpu1.power", "gpu1.temperature")
        rows = [
            Row(at, 1_000_000 * at, float(at), {"gpu0.power": 200.0 + at, "gpu1.power": 100.0, names[2]: 60.0})
            for at in range(101)
        ]
        metrics.append(t, run_id, attempt_id, 0, [Block("time", names, rows)], last=True)
        t.execute(
            "INSERT INTO memory(attempt_id, run_id, at, device, forecast, tokens, steps, body) "
            "VALUES (?, ?, 0, 'cuda', 1, 7000, 100, '{}')", (attempt_id, run_id),
        )  # fmt: skip

    try:
        lay_down(database, tmp_path, 1000.0, 0.5)
        database.write_now(gpus)
        (found,) = database.read_now(lambda c: forecasts.past(c, "model"))
        database.write_now(lambda t: t.execute('UPDATE member SET devices = \'["0", "1", "2"]\''))
        (partly,) = database.read_now(lambda c: forecasts.past(c, "model"))
    finally:
        database.close()
    assert (found.tokens, found.shape.gpus, found.watts) == (7000, 2, pytest.approx(250 + 100))
    assert partly.watts is None  # one of its GPUs told nothing


async def _forecast(bench: Bench) -> None:
    async with bench.running(prices={"gpu": 36.0}, currency="CNY", budget=0.2, budget_days=3650):
        asked = AskForecast(spec=spec(bench.folder), steps=200)
        controller = bench.controller
        nothing = await forecasting.forecast(controller, asked)
        assert (nothing.why_not, nothing.steps, nothing.node) == ("no_runs", 200, "local")
        await asyncio.to_thread(lay_down, bench.database, bench.folder, 1000.0, 0.5)
        await asyncio.to_thread(lay_down, bench.database, bench.folder, 2000.0, 0.5)
        found = await forecasting.forecast(controller, asked)
        assert (found.runs, found.likeness, found.gpus) == (2, "alike", 0)
        assert found.seconds is not None
        assert found.seconds.middle == pytest.approx(110)
        assert found.cost is not None
        assert found.cost.middle == pytest.approx(1.1)  # 36 an hour: a cent a second
        assert (found.currency, found.price) == ("CNY", 36.0)
        assert found.budget_left == pytest.approx(0.2)  # those runs had no price
        assert found.exceeds == "likely"
        limited = AskForecast(spec=spec(bench.folder, max_steps=10), steps=200)
        assert (await forecasting.forecast(controller, limited)).steps == 10
        uncounted = AskForecast(spec=spec(bench.folder))
        assert (await forecasting.forecast(controller, uncounted)).why_not == "no_steps"


def test_that_the_controller_adds_node_price_and_budget(bench):
    asyncio.run(_forecast(bench))


async def _nodes(bench: Bench) -> None:
    async with bench.running(budget=100.0):
        await bench.add_node("box", gpus=2, price=2.0, currency="EUR")
        on = spec(bench.folder).model_copy(update={"compute": spec(bench.folder).compute.model_copy(
            update={"node": "box"})})  # fmt: skip
        await asyncio.to_thread(lay_down, bench.database, bench.folder, 1000.0, 0.5)
        found = await forecasting.forecast(bench.controller, AskForecast(spec=on, steps=100))
        assert (found.node, found.gpus, found.price, found.currency) == ("box", 1, 2.0, "EUR")
        assert found.likeness == "model"  # it ran on this computer's processor
        assert found.budget_left is None  # the budget counts in another currency
        await bench.controller.set_node_state("box", "offline", Request("node_state"))
        waiting = await forecasting.forecast(bench.controller, AskForecast(spec=on, steps=100))
        assert waiting.node == "box"  # it waits for that node
        plain = on.model_dump(mode="json")
        plain["job"] = {"kind": "evaluate"}
        with pytest.raises(UserError, match="Only training"):
            await forecasting.forecast(bench.controller, AskForecast.model_validate({"spec": plain}))


def test_that_the_node_it_goes_to_counts(bench):
    asyncio.run(_nodes(bench))
