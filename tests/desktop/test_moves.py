"""Moving a run: asking where to, following it step by step, giving it up, hearing how it ended."""

from __future__ import annotations

import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QPushButton

from engine.contract.errors import UserError
from engine.contract.nodes import NodeRun
from engine.contract.states import Mark
from forge_desktop.models.deeds import deeds_of
from forge_desktop.models.move_words import spoken, steps_of
from forge_desktop.models.moves_model import MovesModel, share
from forge_desktop.pages.nodes_page import NodesPage
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.move_dialog import MoveDialog
from forge_desktop.panels.moves_card import MovesCard
from tests.desktop.sheets_fleet import COPIED, WHOLE, live_run

pytestmark = pytest.mark.slow
LOST = UserError("node.no_answer", node="l40s-b2", address="l40s-b2.lab:2376", detail="timed out", seconds=5)


@pytest.fixture
def moving(replay, qtbot) -> str:
    """A run at work on the hot node of six; its page is open."""
    replay.backend.use_fleet()
    uid = live_run(replay.backend, "gemma3-12b-med-qa", "rtx4090-c1", 1.0)
    run = NodeRun(uid=uid, name="gemma3-12b-med-qa", state="running")
    replay.backend.change_node("rtx4090-c1", runs=[run])
    replay.window.nodes.fetch()
    replay.window.go(f"run/{uid}")
    qtbot.waitUntil(lambda: page_of(replay).model.detail is not None and len(replay.window.nodes.nodes) == 6)
    return uid


def page_of(replay) -> RunPage:
    assert isinstance(replay.window.page, RunPage)
    return replay.window.page


def model_of(replay) -> MovesModel:
    return replay.window.actions_of_runs.moves


def asked(replay, qtbot) -> MoveDialog:
    replay.window.do_deed("move")
    dialog = replay.window.page.findChildren(MoveDialog)[-1]
    qtbot.waitUntil(lambda: dialog.nodes.count() > 0)
    return dialog


def go(dialog: MoveDialog) -> QPushButton:
    return dialog.findChild(QPushButton, "move.go")


def begun(replay, qtbot, uid: str, node: str = "l40s-b2") -> str:
    move = replay.backend.move_run(uid, node)
    qtbot.waitUntil(lambda: model_of(replay).find(move.uid) is not None)
    return move.uid


def test_that_the_dialog_chooses_what_the_scheduler_would_and_says_why(replay, qtbot, moving):
    dialog = asked(replay, qtbot)
    names = [dialog.nodes.item(row).text() for row in range(dialog.nodes.count())]
    assert "rtx4090-c1" not in names, "it is there already"
    chosen = dialog.nodes.chosen()
    assert chosen is not None
    assert chosen.node == names[0] == "l40s-b2"
    assert chosen.why == "Its GPU is cooler than those of other nodes."
    assert (
        dialog.nodes.currentItem()
        .data(Qt.ItemDataRole.AccessibleTextRole)
        .startswith("l40s-b2. Scheduler's choice. Its GPU is cooler")
    )
    dialog.reject()


def test_that_a_node_that_cannot_take_it_says_why_and_is_not_taken(replay, qtbot, moving):
    dialog = asked(replay, qtbot)
    assert go(dialog).isEnabled()
    dialog.nodes.choose("a100-d1")
    assert not go(dialog).isEnabled()
    assert go(dialog).toolTip() == "It is being drained."
    dialog.nodes.choose("h200-a1")
    assert go(dialog).isEnabled()
    dialog.reject()


def test_that_a_run_is_moved_by_the_keyboard_alone(replay, qtbot, moving):
    dialog = asked(replay, qtbot)
    dialog.nodes.setFocus()
    qtbot.keyClick(dialog.nodes, Qt.Key.Key_Down)
    wanted = dialog.nodes.chosen()
    assert wanted is not None
    assert wanted.node == "h200-a1"
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: model_of(replay).of_run(moving) is not None)
    move = model_of(replay).of_run(moving)
    assert (move.source, move.target) == ("rtx4090-c1", "h200-a1")
    qtbot.waitUntil(lambda: not shiboken6.isValid(dialog) or not dialog.isVisible())


def test_that_a_refused_move_is_explained_in_the_dialog(replay, qtbot, moving):
    dialog = asked(replay, qtbot)
    replay.backend.pause(moving)
    qtbot.mouseClick(go(dialog), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "cannot be moved" in dialog.error_text())
    assert dialog.isVisible()
    assert go(dialog).isEnabled(), "it can be tried again"
    dialog.reject()


def test_that_a_scheduler_that_does_not_answer_is_said(replay, qtbot, moving):
    replay.backend.hangs = True
    replay.window.do_deed("move")
    dialog = replay.window.page.findChildren(MoveDialog)[-1]
    qtbot.waitUntil(lambda: dialog.error_text() != "")
    assert not go(dialog).isEnabled()
    replay.backend.hangs = False
    dialog.reject()


def test_that_a_node_moves_those_of_its_runs_that_are_ticked(replay, qtbot, moving):
    other = live_run(replay.backend, "qwen3-sql", "rtx4090-c1", 2.0)
    runs = [NodeRun(uid=uid, name=name, state="running") for uid, name in ((moving, "one"), (other, "two"))]
    replay.backend.change_node("rtx4090-c1", runs=runs)
    qtbot.waitUntil(lambda: len(replay.window.nodes.find("rtx4090-c1").runs) == 2)
    replay.window.go("nodes")
    assert isinstance(replay.window.page, NodesPage)
    replay.window.page.deeds.do("move", "rtx4090-c1")
    dialog = replay.window.page.findChildren(MoveDialog)[-1]
    qtbot.waitUntil(lambda: dialog.nodes.count() > 0)
    assert dialog.nodes.chosen().title == "Wherever there is room"
    assert go(dialog).accessibleName() == "Move 2 runs"
    dialog.runs.item(0).setCheckState(Qt.CheckState.Unchecked)
    qtbot.waitUntil(lambda: go(dialog).accessibleName() == "Move 1 run")
    qtbot.waitUntil(lambda: go(dialog).isEnabled() and dialog.nodes.chosen().node == "l40s-b2")
    qtbot.mouseClick(go(dialog), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: model_of(replay).of_run(other) is not None)
    assert model_of(replay).of_run(moving) is None
    qtbot.waitUntil(lambda: not shiboken6.isValid(dialog) or not dialog.isVisible())


def test_that_the_run_page_shows_its_move_step_by_step(replay, qtbot, moving):
    card = page_of(replay).moves
    assert card.isHidden()
    uid = begun(replay, qtbot, moving)
    qtbot.waitUntil(card.isVisible)
    assert card.texts() == ["Save checkpoint", "Copy", "Verify", "Resume"]
    replay.backend.step_move(uid, "copying", train_step=3410, bytes=COPIED, bytes_total=WHOLE)
    qtbot.waitUntil(lambda: card.texts()[1] == "Copied 1.2 of 1.8 GB")
    assert card.texts()[0] == "Checkpoint saved"
    assert card.texts()[3] == "Resume at step 3,410"
    replay.backend.step_move(uid, "starting", bytes=WHOLE)
    qtbot.waitUntil(lambda: card.texts()[2] == "Verified")
    assert card.texts()[1] == "Copied 1.8 GB"
    replay.backend.finish_move(uid, 0.88)
    qtbot.waitUntil(lambda: not card.isVisible())
    qtbot.waitUntil(lambda: page_of(replay).model.detail.run.node == "l40s-b2")


def test_that_the_time_left_follows_the_pace_of_the_copy(replay, qtbot, moving):
    now = [100.0]
    model = MovesModel(replay.desktop.session, replay.window, clock=lambda: now[0])
    uid = begun(replay, qtbot, moving)
    replay.backend.step_move(uid, "copying", bytes=0, bytes_total=WHOLE)
    qtbot.waitUntil(lambda: (model.find(uid) or model).bytes_total == WHOLE)
    assert model.seconds_left(model.find(uid)) is None
    now[0] += 80
    replay.backend.step_move(uid, "copying", bytes=COPIED)
    qtbot.waitUntil(lambda: model.find(uid).bytes == COPIED)
    assert model.seconds_left(model.find(uid)) == pytest.approx(40)
    replay.backend.step_move(uid, "verifying")
    qtbot.waitUntil(lambda: model.find(uid).step == "verifying")
    assert model.seconds_left(model.find(uid)) is None


def test_that_the_share_never_goes_back(replay, moving):
    move = replay.backend.move_run(moving, "l40s-b2").model_copy(update={"bytes_total": 100})
    shares = [share(move.model_copy(update={"step": step})) for step in ("saving", "stopping")]
    shares += [share(move.model_copy(update={"step": "copying", "bytes": done})) for done in (0, 50, 100)]
    shares += [share(move.model_copy(update={"step": step})) for step in ("verifying", "starting", "releasing", "done")]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_that_a_move_is_given_up_and_the_source_goes_on(replay, qtbot, moving):
    uid = begun(replay, qtbot, moving)
    card = page_of(replay).moves
    qtbot.waitUntil(card.isVisible)
    qtbot.mouseClick(card.findChild(QPushButton, "move.cancel"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: model_of(replay).find(uid).state == "cancelled")
    qtbot.waitUntil(lambda: not card.isVisible())
    assert spoken(model_of(replay).find(uid)).endswith("Given up by a person. It goes on at rtx4090-c1.")


def test_that_it_cannot_be_given_up_when_it_works_there(replay, qtbot, moving):
    uid = begun(replay, qtbot, moving)
    replay.backend.step_move(uid, "releasing")
    made = page_of(replay).moves
    qtbot.waitUntil(lambda: bool(made.rows) and not made.findChild(QPushButton, "move.cancel").isEnabled())
    assert made.findChild(QPushButton, "move.cancel").toolTip() == "It works there already."


def test_that_a_failed_move_says_why_that_nothing_is_lost_and_can_be_dismissed(replay, qtbot, moving):
    uid = begun(replay, qtbot, moving)
    replay.backend.step_move(uid, "copying", bytes=COPIED, bytes_total=WHOLE)
    replay.backend.fail_move(uid, LOST.body())
    qtbot.waitUntil(lambda: model_of(replay).find(uid).state == "failed")
    replay.window.go("nodes")
    card = replay.window.page.findChild(MovesCard)
    qtbot.waitUntil(card.isVisible)
    said = card.rows[uid].result.text()
    assert "does not answer" in said
    assert said.endswith("It goes on at rtx4090-c1; nothing is lost.")
    assert [step.state for step in steps_of(model_of(replay).find(uid))] == ["done", "failed", "later", "later"]
    qtbot.mouseClick(card.findChild(QPushButton, "move.dismiss"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not card.isVisible())


def test_that_the_keyboard_stays_where_it_is_while_a_move_gets_on(replay, qtbot, moving):
    uid = begun(replay, qtbot, moving)
    card = page_of(replay).moves
    qtbot.waitUntil(card.isVisible)
    made = card.findChild(QPushButton, "move.cancel")
    replay.backend.step_move(uid, "copying", bytes=1, bytes_total=WHOLE)
    replay.backend.step_move(uid, "verifying")
    qtbot.waitUntil(lambda: card.texts()[1].startswith("Copied"))
    assert card.findChild(QPushButton, "move.cancel") is made


@pytest.mark.parametrize("fails", [False, True])
def test_that_the_end_of_a_move_is_told_once(replay, qtbot, moving, fails):
    uid = begun(replay, qtbot, moving)
    if fails:
        replay.backend.fail_move(uid, LOST.body())
    else:
        replay.backend.finish_move(uid, 0.88)
    book = replay.window.notices
    qtbot.waitUntil(lambda: any(one.key == f"move:{uid}" for one in book.list))
    replay.backend.step_move(uid, "done")  # heard of once more
    last = begun(replay, qtbot, moving)
    replay.backend.cancel_move(last)
    qtbot.waitUntil(lambda: model_of(replay).find(last).state == "cancelled")
    told = [one for one in book.list if one.key.startswith("move:")]
    assert [one.what for one in told] == ["not_moved" if fails else "moved"]
    assert told[0].address == f"run/{moving}"


def test_that_moves_begun_elsewhere_are_there_after_connecting(make_desktop, qtbot):
    def prepare(backend) -> None:
        uid = live_run(backend, "night-run", "local", 1.0)
        backend.use_fleet()
        backend.move_run(uid, "l40s-b2")

    one = make_desktop(prepare=prepare)
    qtbot.waitUntil(lambda: len(model_of(one).list) == 1)
    assert model_of(one).list[0].name == "night-run"


def test_that_only_a_run_at_work_on_a_node_that_answers_can_be_moved(replay, qtbot, moving):
    def found() -> dict[str, str]:
        return {deed.key: deed.why_not for deed in deeds_of(replay.backend.run(moving).run)}

    assert found()["move"] == ""
    replay.backend.move(moving, mark=Mark.UNREACHABLE)
    assert found()["move"] == "Its node does not answer now."
    replay.backend.pause(moving)
    assert "move" not in found()


def test_that_the_menus_of_run_and_row_offer_it(replay, qtbot, moving):
    menu = QMenu()
    page_of(replay).fill_menu(menu)
    assert "run.move" in [action.objectName() for action in menu.actions()]
    replay.window.go("runs")
    row = QMenu()
    replay.window.page.fill_menu(row, replay.backend.run(moving).run)
    assert "Move to another node…" in [action.text() for action in row.actions()]
    menu.deleteLater()
    row.deleteLater()
    command = replay.window.commands.get("run.move")
    assert command is not None
    assert command.why_not() == "Open a run first."
