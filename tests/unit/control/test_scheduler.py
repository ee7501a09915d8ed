"""Where a run goes and why, whatever the nodes are like."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract.compute import Placement
from engine.contract.ids import new_id
from engine.contract.messages import MESSAGES
from engine.contract.nodes import NodeProfile
from engine.contract.states import RunState
from engine.control.jobs import queue, transitions
from engine.control.jobs.queue import Terms
from engine.control.jobs.scheduler import Demand, Load, Offer, choose
from engine.control.store import nodes, runs
from engine.control.store.database import Database
from tests.helpers.controller import make_spec

AUTO = Demand(Placement(node="auto"))
GB = 1 << 30


def offer(number, name, gpus=0, slots=None, **changes):
    lanes = {"gpu": max(1, gpus) if slots is None else slots, "cpu": 4, "light": 8}
    names = tuple(str(index) for index in range(gpus))
    return replace(Offer(number, name, "docker_local", "docker", slots=lanes, gpus=names), **changes)


def ask(place=None, **changes):
    return replace(Demand(Placement(**{"node": "auto", **(place or {})})), **changes)


def test_that_the_only_node_is_taken():
    choice = choose(AUTO, [offer(2, "a")], {})
    assert (choice.offer.name, choice.device, choice.code) == ("a", "cpu", "placement.only_one")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": "draining"}, "placement.draining"),
        ({"state": "offline"}, "placement.offline"),
        ({"reach": "unreachable"}, "placement.unreachable"),
        ({"reach": "checking"}, "placement.checking"),
        ({"held": 3.0, "fault": "no image"}, "placement.held"),
        ({"slots": {"gpu": 0}}, "placement.slots"),
    ],
)
def test_that_a_node_that_may_not_is_not_taken_and_the_reason_is_said(changes, code):
    choice = choose(AUTO, [replace(offer(2, "a"), **changes)], {})
    assert (choice.offer, choice.code) == (None, code)
    message = MESSAGES[code]
    assert all(f"{{{name}}}" in message.what + message.why + message.fix for name in choice.params)


def test_what_decides_between_two_that_fit():
    a, b = offer(2, "a", 1), offer(3, "b", 1)
    loads = {"b": Load(data_there=True)}
    assert (choose(AUTO, [a, b], loads).offer.name, choose(AUTO, [a, b], loads).code) == ("b", "placement.data_there")
    hot = replace(a, temperature={"0": 80.0}), replace(b, temperature={"0": 41.0})
    assert choose(AUTO, list(hot), {}).code == "placement.cooler"
    cheap = replace(a, price=2.0), replace(b, price=1.0)
    assert (choose(AUTO, list(cheap), {}).offer.name, choose(AUTO, list(cheap), {}).code) == ("b", "placement.cheaper")
    busy = {"a": Load({"gpu": 0, "cpu": 1})}
    assert (choose(AUTO, [a, b], busy).offer.name, choose(AUTO, [a, b], busy).code) == ("b", "placement.less_busy")
    assert choose(replace(AUTO, avoid="a"), [a, b], {}).code == "placement.not_where_it_failed"
    assert choose(AUTO, [a, b], {}).code == "placement.first"


def test_that_price_is_the_last_thing_that_counts():
    dear = offer(2, "dear", 1, price=100.0, temperature={"0": 45.0})
    cheap = offer(3, "cheap", 1, price=0.1, temperature={"0": 70.0})
    assert choose(AUTO, [dear, cheap], {}).offer.name == "dear"


def test_that_a_run_does_not_train_on_a_processor_where_some_node_has_gpus():
    choice = choose(AUTO, [offer(1, "local"), offer(2, "a", 1)], {"a": Load({"gpu": 1}, {"0": (False,)})})
    assert choice.offer is None
    assert choose(ask({"gpus": 0}), [offer(1, "local"), offer(2, "a", 1)], {}).device == "cpu"


def test_that_memory_and_heat_keep_a_run_away_unless_a_person_named_the_node():
    small = offer(2, "small", 1, free_memory={"0": 4 * GB})
    hot = offer(3, "hot", 1, temperature={"0": 90.0})
    demand = replace(AUTO, need=8 * GB)
    assert choose(demand, [small], {}).code == "placement.memory"
    assert choose(AUTO, [hot], {}).code == "placement.hot"
    assert choose(replace(ask({"node": "small"}), need=8 * GB), [small], {}).device == "0"
    assert choose(ask({"node": "hot"}), [hot], {}).device == "0"
    two = offer(4, "two", 2, free_memory={"0": GB, "1": 20 * GB})
    assert choose(demand, [two], {}).device == "1"


def test_that_several_gpus_are_taken_on_one_node_or_not_at_all():
    four = offer(2, "four", 4, temperature={"0": 80.0, "1": 41.0, "2": 42.0, "3": 41.0})
    assert choose(ask({"gpus": 2}), [offer(3, "one", 1), four], {}).devices == ("1", "2")
    assert choose(ask({"gpus": 4}), [four], {}).devices == ("1", "2", "3", "0")
    taken = {"four": Load({"gpu": 1}, {"1": (False,)})}
    assert choose(ask({"gpus": 3}), [four], taken).devices == ("2", "3", "0")
    waits = choose(ask({"gpus": 4}), [four], taken)
    assert (waits.offer, waits.code, waits.blocked) == (None, "placement.gpus_wanted", frozenset({"four"}))
    assert choose(ask({"gpus": 2, "node": "one"}), [offer(3, "one", 1)], {}).code == "placement.too_few_gpus"
    assert choose(ask({"gpus": 5}), [four], {}).code == "placement.too_few_gpus"


def test_that_labels_executor_and_image_are_heeded():
    plain, labelled = offer(2, "plain"), offer(3, "labelled", labels={"team": "a", "gpu": "h100"})
    assert choose(ask({"labels": {"team": "a"}}), [plain, labelled], {}).offer.name == "labelled"
    assert choose(ask({"labels": {"team": "b"}}), [plain, labelled], {}).code == "placement.nowhere"
    local = Offer(1, "local", slots={"gpu": 1})
    assert choose(ask({"executor": "docker"}), [local, plain], {}).offer.name == "plain"
    assert choose(ask({"executor": "process"}), [local, plain], {}).offer.name == "local"
    assert choose(ask({"image": "x"}), [local, plain], {}).offer.name == "plain"


def test_that_two_runs_share_a_gpu_only_if_both_allow_it():
    node = offer(2, "a", 1, slots=4)
    shared, single = ask({"share": True}), AUTO
    for holder, demand, fits in ((True, shared, True), (True, single, False), (False, shared, False)):
        load = {"a": Load({"gpu": 1}, {"0": (holder,)})}
        assert (choose(demand, [node], load).offer is not None) is fits
    crowded = replace(node, crowded=True)
    assert choose(single, [crowded], {"a": Load({"gpu": 1}, {"0": (False,)})}).offer is not None


def test_that_every_reason_can_be_said():
    made = {code for code in MESSAGES if code.startswith("placement.")}
    assert {f"placement.{name}" for name in ("not_where_it_failed", "data_there", "cooler", "less_busy")} <= made
    assert {f"placement.{state}" for state in ("draining", "offline")} <= made


# The queue over several nodes, with the real history.


class House:
    """Nodes and runs in a real history."""

    def __init__(self, folder, offers):
        self.folder, self.database = folder, Database(folder / "history.sqlite3")
        for one in offers:
            if one.name != "local":
                profile = NodeProfile(name=one.name)
                self.database.write_now(lambda t, p=profile: nodes.keep(t, p, 1.0))
        ids = dict(self.database.read_now(lambda c: c.execute("SELECT name, id FROM node").fetchall()))
        self.offers = [replace(one, id=ids[one.name]) for one in offers]
        self.clock = itertools.count(1)
        self.live = {}

    def put(self, owner="", **compute):
        def write(t):
            at = float(next(self.clock))
            run_id = runs.insert(t, new_id(), make_spec(self.folder, compute=compute, owner=owner or "me"), "", at)
            transitions.move(t, run_id, RunState.QUEUED, actor="test", at=at)
            return run_id

        return self.database.write_now(write)

    def take(self, limit=None):
        terms = Terms(self.offers, owner_limit=limit)
        claim = self.database.write_now(lambda t: queue.take(t, terms, float(next(self.clock))))
        if claim is not None:
            self.live[claim.run_id] = claim
        return claim

    def end(self, run_id):
        claim = self.live.pop(run_id)
        at = float(next(self.clock))
        self.database.write_now(
            lambda t: transitions.move(t, run_id, RunState.STOPPED, actor="test", at=at, lease=claim.lease)
        )

    def rows(self, sql, *parameters):
        return self.database.read_now(lambda c: c.execute(sql, parameters).fetchall())


@pytest.fixture
def house(tmp_path):
    made = []

    def make(*offers):
        made.append(House(tmp_path, offers))
        return made[-1]

    yield make
    for one in made:
        one.database.close()


LOCAL = Offer(1, "local", slots={"gpu": 1, "cpu": 4, "light": 8})
PLACES = st.fixed_dictionaries(
    {
        "node": st.sampled_from(["auto", "a", "b", "local"]),
        "share": st.booleans(),
        "gpus": st.sampled_from([None, 1, 0, 2]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), PLACES, st.sampled_from(["me", "you"])),
        st.tuples(st.just("take")),
        st.tuples(st.just("end"), st.integers(0, 7)),
        st.tuples(st.just("state"), st.sampled_from(["a", "b"]), st.sampled_from(["online", "draining", "offline"])),
        st.tuples(st.just("reach"), st.sampled_from(["a", "b"]), st.sampled_from(["reachable", "unreachable"])),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    gpus=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    more=st.integers(0, 2),
    waiting=st.lists(PLACES, min_size=2, max_size=8),
    steps=STEPS,
    limit=st.sampled_from([None, 1, 2]),
)
def test_that_nothing_is_held_twice_and_no_slot_is_exceeded(tmp_path_factory, gpus, more, waiting, steps, limit):
    places = [offer(0, name, count, slots=max(1, count) + more) for name, count in zip("ab", gpus, strict=True)]
    offers = [LOCAL, *places]
    house = House(tmp_path_factory.mktemp("house"), offers)
    try:
        for place in waiting:
            house.put(**place)
        for step in steps:
            match step:
                case ("put", place, owner):
                    house.put(owner, **place)
                case ("take",):
                    before = {one.name: one for one in house.offers}
                    claim = house.take(limit)
                    if claim is not None:
                        assert (before[claim.node].state, before[claim.node].reach) == ("online", "reachable")
                        assert claim.spec.compute.node in ("auto", claim.node)
                case ("end", which):
                    if house.live:
                        house.end(sorted(house.live)[which % len(house.live)])
                case (word, name, value):
                    house.offers = [replace(one, **{word: value}) if one.name == name else one for one in house.offers]
            check(house, limit)
        finish(house, limit)
    finally:
        house.database.close()


def check(house, limit):
    """What always holds."""
    for name, count in house.rows("SELECT node, count(*) FROM run WHERE state = 'preparing' GROUP BY node"):
        assert count <= next(one.slots["gpu"] for one in house.offers if one.name == name)
    held = {}
    for claim in house.live.values():
        for device in claim.devices:
            if device != "cpu":
                held.setdefault((claim.node, device), []).append(claim.spec.compute.share)
    assert all(len(shares) == 1 or all(shares) for shares in held.values())
    leases = house.rows("SELECT count(*) FROM device_lease")[0][0]
    assert leases == sum(len(claim.devices) for claim in house.live.values())
    if limit is not None:
        for _owner, count in house.rows("SELECT owner, count(*) FROM run WHERE state = 'preparing' GROUP BY owner"):
            assert count <= limit


def finish(house, limit):
    """All that can ever start does, once everything answers: nobody is forgotten."""
    house.offers = [replace(one, state="online", reach="reachable") for one in house.offers]
    for _ in range(200):
        while house.take(limit) is not None:
            check(house, limit)
        if not house.live:
            break
        house.end(min(house.live))
    left = house.rows(
        "SELECT json_extract(spec, '$.compute') AS c FROM run JOIN run_spec ON run_id = id WHERE state = 'queued'"
    )
    there = {one.name: len(one.gpus) for one in house.offers}
    for row in left:  # what nobody can give waits
        place = Placement.model_validate_json(row["c"])
        most = max(there.values()) if place.node == "auto" else there[place.node]
        assert (place.gpus or 0) > most
        assert place.node == "auto" or place.gpus == 2


def test_that_a_run_that_wants_a_gpu_alone_is_not_overtaken_by_ones_that_share(house):
    one = house(LOCAL, offer(0, "a", 1, slots=4))
    first = one.put(node="a", share=True)
    assert one.take().run_id == first
    alone = one.put(node="a")
    for _ in range(3):
        one.put(node="a", share=True)
    assert one.take() is None  # they could join the first, and the one before them would never have it alone
    one.end(first)
    assert one.take().run_id == alone


@pytest.mark.parametrize("change", [lambda t: nodes.set_state(t, "a", "draining"), lambda t: nodes.remove(t, "a", 2.0)])
def test_that_a_node_drained_or_removed_since_it_was_looked_at_is_given_nothing(house, change):
    one = house(LOCAL, offer(0, "a", 1))
    one.put(node="a")
    one.database.write_now(change)
    assert one.take() is None


def test_that_runs_for_a_node_that_is_away_hold_up_nobody(house):
    one = house(LOCAL, offer(0, "a", 1, reach="unreachable"))
    for _ in range(3):
        one.put(node="a")
    here = one.put(node="local")
    assert one.take().run_id == here


def test_that_data_that_lies_on_a_node_draws_the_run_there(house):
    one = house(LOCAL, offer(0, "a", 1), offer(0, "b", 1))
    run_id = one.put(node="auto")
    name = one.rows("SELECT name FROM lineage WHERE run_id = ? AND kind = 'model'", run_id)[0][0]
    node = next(offer.id for offer in one.offers if offer.name == "b")
    one.database.write_now(
        lambda t: t.execute("INSERT INTO node_cache VALUES (?, 'h', 'model', ?, 1, 0, 1, 1)", (node, name))
    )
    claim = one.take()
    assert claim.node == "b"
    assert (
        one.rows("SELECT json_extract(body, '$.code') FROM event WHERE kind = 'note'")[0][0] == "placement.data_there"
    )


class Counted(list):
    """Offers that count how often somebody goes through them."""

    looks = 0

    def __iter__(self):
        self.looks += 1
        return super().__iter__()


def test_that_many_that_wait_for_the_same_are_looked_at_once(house):
    one = house(LOCAL, offer(0, "a", 1))
    one.put(node="a")
    one.take()
    one.put(node="a")
    looks = []
    for more in (0, 50):
        for _ in range(more):
            one.put(node="a")
        last = one.put(node="local")
        one.offers = Counted(one.offers)
        assert one.take().run_id == last
        looks.append(one.offers.looks)
        one.end(last)
    assert looks[0] == looks[1]
