"""Pictures of moves and of the Instances page: choosing a target, a move on its way and how it ended, every state."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QScrollArea

from engine.contract.errors import UserError
from engine.contract.nodes import NodeRun
from engine.contract.states import RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.instances_page import InstancesPage
from forge_desktop.pages.nodes_page import NodesPage
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.move_dialog import MoveDialog
from forge_desktop.panels.moves_card import MovesCard
from tests.desktop.sheets_nodes import until
from tests.helpers.journals import before_training, demo_spec, steps

COPIED, WHOLE = 1_200_000_000, 1_800_000_000


def live_run(backend: ReplayBackend, name: str, node: str, created: float) -> str:
    """A run at work on a node."""
    uid = backend.add(demo_spec(name), created=created)
    backend.play(uid, [*before_training(), *steps(1, 60)])
    backend.move(uid, node=node)
    return uid


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the window to each state."""
    before = dict(backend.fleet)
    hot = live_run(backend, "gemma3-12b-med-qa", "rtx4090-c1", 5.0)
    others = [live_run(backend, name, "h200-a1", 4.0) for name in ("gemma3-27b-notes", "qwen3-sql")]
    backend.use_fleet()
    for name, runs in (("rtx4090-c1", [hot]), ("h200-a1", others)):
        found = [NodeRun(uid=uid, name=backend.run(uid).run.name, state="running") for uid in runs]
        backend.change_node(name, runs=found)
    desktop.window.nodes.fetch()
    until(lambda: len(desktop.window.nodes.nodes) == 6)
    yield from dialogs(desktop, backend, hot)
    yield from moves(desktop, backend, hot, others)
    yield from instances(desktop, backend)
    for uid in (hot, *others):
        backend.move(uid, state=RunState.COMPLETED)
    backend.under_way = {}
    backend.fleet = before
    desktop.window.nodes.fetch()
    until(lambda: len(desktop.window.nodes.nodes) == len(before))


def dialogs(desktop: Desktop, backend: ReplayBackend, hot: str) -> Iterator[str]:
    """Where one run could go, where it could not, and all runs of a node."""
    window = desktop.window
    window.go(f"run/{hot}")
    page = window.page
    assert isinstance(page, RunPage)
    until(lambda: page.model.detail is not None)
    window.do_deed("move")
    dialog = page.findChildren(MoveDialog)[-1]
    until(lambda: dialog.nodes.count() == 5)
    yield "move-one"
    dialog.nodes.choose("a100-d1")
    yield "move-not-there"
    dialog.reject()
    window.go("nodes")
    page_of = window.page
    assert isinstance(page_of, NodesPage)
    page_of.move_wanted.emit("h200-a1")
    dialog = page_of.findChildren(MoveDialog)[-1]
    until(lambda: dialog.nodes.count() > 0)
    yield "move-many"
    dialog.reject()


def moves(desktop: Desktop, backend: ReplayBackend, hot: str, others: list[str]) -> Iterator[str]:
    """On the Nodes page and on the run's own: under way, done, failed."""
    window, model = desktop.window, desktop.window.actions_of_runs.moves
    move = backend.move_run(hot, "l40s-b2")
    backend.step_move(move.uid, "copying", train_step=3410, bytes=COPIED // 3, bytes_total=WHOLE)
    backend.step_move(move.uid, "copying", bytes=COPIED)
    until(lambda: (model.of_run(hot) or move).bytes == COPIED)
    for name in ("nodes", f"run/{hot}"):
        window.go(name)
        if name == "nodes":
            show_card(desktop)
        yield f"move-on-its-way-{name.partition('/')[0]}"
    failed = backend.move_run(others[0], "l40s-b2")
    backend.step_move(failed.uid, "copying", train_step=812, bytes=COPIED, bytes_total=WHOLE)
    error = UserError("node.no_answer", node="l40s-b2", address="l40s-b2.lab:2376", detail="timed out", seconds=5)
    backend.fail_move(failed.uid, error.body())
    done = backend.move_run(others[1], "local")
    backend.step_move(done.uid, "starting", train_step=1200, bytes=WHOLE, bytes_total=WHOLE)
    backend.finish_move(done.uid, 0.88)
    until(lambda: sum(one.state != "running" for one in model.list) == 2)
    window.go("nodes")
    show_card(desktop)
    yield "moves-ended"
    backend.finish_move(move.uid, 1.2)


def show_card(desktop: Desktop) -> None:
    """Scroll to where the moves are."""
    page = desktop.window.page
    assert page is not None
    card, area = page.findChild(MovesCard), page.findChild(QScrollArea)
    QTest.qWait(50)
    area.ensureWidgetVisible(card, 0, 20)


def instances(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Empty, full, picked, filtered, its menu and questions, refused, failed, offline."""
    window = desktop.window
    window.go("instances")
    page = window.page
    assert isinstance(page, InstancesPage)
    until(lambda: page.model.has_loaded)
    yield "instances-none"
    backend.use_instances()
    page.model.fetch()
    until(lambda: len(page.model.all) == 12)
    yield "instances"
    page.model.sort_by("memory")
    page.table.header.setFocus(Qt.FocusReason.TabFocusReason)
    yield "instances-sorted"
    page.model.sort_by("")
    page.table.pick([one.id for one in page.model.rows[1:4]])
    yield "instances-picked"
    for verb, rows in (("kill", page.model.rows[1:4]), ("remove", page.model.rows)):
        page.deeds.do(verb, rows)
        yield f"instances-{verb}"
        close_dialogs()
    stranger = page.model.strangers[0]
    backend.refusals[stranger.id] = UserError("instances.other_computer", id=stranger.id, computer="lab-03")
    page.deeds.do("adopt", [stranger])
    until(lambda: QApplication.activeModalWidget() is not None)
    yield "instances-adopt-anyway"
    close_dialogs()
    backend.refusals.clear()
    page.filter.toggle("kind", "train", True)
    page.filter.toggle("node", "h200-a1", True)
    yield "instances-filtered"
    page.search.setText("nobody-knows-this")
    until(lambda: not page.model.rows)
    yield "instances-no-match"
    page.filter.clear()
    one = page.model.rows[1]
    backend.refusals[one.id] = UserError("node.no_answer", node=one.node, address="x", detail="timed out", seconds=5)
    page.deeds.do("stop", [one])
    until(lambda: isinstance(QApplication.activeModalWidget(), QDialog))
    yield "instances-refused"
    close_dialogs()
    backend.refusals = {}
    backend.instances_error = UserError("request.invalid", detail="Another version of the program answers")
    window.go("instances")
    again = window.page
    assert isinstance(again, InstancesPage)
    until(lambda: again.state() == "error")
    yield "instances-error"
    backend.instances_error = None
    backend.managed = {}
    window.go("runs")


def close_dialogs() -> None:
    """Whatever is open."""
    for dialog in QApplication.topLevelWidgets():
        if isinstance(dialog, QDialog) and dialog.isVisible():
            dialog.close()
