"""Notices: what is told, once, where it is seen; what is kept; quiet hours; toasts and the notice centre."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QPushButton, QWidget

from engine.contract.api import Diagnosis
from engine.contract.errors import UserError
from engine.contract.states import EndReason, Mark, RunState
from engine.contract.stream import RunEvent
from forge_desktop.bridge.backend_notices import DiskRoom
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.notice_rows import NoticeRole
from forge_desktop.models.notice_wishes import NoticeWishes
from forge_desktop.models.notices import Notice, text, title
from forge_desktop.panels.notice_center import NoticeCenter
from forge_desktop.panels.tray import RecordingTray
from forge_desktop.theme.language import set_language
from tests.desktop.conftest import change_look
from tests.helpers.journals import after_training, before_training, demo_spec, failed, steps

pytestmark = pytest.mark.slow

KILLED = UserError("worker.killed", signal=9).body()


def told(one) -> list[str]:
    """What happened, newest first."""
    return [notice.what for notice in one.window.notices.list]


def toasts(one) -> list[str]:
    """Titles of the toasts, oldest first."""
    return [toast.title.text() for toast in one.window.overlays.toasts.list]


@pytest.fixture
def caught_up(replay, qtbot):
    """A window that has looked at what happened before it."""
    qtbot.waitUntil(lambda: replay.desktop.preferences.get("notices.seen") is not None)
    return replay


def look_away(one, qtbot) -> None:
    """Another window comes to the front."""
    other = QWidget()
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    qtbot.waitUntil(lambda: not one.window.isActiveWindow())


def run_of(one, name: str = "demo-iso-dates") -> str:
    return one.backend.add(demo_spec(name), created=1.0)


def test_that_a_completed_run_is_told_once_in_a_toast_and_behind_the_bell(caught_up, qtbot):
    uid = run_of(caught_up)
    caught_up.backend.play(uid, [*before_training(), *steps(1, 20), *after_training()])
    qtbot.waitUntil(lambda: toasts(caught_up) == ["'demo-iso-dates' completed"])
    assert told(caught_up) == ["completed", "started"]
    assert caught_up.window.notices.unread == 1, "a start is kept, but nobody is to be bothered with it"
    assert "1 unread" in caught_up.window.sidebar.bell.accessibleName()
    caught_up.backend.move(uid, pinned=True)
    with qtbot.waitSignal(caught_up.desktop.session.online):
        caught_up.backend.drop_line()
    caught_up.backend.move(uid, pinned=False)
    seen = []
    caught_up.desktop.session.ask(lambda backend: backend.ended_since(0.0, 9), seen.append)
    qtbot.waitUntil(lambda: len(seen) == 1)
    assert told(caught_up) == ["completed", "started"]


def test_that_a_failure_says_what_the_diagnosis_found(caught_up, qtbot):
    uid = run_of(caught_up)
    found = Diagnosis(rule="out_of_memory", what="The GPU ran out of memory.", fix="Lower the batch.",
                      params={"device": "GPU 0", "size": 8, "length": 99})  # fmt: skip
    caught_up.backend._find(uid).diagnosis = found
    caught_up.backend.play(uid, [*before_training(), *steps(1, 3), *failed(KILLED, 3)])
    qtbot.waitUntil(lambda: toasts(caught_up) == ["'demo-iso-dates' failed"])
    assert "Memory ran out" in caught_up.window.overlays.toasts.list[0].text.text()
    assert "signal" not in caught_up.window.overlays.toasts.list[0].text.text()


def test_that_a_run_somebody_stopped_is_no_news(caught_up, qtbot):
    uid, other = run_of(caught_up), run_of(caught_up, "other")
    caught_up.backend.play(uid, before_training())
    caught_up.backend.stop(uid, True)
    caught_up.backend.play(other, [*before_training(), *after_training()])
    qtbot.waitUntil(lambda: "completed" in told(caught_up))
    assert told(caught_up).count("failed") == 0


def test_that_alerts_are_marks_retries_and_notes_that_matter(caught_up, qtbot):
    uid = run_of(caught_up)
    caught_up.backend.play(uid, [*before_training(), *steps(1, 3)])
    caught_up.backend.move(uid, mark=Mark.NOT_RESPONDING)
    caught_up.backend.move(uid, mark=Mark.NOT_RESPONDING, loss=1.0)
    qtbot.waitUntil(lambda: told(caught_up)[:1] == ["mark"])
    caught_up.backend.move(uid, mark=None)
    caught_up.backend.move(uid, mark=Mark.NOT_RESPONDING)
    qtbot.waitUntil(lambda: told(caught_up)[:2] == ["mark", "mark"])
    body = {"code": "checkpoint.not_saved", "params": {"step": 3, "detail": "No space left."}}
    note = RunEvent(cursor=9001, at=5.0, run=uid, attempt=1, kind="note", level=30, body=body)
    for message in (note, note, note.model_copy(update={"cursor": 9002, "body": {"code": "data.cut", "params": {}}})):
        caught_up.backend._tell(message)
    caught_up.backend.move(uid, mark=None, state=RunState.QUEUED, retry_at=9e9, reason=EndReason.LOST, retries=1)
    qtbot.waitUntil(lambda: told(caught_up)[:1] == ["retry"])
    assert told(caught_up) == ["retry", "note", "mark", "mark", "started"]
    assert "No space left." in text(caught_up.window.notices.list[1])


def test_that_many_at_once_are_one_message_that_opens_the_centre(caught_up, qtbot):
    uids = [run_of(caught_up, f"run-{n}") for n in range(5)]
    for uid in uids:
        caught_up.backend.play(uid, [*before_training(), *after_training()])
    qtbot.waitUntil(lambda: toasts(caught_up) == ["5 runs completed"])
    assert caught_up.window.notices.unread == 5
    caught_up.window.overlays.toasts.list[0].open.click()
    content = caught_up.window.overlays.panel.content
    assert isinstance(content, NoticeCenter)
    assert content.kind.value() == "completion"
    assert toasts(caught_up) == []


def test_that_at_most_three_toasts_stand_and_the_oldest_goes(caught_up):
    box = caught_up.window.overlays.toasts
    for n in range(5):
        box.show(Notice(f"k{n}", "completion", "completed", 0.0, name=f"r{n}"))
    assert toasts(caught_up) == ["'r2' completed", "'r3' completed", "'r4' completed"]
    tops = [toast.geometry() for toast in box.list]
    assert all(not one.intersects(other) for one in tops for other in tops if one != other)
    assert tops[-1].bottom() < caught_up.window.centralWidget().height()


def test_that_a_toast_goes_by_itself_but_not_while_somebody_reads_it(caught_up, qtbot):
    caught_up.window.activateWindow()
    box = caught_up.window.overlays.toasts
    box.stay_ms = 30
    box.show(Notice("a", "completion", "completed", 0.0, name="hovered"))
    box.show(Notice("b", "completion", "completed", 0.0, name="focused"))
    box.show(Notice("c", "completion", "completed", 0.0, name="left alone"))
    assert caught_up.window.isActiveWindow(), "a message takes the window's place in front"
    hovered, focused, left = box.list
    left.leaveEvent(QEvent(QEvent.Type.Leave))  # wherever the mouse may be
    hovered.enterEvent(QEnterEvent(QPointF(1, 1), QPointF(1, 1), QPointF(1, 1)))
    focused.open.setFocus()
    qtbot.waitUntil(lambda: toasts(caught_up) == ["'hovered' completed", "'focused' completed"])
    assert hovered.held
    assert focused.held
    qtbot.keyClick(focused.open, Qt.Key.Key_Escape)
    assert toasts(caught_up) == ["'hovered' completed"], "Esc closes the one that has the keyboard"
    qtbot.keyClick(caught_up.window, Qt.Key.Key_Escape)
    assert toasts(caught_up) == []


def test_that_the_keyboard_reaches_a_toast_and_comes_back(caught_up, qtbot):
    caught_up.window.activateWindow()
    caught_up.window.page.search.setFocus()
    caught_up.window.overlays.toasts.show(Notice("a", "failure", "failed", 0.0, "u1", "bad"))
    toast = caught_up.window.overlays.toasts.list[0]
    assert toast.accessibleName().startswith("'bad' failed")
    qtbot.keyClick(caught_up.window, Qt.Key.Key_F8)
    assert toast.open.hasFocus()
    qtbot.keyClick(toast.open, Qt.Key.Key_Escape)
    assert caught_up.window.page.search.hasFocus()


def test_that_the_tray_is_used_while_the_window_is_not_looked_at(caught_up, qtbot):
    tray = RecordingTray()
    caught_up.window.notifier.use_tray(tray)
    look_away(caught_up, qtbot)
    uid = run_of(caught_up)
    caught_up.backend.play(uid, [*before_training(), *after_training()])
    qtbot.waitUntil(lambda: len(tray.said) == 1)
    assert tray.said[0][0] == "'demo-iso-dates' completed"
    assert toasts(caught_up) == []
    tray.clicked.emit()
    assert caught_up.window.address == f"run/{uid}"
    assert caught_up.window.notices.unread == 0


def test_that_without_a_tray_the_toast_waits_for_the_window(caught_up, qtbot):
    caught_up.window.notifier.use_tray(RecordingTray(there=False))
    look_away(caught_up, qtbot)
    caught_up.window.overlays.toasts.stay_ms = 10
    caught_up.backend.play(run_of(caught_up), [*before_training(), *after_training()])
    qtbot.waitUntil(lambda: len(toasts(caught_up)) == 1)
    assert caught_up.window.overlays.toasts.list[0].held


def test_that_in_quiet_hours_nothing_pops_up_but_the_bell_collects(caught_up, qtbot):
    now = datetime.now()
    caught_up.desktop.preferences.set("notices.quiet_from", f"{now.hour:02d}:00")
    caught_up.desktop.preferences.set("notices.quiet_to", f"{(now.hour + 2) % 24:02d}:00")
    popped = []
    caught_up.window.notices.popped.connect(popped.append)
    caught_up.backend.play(run_of(caught_up), [*before_training(), *after_training()])
    qtbot.waitUntil(lambda: caught_up.window.notices.unread == 1)
    caught_up.window.notices._show()
    assert popped == []
    assert toasts(caught_up) == []
    caught_up.window.toggle_notices()
    assert "Quiet hours until" in caught_up.window.overlays.panel.content._quiet.text()


@pytest.mark.parametrize(
    ("start", "end", "at", "quiet"),
    [
        ("22:00", "07:00", "23:30", True),
        ("22:00", "07:00", "06:59", True),
        ("22:00", "07:00", "07:00", False),
        ("22:00", "07:00", "12:00", False),
        ("12:00", "13:00", "12:30", True),
        ("12:00", "13:00", "13:00", False),
        ("12:00", "12:00", "12:00", False),
        ("", "07:00", "03:00", False),
        ("25:00", "07:00", "03:00", False),
        ("9:00", "10:00", "09:30", True),
    ],
)
def test_that_quiet_hours_may_cross_midnight(tmp_path, start, end, at, quiet):
    file = tmp_path / "preferences.json"
    file.write_text(json.dumps({"notices.quiet_from": start, "notices.quiet_to": end}))
    assert NoticeWishes(Preferences(file)).quiet(datetime.fromisoformat(f"2026-03-01T{at}")) is quiet


def test_that_a_kind_switched_off_is_kept_but_neither_shown_nor_counted(caught_up, qtbot):
    caught_up.desktop.preferences.set("notices.on_completion", False)
    caught_up.desktop.preferences.set("notices.on_start", True)
    caught_up.backend.play(run_of(caught_up), [*before_training(), *after_training()])
    qtbot.waitUntil(lambda: toasts(caught_up) == ["'demo-iso-dates' is training"])
    assert told(caught_up) == ["completed", "started"]
    assert caught_up.window.notices.unread == 1


def test_that_what_happened_while_the_window_was_closed_is_one_summary_with_entries(make_desktop, qtbot, tmp_path):
    first = make_desktop()
    qtbot.waitUntil(lambda: first.desktop.preferences.get("notices.seen") is not None)
    first.desktop.close()

    def meanwhile(backend) -> None:
        for n in range(3):
            uid = backend.add(demo_spec(f"run-{n}"), created=1.0)
            backend.play(uid, [*before_training(), *(after_training() if n else failed(KILLED))])

    second = make_desktop(prepare=meanwhile)
    qtbot.waitUntil(lambda: len(toasts(second)) > 0)
    assert toasts(second) == ["While the window was closed"]
    shown = second.window.overlays.toasts.list[0]
    assert shown.text.text() == "2 runs completed · 1 run failed"
    assert sorted(told(second)) == ["completed", "completed", "failed"]
    assert second.window.notices.unread == 3
    second.desktop.close()
    third = make_desktop(prepare=lambda backend: backend.hold(second.backend._runs.values()))
    asked = []
    qtbot.waitUntil(lambda: third.desktop.session.is_online)
    third.desktop.session.ask(lambda backend: backend.health(), asked.append)
    qtbot.waitUntil(lambda: len(asked) == 1 and third.window.notices._caught_up_once)
    assert third.window.notices.unread == 3, "kept over the start, and nothing twice"
    assert toasts(third) == []


def test_that_the_first_start_of_all_tells_nothing_old(make_desktop, qtbot):
    def before(backend) -> None:
        backend.move(backend.add(demo_spec()), state=RunState.COMPLETED, finished=500.0)

    one = make_desktop(prepare=before)
    qtbot.waitUntil(lambda: one.desktop.preferences.get("notices.seen") == 500.0)
    assert told(one) == []


def test_that_little_room_on_the_disk_is_told_once_until_there_is_room_again(caught_up, qtbot):
    book = caught_up.window.notices
    for free, number in ((1e9, 1), (0.9e9, 1), (9e9, 1), (1e9, 2)):
        caught_up.backend.disk = DiskRoom("/data", int(free), 10**12)
        asked = []
        book._look_at_disk()
        caught_up.desktop.session.ask(lambda backend: backend.health(), asked.append)
        qtbot.waitUntil(lambda asked=asked, number=number: len(asked) == 1 and told(caught_up).count("disk") == number)
    assert book.list[0].address == "settings/data"


def test_that_the_centre_groups_filters_opens_marks_and_clears(caught_up, qtbot):
    window = caught_up.window
    uid = run_of(caught_up)
    caught_up.backend.play(uid, [*before_training(), *after_training()])
    caught_up.backend.play(run_of(caught_up, "bad"), [*before_training(), *failed(KILLED)])
    qtbot.waitUntil(lambda: len(told(caught_up)) == 4)
    window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    center = window.overlays.panel.content
    assert isinstance(center, NoticeCenter)
    assert center.view.hasFocus()
    rows = center._rows
    days = [rows.index(n).data(NoticeRole) for n in range(rows.rowCount())]
    assert len([day for day in days if isinstance(day, str)]) >= 2
    center.kind.set_value("completion")
    found = [rows.notice_at(rows.index(n)) for n in range(rows.rowCount())]
    assert [notice.run for notice in found if notice] == [uid]
    qtbot.keyClick(center.view, Qt.Key.Key_Down)
    qtbot.keyClick(center.view, Qt.Key.Key_Return)
    assert window.address == f"run/{uid}"
    assert window.overlays.panel.content is None
    window.toggle_notices()
    center = window.overlays.panel.content
    center.findChild(QPushButton, "notices.read").click()
    assert window.notices.unread == 0
    assert not center.findChild(QPushButton, "notices.read").isEnabled()
    center.findChild(QPushButton, "notices.clear").click()
    assert window.notices.list == []
    assert center._stack.currentWidget() is center._nothing
    caught_up.backend.move(uid, pinned=True)
    qtbot.keyClick(center.view, Qt.Key.Key_Escape)
    assert window.overlays.panel.content is None


def test_that_a_notice_of_a_deleted_run_leads_nowhere(caught_up, qtbot):
    uid = run_of(caught_up)
    caught_up.backend.play(uid, [*before_training(), *after_training()])
    qtbot.waitUntil(lambda: len(told(caught_up)) == 2)
    caught_up.backend.delete(uid)
    qtbot.waitUntil(lambda: all(notice.gone for notice in caught_up.window.notices.list))
    assert caught_up.window.notices.list[0].address == ""


def test_that_two_hundred_are_kept_and_damaged_ones_cost_only_themselves(make_desktop, tmp_path, qtbot):
    folder = tmp_path / "home" / "desktop"
    folder.mkdir(parents=True)
    many = [Notice(f"k{n}", "completion", "completed", float(n), name=f"r{n}").stored() for n in range(300)]
    many[3] = {"key": 5}
    many[4] = "no notice"
    many[5]["kind"] = "of a newer version"
    Path(folder, "preferences.json").write_text(json.dumps({"notices.list": many, "notices.keys": 7}))
    one = make_desktop()
    assert len(one.window.notices.list) == 200
    assert "r6" in [notice.name for notice in one.window.notices.list]


def test_that_notices_speak_the_language_in_force():
    notice = Notice("k", "completion", "completed", 0.0, name="日期", facts={"loss": 0.5})
    assert title(notice) == "'日期' completed"
    set_language("zh_CN")
    assert title(notice) == "“日期”已完成"
    assert "损失" in text(notice)
    set_language("en")


def test_that_a_new_look_keeps_bell_and_messages_working(caught_up, qtbot):
    change_look(caught_up.desktop, "dark", "zh_CN")
    caught_up.backend.play(run_of(caught_up), [*before_training(), *after_training()])
    qtbot.waitUntil(lambda: toasts(caught_up) == ["“demo-iso-dates”已完成"])
    assert "1" in caught_up.window.sidebar.bell.accessibleName()
