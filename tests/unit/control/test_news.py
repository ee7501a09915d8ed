"""Handing news to listeners: joined where that loses nothing, bounded where it would."""

import asyncio

from engine.contract.api import RunSummary
from engine.contract.nodes import NodeProfile, NodeView, Transfer
from engine.contract.stream import LogGrew, NodeChanged, NodeRemoved, Points, RunChanged, RunEvent, TransferChanged
from engine.control.jobs import news
from engine.control.jobs.news import Hub, Subscriber
from tests.helpers.waiting import PATIENCE_S


def event(cursor):
    return RunEvent(cursor=cursor, at=1, run="u", kind="note")


def points(*values):
    return Points(run="u", attempt=1, points={"loss": [(float(n), 1.0, value) for n, value in enumerate(values)]})


def progress(step):
    run = RunSummary(
        uid="u", name="n", project="p", owner="", kind="train", lane="gpu", state="running", created=1, step=step
    )  # fmt: skip
    return RunChanged(at=1, run=run)


def taken(*messages):
    async def main():
        subscriber = Subscriber()
        for message in messages:
            subscriber.put(message)
        return subscriber.take(), subscriber

    return asyncio.run(main())


def test_that_stored_events_keep_their_order():
    found, _ = taken(event(1), points(1.0), event(2), event(3))
    assert [message.cursor for message in found if message.type == "event"] == [1, 2, 3]


def test_that_points_are_joined():
    found, _ = taken(points(1.0), points(2.0, 3.0))
    assert [[value for _, _, value in message.points["loss"]] for message in found] == [[1.0, 2.0, 3.0]]


def test_that_joining_does_not_touch_what_other_listeners_get():
    first = points(1.0)
    taken(first, points(2.0))
    assert len(first.points["loss"]) == 1


def test_that_of_progress_and_log_size_only_the_newest_counts():
    grew = [LogGrew(run="u", attempt=1, size=size) for size in (1, 2)]
    found, _ = taken(progress(1), grew[0], progress(2), grew[1])
    assert [getattr(m, "size", None) or m.run.step for m in found] == [2, 2]


def test_that_a_slow_listener_is_told_so_and_holds_no_memory():
    found, subscriber = taken(*(event(n) for n in range(news.MAX_STORED + 10)))
    assert subscriber.lagging
    assert found == []


def test_that_closing_wakes_everyone_and_later_listeners_too():
    async def main():
        hub = Hub(asyncio.get_running_loop())
        early = hub.subscribe()
        hub.close()
        late = hub.subscribe()
        await asyncio.wait_for(asyncio.gather(early.ready.wait(), late.ready.wait()), PATIENCE_S)
        return early.closed and late.closed

    assert asyncio.run(main())


def test_that_of_a_nodes_changes_and_copies_only_the_newest_waits():
    async def main():
        hub = Hub(asyncio.get_running_loop())
        listener = hub.subscribe()
        for done in range(3):
            hub.publish([TransferChanged(transfer=Transfer(node="a", what="image", done=done))])
            hub.publish([NodeChanged(node=NodeView(profile=NodeProfile(name="a"), slots=done))])
        told = listener.take()
        assert [type(one).__name__ for one in told] == ["TransferChanged", "NodeChanged"]
        assert (told[0].transfer.done, told[1].node.slots) == (2, 2)

    asyncio.run(main())


def test_that_a_removed_node_does_not_come_back_by_older_news():
    async def main():
        hub = Hub(asyncio.get_running_loop())
        listener = hub.subscribe()
        hub.publish([NodeChanged(node=NodeView(profile=NodeProfile(name="a"))), NodeRemoved(name="a")])
        assert [type(one).__name__ for one in listener.take()] == ["NodeRemoved"]
        hub.publish([NodeChanged(node=NodeView(profile=NodeProfile(name="a")))])  # it was added again
        assert [type(one).__name__ for one in listener.take()] == ["NodeChanged"]

    asyncio.run(main())
