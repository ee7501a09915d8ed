"""What waits for the window's thread: joined, in order, and taken a slice a turn."""

import itertools

from engine.contract.api import RunSummary
from engine.contract.stream import LogGrew, Points, RunChanged, RunEvent
from forge_desktop.bridge import session as bridge
from forge_desktop.bridge.inbox import Inbox
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.bridge.session import Session
from tests.helpers.journals import before_training, demo_spec


def progress(step, run="u", cursor=None):
    summary = RunSummary(
        uid=run, name="n", project="p", owner="", kind="train", lane="gpu", state="running", created=1, step=step
    )  # fmt: skip
    return RunChanged(cursor=cursor, at=1, run=summary)


def points(*steps, attempt=1):
    return Points(run="u", attempt=attempt, points={"loss": [(float(step), 1.0, 0.5) for step in steps]})


def event(cursor):
    return RunEvent(cursor=cursor, at=1, run="u", kind="note")


def taken(inbox):
    found = []
    while (item := inbox.take()) is not None:
        found.append(item)
    return found


def test_that_points_of_an_attempt_wait_as_one_message_in_their_order():
    inbox = Inbox()
    for message in (points(1, 2), points(7, attempt=2), points(3)):
        inbox.put(message)
    first, second = taken(inbox)
    assert [x for x, _t, _value in first.points["loss"]] == [1, 2, 3]
    assert second.attempt == 2


def test_that_of_a_runs_progress_only_the_newest_waits_and_comes_after_what_it_knows_of():
    inbox = Inbox()
    stored = progress(2, cursor=9)
    for message in (progress(1), stored, progress(3), progress(1, run="other")):
        inbox.put(message)
    assert [(one.run.uid, one.run.step) for one in taken(inbox)] == [("u", 2), ("u", 3), ("other", 1)]


def test_that_stored_events_and_deeds_all_come_in_their_order():
    inbox, done = Inbox(), []
    inbox.put(event(1))
    inbox.put_deed(lambda: done.append("deed"))
    inbox.put(event(2))
    first, deed, last = taken(inbox)
    deed()
    assert (first.cursor, done, last.cursor) == (1, ["deed"], 2)


def test_that_nothing_is_joined_across_a_change_of_the_line():
    inbox = Inbox()
    inbox.put(points(1))
    inbox.put_deed(lambda: None, line=True)
    inbox.put(points(5))
    before, _line, after = taken(inbox)
    assert (len(before.points["loss"]), len(after.points["loss"])) == (1, 1)


def test_that_what_waits_does_not_grow_with_what_live_runs_tell():
    inbox = Inbox()
    for step in range(1000):
        inbox.put(progress(step))
        inbox.put(points(step))
        inbox.put(LogGrew(run="u", attempt=1, size=step))
    assert len(inbox) == 3
    assert sum(len(one.points["loss"]) for one in taken(inbox) if isinstance(one, Points)) == 1000


def test_that_the_windows_thread_is_told_once_until_it_comes():
    inbox = Inbox()
    assert [inbox.put(event(1)), inbox.put(event(2))] == [True, False]
    inbox.answer()
    assert inbox.put(event(3))


def opened(qtbot, backend):
    session = Session(lambda: backend)
    session.open()
    qtbot.waitUntil(lambda: session.is_online)
    return session


def test_that_a_turn_hands_on_no_more_than_it_has_time_for(qtbot, monkeypatch):
    monkeypatch.setattr(bridge, "SLICE_S", 0.0)
    backend = ReplayBackend()
    session = opened(qtbot, backend)
    turns, done = [], []
    session._more.timeout.connect(lambda: turns.append(len(done)))
    for number in range(5):
        session.do_soon(lambda number=number: done.append(number))
    qtbot.waitUntil(lambda: len(done) == 5)
    assert done == [0, 1, 2, 3, 4]
    assert max(after - before for before, after in itertools.pairwise(turns)) == 1
    session.close()


def test_that_one_that_fails_keeps_nothing_else_waiting(qtbot):
    session = opened(qtbot, ReplayBackend())
    done = []

    def fails():
        raise RuntimeError("as planned")

    with qtbot.captureExceptions() as caught:
        session.do_soon(fails)
        session.do_soon(lambda: done.append(1))
        qtbot.waitUntil(lambda: bool(done))
    assert [str(error) for _kind, error, _trace in caught] == ["as planned"]
    session.close()


def test_that_a_busy_window_hears_of_every_point(qtbot):
    backend = ReplayBackend()
    uid = backend.add(demo_spec("live"))
    backend.play(uid, before_training(100))
    session = opened(qtbot, backend)
    steps = []
    session.points.connect(lambda message: steps.extend(x for x, _t, _v in message.points.get("loss", [])))
    told = 500
    for step in range(told):
        backend._tell(Points(run=uid, attempt=1, points={"loss": [(float(step), 0.0, 1.0)]}))
    qtbot.waitUntil(lambda: len(steps) >= told)
    assert steps == [float(step) for step in range(told)]
    session.close()
