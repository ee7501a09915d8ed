"""What attempts cost: by day, node and person, in their currencies, the failed ones too."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from engine.contract.api import Settings
from engine.contract.ids import new_id
from engine.contract.nodes import NodeProfile
from engine.contract.states import EndReason, RunState
from engine.control.jobs import queue, transitions
from engine.control.jobs.queue import Terms
from engine.control.jobs.scheduler import Offer
from engine.control.store import costs, nodes, runs
from engine.control.store.database import Database
from tests.helpers.controller import make_spec

NOON = dt.datetime(2026, 3, 4, 12).timestamp()
HOUR = 3600.0
LANES = {"gpu": 4, "cpu": 1, "light": 1}


@pytest.fixture
def database(tmp_path: Path):
    database = Database(tmp_path / "history.sqlite3")
    yield database
    database.close()


def box(database, name, price, currency="USD", gpus=0):
    profile = NodeProfile(name=name, price=price, currency=currency)
    number = database.write_now(lambda t: nodes.keep(t, profile, 1.0))
    offer = Offer(number, name, "docker_local", "docker", slots=LANES, gpus=tuple(map(str, range(gpus))))
    return replace(offer, price=price, currency=currency)


def work(database, folder, offer, begin, hours, owner="me", to=RunState.STOPPED, run_id=None):
    def put(t):
        number = run_id
        if number is None:
            number = runs.insert(t, new_id(), make_spec(folder, compute={"node": offer.name}, owner=owner), "", begin)
        transitions.move(t, number, RunState.QUEUED, actor="test", at=begin)
        return queue.take(t, Terms([offer], {"gpu": 9.0}, "USD"), begin)

    claim = database.write_now(put)
    if hours is not None:
        database.write_now(
            lambda t: transitions.complete(
                t, claim.run_id, to, actor="test", at=begin + hours * HOUR, lease=claim.lease,
                reason=EndReason.FINISHED,
            )
        )  # fmt: skip
    return claim.run_id


def summed(database, by, since=NOON - 30 * 86_400, until=NOON + 30 * 86_400, at=NOON + 86_400, **settings):
    found = database.read_now(lambda c: costs.summed(c, since, until, by, at, Settings(**settings), since))
    return found, {row.key: (round(row.gpu_hours, 3), round(row.cost, 3), row.runs, row.failed) for row in found.rows}


def test_that_hours_are_summed_by_node_and_person_with_what_failed(database, tmp_path):
    one, two = box(database, "one", 2.0, gpus=1), box(database, "two", 0.5)
    work(database, tmp_path, one, NOON, 2)
    work(database, tmp_path, one, NOON, 1, owner="you", to=RunState.FAILED)
    work(database, tmp_path, two, NOON, 4, owner="you")
    assert summed(database, "node")[1] == {"one": (3.0, 6.0, 2, 1), "two": (0.0, 2.0, 1, 0)}
    assert summed(database, "owner")[1] == {"me": (2.0, 4.0, 1, 0), "you": (1.0, 4.0, 2, 1)}
    assert summed(database, "node")[0].totals == {"USD": 8.0}


def test_that_an_attempt_over_midnight_belongs_to_both_days(database, tmp_path):
    node = box(database, "one", 1.0)
    work(database, tmp_path, node, NOON, 15)
    assert {day: cost for day, (_h, cost, *_r) in summed(database, "day")[1].items()} == {
        "2026-03-04": 12.0,
        "2026-03-05": 3.0,
    }


def test_that_only_what_lies_between_the_moments_counts_and_live_work_up_to_now(database, tmp_path):
    node = box(database, "one", 1.0)
    work(database, tmp_path, node, NOON - 5 * HOUR, 4)
    work(database, tmp_path, node, NOON, None)
    found, _ = summed(database, "node", since=NOON - 3 * HOUR, until=NOON + 100 * HOUR, at=NOON + HOUR)
    assert found.rows[0].cost == pytest.approx(2.0 + 1.0)


def test_that_currencies_are_never_added_up_and_the_budget_is_of_one(database, tmp_path):
    dollars, euros = box(database, "one", 1.0), box(database, "two", 1.0, "EUR")
    work(database, tmp_path, dollars, NOON, 3)
    work(database, tmp_path, euros, NOON, 5)
    found, _ = summed(database, "owner", budget=10.0)
    assert [(row.currency, row.cost) for row in found.rows] == [("EUR", 5.0), ("USD", 3.0)]
    assert (found.budget, found.budget_used) == (10.0, 3.0)


def test_that_a_node_without_a_price_costs_what_its_lane_does(database, tmp_path):
    run_id = work(database, tmp_path, box(database, "one", None), NOON, 2)
    row = database.read_now(lambda c: runs.summary(c, run_id))
    assert (row.cost, row.currency) == (18.0, "")


def test_that_a_run_that_goes_on_in_another_currency_does_not_add_them_up(database, tmp_path):
    dollars, euros = box(database, "one", 1.0), box(database, "two", 4.0, "EUR")
    run_id = work(database, tmp_path, dollars, NOON, 3)
    database.write_now(lambda t: runs.replace_spec(t, run_id, make_spec(tmp_path, compute={"node": "two"}, owner="me")))
    work(database, tmp_path, euros, NOON + 10 * HOUR, 2, run_id=run_id)
    row = database.read_now(lambda c: runs.summary(c, run_id))
    assert (row.cost, row.currency) == (8.0, "EUR")
    assert summed(database, "node")[0].totals == {"USD": 3.0, "EUR": 8.0}


def test_that_a_new_price_of_a_node_counts_for_what_is_at_work_there(database, tmp_path):
    node = box(database, "one", 1.0, gpus=1)
    work(database, tmp_path, node, NOON, None)

    def change(t):
        nodes.keep(t, NodeProfile(name="one", price=5.0, currency="EUR"), 2.0)
        runs.set_prices(t, {"gpu": 9.0}, "USD")

    database.write_now(change)
    found = database.read_now(
        lambda c: c.execute(
            "SELECT run.price, run.currency, attempt.price, attempt.currency FROM run JOIN attempt"
        ).fetchone()
    )
    assert tuple(found) == (5.0, "EUR", 5.0, "EUR")
