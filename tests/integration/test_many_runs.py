"""Many runs at once with a real controller: bulk deeds, the queue, search and prices, by client and command line."""

import json
import threading

import pytest

from engine.client.stream import RunStream
from engine.contract.api import Settings
from engine.contract.errors import Refused
from engine.contract.listing import BulkRequest
from engine.contract.stream import RunChanged, RunDeleted
from tests.helpers.waiting import wait_until


def queued(service, *names, **more):
    """Runs that wait, for no slot is free."""
    service.client.change_settings(Settings(slots={"gpu": 0}))
    return [service.client.create(service.spec(name, **more)).uid for name in names]


def order(service):
    return [entry.run.uid for entry in service.client.queue().entries]


def test_that_a_queue_in_another_order_is_worked_off_in_it_after_a_restart(service):
    controller = service.start()
    first, second, third = queued(service, "steps=2 n=1", "steps=2 n=2", "steps=2 n=3")
    assert service.client.move_in_queue(third, before=first).uid == third
    service.client.move_in_queue(first)
    assert order(service) == [third, second, first]
    controller.kill()
    controller.wait()
    service.start()
    assert order(service) == [third, second, first]
    service.client.change_settings(Settings(slots={"gpu": 1}))
    details = [service.until(uid, "completed") for uid in (third, second, first)]
    begun = [detail.attempts[0].started for detail in details]
    assert begun == sorted(begun)


def test_that_time_and_cost_of_a_run_are_what_its_attempts_took(service):
    service.start()
    service.client.change_settings(Settings(prices={"gpu": 3600.0}, currency="EUR"))
    uid = service.client.create(service.spec("steps=400 delay=0.05")).uid
    wait_until(lambda: (service.client.run(uid).run.step or 0) >= 3)
    live = service.client.runs(search="cost>0 state:running", sort="cost").runs[0]
    assert (live.uid, live.cost) == (uid, pytest.approx(live.seconds))
    later = wait_until(lambda: (run := service.client.run(uid).run).seconds > live.seconds and run)
    assert later.cost > live.cost
    service.client.stop(uid)
    detail = service.until(uid, "stopped")
    took = sum(attempt.ended - attempt.started for attempt in detail.attempts)
    assert (detail.run.seconds, detail.run.cost) == (pytest.approx(took), pytest.approx(took))
    service.client.change_settings(Settings(prices={}))
    assert service.client.run(uid).run.cost == detail.run.cost
    (point,) = service.client.points().points
    assert (point.uid, point.seconds, point.cost) == (uid, detail.run.seconds, detail.run.cost)


def test_that_a_score_after_training_is_found(service):
    service.start()
    uid = service.client.create(service.spec("steps=2")).uid
    assert service.until(uid, "completed").run.score == 0.9
    assert [run.uid for run in service.client.runs(search="score>=90% created<1d").runs] == [uid]
    with pytest.raises(Refused) as caught:
        service.client.runs(search="scor>1 loss<x")
    assert [problem.code for problem in caught.value.problems] == ["search.operator_near", "search.number"]
    assert caught.value.problems[0].params["near"] == "score"


def test_that_bulk_deeds_reach_who_listens_and_are_done_once(service):
    service.start()
    uids = queued(service, *(f"bulk {number}" for number in range(30)))
    heard = []
    stream = RunStream(service.home)
    thread = threading.Thread(target=follow, args=(stream, heard))
    thread.start()
    try:
        wait_until(lambda: heard, what="the stream says hello")
        result = service.client.bulk(BulkRequest(uids=[*uids, "nobody"], deed="stop"), key="once")
        assert (result.done, [one.uid for one in result.refused]) == (uids, ["nobody"])
        wait_until(lambda: told_stopped(heard) == set(uids), what="every stop is told")
        assert service.client.bulk(BulkRequest(uids=[*uids, "nobody"], deed="stop"), key="once") == result
        assert service.client.bulk(BulkRequest(uids=uids, deed="delete")).done == uids
        assert service.client.runs().total == 0
        wait_until(lambda: told_gone(heard) == set(uids), what="every deletion is told")
    finally:
        stream.close()
        thread.join()


def follow(stream, heard):
    for message in stream:
        heard.append(message)


def told_stopped(heard):
    return {one.run.uid for one in heard if isinstance(one, RunChanged) and one.run.state == "stopped"}


def told_gone(heard):
    return {one.run for one in heard if isinstance(one, RunDeleted)}


def test_that_deleting_many_goes_on_after_the_controller_died(service):
    controller = service.start()
    uids = queued(service, *(f"bulk {number}" for number in range(30)))
    service.client.bulk(BulkRequest(uids=uids, deed="delete"))
    controller.kill()
    controller.wait()
    service.start()
    wait_until(lambda: not list(service.home.runs.glob("*")), what="no folder is left")
    assert service.client.runs().counts == {}


def test_the_command_line(service):
    service.start()
    uids = queued(service, "apple", "pear", "plum", tags=["fruit"])
    done = service.forge("tag", "ripe,red", "apple", "--search", "tag:fruit plum", "--json")
    assert json.loads(done.stdout)["done"] == [uids[0], uids[2]]
    assert service.forge("untag", "red", "--search=tag:red -plum").returncode == 0
    assert [run.name for run in service.client.runs(search="tag:ripe -tag:red").runs] == ["apple"]
    assert service.forge("priority", "4", "pear").returncode == 0
    listed = json.loads(service.forge("queue", "--json").stdout)["entries"]
    assert [(one["position"], one["run"]["name"]) for one in listed] == [(1, "pear"), (2, "apple"), (3, "plum")]
    moved = service.forge("queue", "move", "plum", "--before", "pear")
    assert "place 1, priority 4" in moved.stdout
    assert "plum" in service.forge("queue").stdout.splitlines()[1]
    assert service.forge("queue", "move", "plum", "--before", "plum").returncode == 5
    part = service.forge("stop", *uids, "--search", "state:queued")
    assert (part.returncode, part.stdout.count("stopped")) == (0, 3)
    again = service.forge("stop", *uids)
    assert (again.returncode, "3 refused" in again.stderr) == (5, True)
    assert service.forge("delete", "--search", "tag:fruit").returncode == 2
    assert service.client.runs().total == 3
    assert service.forge("delete", "--search", "tag:fruit", "--yes").returncode == 0
    assert service.client.runs().total == 0
    assert service.forge("delete", "--search", "tag:fruit", "--yes").returncode == 3
    wrong = service.forge("runs", "--search", "stat:x loss<y")
    assert (wrong.returncode, wrong.stderr.count("  - ")) == (2, 2)


def test_prices_on_the_command_line(service):
    service.start()
    shown = service.forge("settings", "--prices", "gpu=2.50", "cpu=0.1", "--currency", "EUR")
    assert "gpu 2.5, cpu 0.1 EUR" in shown.stdout
    refused = service.forge("settings", "--prices", "gpu=-1", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (2, "settings.refused")
    assert service.forge("settings", "--prices", "tpu=1").returncode == 2
    assert service.forge("settings", "--currency", "euro").returncode == 2
    service.forge("settings", "--prices", "cpu=none")
    settings = service.client.settings()
    assert (settings.prices, settings.currency) == ({"gpu": 2.5}, "EUR")
