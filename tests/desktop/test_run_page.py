"""The Run page over replayed journals."""

from __future__ import annotations

import time

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QListWidget, QMenu, QMessageBox, QPushButton, QWidget

from engine.contract.api import Settings
from engine.contract.errors import UserError
from engine.contract.events import Device, PhaseBegan, Planned, Started
from engine.contract.states import Phase, RunState
from forge_desktop.bridge.backend import Item
from forge_desktop.pages.run_page import TABS, RunPage
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.panels.bulk_actions import TagDialog
from forge_desktop.panels.checkpoints_panel import menu_of
from forge_desktop.theme.controls import Chip, Elided
from tests.helpers.journals import (
    Recording,
    after_training,
    before_training,
    demo_spec,
    failed,
    resumed,
    saved,
    steps,
)


def open_run(replay, qtbot, lines) -> tuple[str, RunPage]:
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, lines)
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: page.is_built)
    return uid, page


def choose(page: RunPage, name: str) -> None:
    """Pick from the page's menu."""
    menu = QMenu(page)
    page.fill_menu(menu)
    next(action for action in menu.actions() if action.objectName() == name).trigger()
    menu.deleteLater()


def test_that_the_curve_grows_live_and_holds_every_point_once(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 20)])
    for first in range(21, 101, 10):
        replay.backend.play(uid, steps(first, first + 9))
    curve = page.model.curve("loss")
    qtbot.waitUntil(lambda: len(curve) == 100)
    assert np.array_equal(curve.x, np.arange(1, 101))
    qtbot.waitUntil(lambda: page.chart.points_shown() == 100)


def test_that_points_missed_while_the_line_was_down_are_fetched(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 20)])
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) == 20)
    with qtbot.waitSignal(replay.desktop.session.online):
        replay.backend.drop_line()
        replay.backend.play(uid, steps(21, 60))
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) == 60)


def test_that_the_result_shows_before_and_after(replay, qtbot):
    _uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 100), *after_training()])
    after = page.findChild(QWidget, "score.after")
    qtbot.waitUntil(lambda: page.findChild(QWidget, "score.after").text() == "98.5%")
    assert page.findChild(QWidget, "score.before").text() == "1.5%"
    assert after is not None
    assert page.findChild(QPushButton, "download.adapter").isVisible()


def test_that_a_failed_run_says_what_why_and_what_to_do(replay, qtbot):
    error = UserError("worker.killed", signal="SIGKILL").body()
    _uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 10), *failed(error, 10)])
    card = page.findChild(QWidget, "run.error")
    qtbot.waitUntil(card.isVisible)
    assert "SIGKILL" in card.what.text()
    assert "micro_batch_size" in card.fix.text()


def test_that_stop_asks_first_and_puts_saving_first(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 10)])
    qtbot.mouseClick(page.findChild(QPushButton, "run.stop"), Qt.MouseButton.LeftButton)
    box = page.findChild(QMessageBox, "question")
    qtbot.waitUntil(box.isVisible)
    assert box.defaultButton().objectName() == "stop.save"
    assert replay.backend.run(uid).run.state is RunState.RUNNING
    qtbot.mouseClick(box.defaultButton(), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: replay.backend.run(uid).run.state is RunState.STOPPED)


def test_that_delete_keeps_by_default_and_leaves_the_page_when_done(replay, qtbot):
    _uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 100), *after_training()])
    qtbot.waitUntil(lambda: page.model.detail.run.state is RunState.COMPLETED)
    choose(page, "run.delete")
    box = page.findChild(QMessageBox, "question")
    qtbot.waitUntil(box.isVisible)
    assert box.defaultButton().objectName() != "delete.yes"
    qtbot.mouseClick(box.findChild(QPushButton, "delete.yes"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunsPage))
    assert replay.backend.runs([], "", 0, 10).total == 0


def test_that_a_run_keeps_showing_the_config_it_was_started_with(replay, qtbot):
    _uid, page = open_run(replay, qtbot, before_training())
    page.show_tab("config")
    texts = [panel.text.toPlainText() for panel in page.findChildren(QWidget) if type(panel).__name__ == "ConfigPanel"]
    assert "learning_rate: 0.0002" in texts[0]


def test_that_a_run_that_is_gone_is_said(replay, qtbot):
    replay.window.go("run/0000")
    card = replay.window.page.findChild(QWidget, "run.error")
    qtbot.waitUntil(card.isVisible)
    assert "0000" in card.what.text()


def test_that_the_log_can_be_saved(replay, qtbot, tmp_path):
    uid, _page = open_run(replay, qtbot, before_training())
    replay.backend.write_log(uid, "12:00:00 INFO 你好\n")
    run = replay.backend.run(uid).run
    replay.window.actions_of_runs.save_file_as(run, Item("log"), tmp_path / "run.log")
    qtbot.waitUntil(lambda: replay.window.actions_of_runs.transfers.list[0].state == "done")
    assert (tmp_path / "run.log").read_text(encoding="utf-8") == "12:00:00 INFO 你好\n"


def test_that_a_run_is_renamed_in_place_and_esc_leaves_it(replay, qtbot):
    uid, page = open_run(replay, qtbot, before_training())
    name = page.findChild(QWidget, "run.name")
    choose(page, "run.rename")
    qtbot.waitUntil(name.field.isVisible)
    name.field.setText("another")
    qtbot.keyClick(name.field, Qt.Key.Key_Escape)
    assert isinstance(replay.window.page, RunPage)
    assert name.name() == "demo-iso-dates"
    name.edit()
    name.field.setText(" a better name ")
    qtbot.keyClick(name.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: name.name() == "a better name")
    assert replay.backend.run(uid).run.name == "a better name"


def test_that_the_head_says_priority_tags_cost_and_when_it_will_be_ready(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 50)])
    replay.backend.prices = Settings(currency="EUR")
    page.model.refetch()
    replay.backend.move(uid, priority=5, tags=["a", "b"], cost=1.0, seconds=100.0, eta_seconds=100.0)
    head = page.findChild(QWidget, "run.head")
    qtbot.waitUntil(lambda: {"High priority", "a", "b"} <= {chip.text() for chip in head.findChildren(Chip)})
    cost = page.findChild(QLabel, "run.fact.cost")
    qtbot.waitUntil(lambda: cost.text() == "€1.00 of ≈ €2.00")
    assert page.findChild(QLabel, "run.fact.left").text().startswith("1 min 40 s · ")
    assert "epoch 0.50 / 1" in page.findChild(QLabel, "run.progress.of").accessibleName()


def test_that_tabs_turn_by_keyboard(replay, qtbot):
    _uid, page = open_run(replay, qtbot, before_training())
    shown = []
    for _ in range(len(TABS)):
        page._turn(1)
        shown.append(page._tabs.currentIndex())
    assert shown == [1, 2, 3, 4, 5, 6, 0]
    page._turn(-1)
    assert page.log.isVisible()


def stage_states(page: RunPage) -> dict[str, str]:
    return {stage.key: stage.state for stage in page.findChild(QWidget, "run.phases.strip").stages}


def test_that_the_stages_say_where_a_run_is_and_how_long_each_took(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 50)])
    qtbot.waitUntil(lambda: stage_states(page).get("training") == "now")
    strip = page.findChild(QWidget, "run.phases.strip")
    by_key = {stage.key: stage for stage in strip.stages}
    assert by_key["loading"].seconds == 1.0
    assert (by_key["training"].done, by_key["training"].total, by_key["training"].unit) == (50, 100, "steps")
    assert stage_states(page)["saving"] == "later"
    assert "Training: at work · 50 of 100" in strip.accessibleName()
    replay.backend.play(uid, [*steps(51, 100), *after_training()])
    qtbot.waitUntil(lambda: set(stage_states(page).values()) == {"done"})


def test_that_a_failed_stage_is_marked_and_earlier_attempts_can_be_seen(replay, qtbot):
    error = UserError("worker.killed", signal="SIGKILL").body()
    first = [*before_training(), *steps(1, 60), *saved(40)]
    uid, page = open_run(replay, qtbot, [*first, *resumed(40, 1)])
    replay.backend.play(uid, failed(error, 40))
    qtbot.waitUntil(lambda: stage_states(page).get("training") == "failed")
    assert stage_states(page)["tokenising"] == "skipped"
    assert stage_states(page)["done"] == "skipped"
    chooser = page.findChild(QWidget, "run.phases.attempt")
    qtbot.waitUntil(lambda: chooser.isVisible() and chooser.count() == 2)
    chooser.setCurrentIndex(1)
    chooser.activated.emit(1)
    qtbot.waitUntil(lambda: stage_states(page)["tokenising"] == "done")


def test_that_the_present_stage_counts_its_rows(replay, qtbot):
    rec = Recording(time.time() - 5)
    rec.add(Started, pid=1)
    rec.add(PhaseBegan, phase=Phase.LOADING)
    rec.add(Planned, total_steps=10, epochs=1.0, rows=2400)
    rec.add(PhaseBegan, phase=Phase.TOKENISING)
    uid, page = open_run(replay, qtbot, rec.take())
    strip = page.findChild(QWidget, "run.phases.strip")
    qtbot.waitUntil(lambda: stage_states(page).get("tokenising") == "now")
    rec.add(PhaseBegan, phase=Phase.TOKENISING, done=0.5)
    replay.backend.play(uid, rec.take())
    qtbot.waitUntil(lambda: "1,200 of 2,400" in strip.accessibleName())


def test_that_every_gpu_has_its_tiles_and_a_processor_where_there_is_none(replay, qtbot):
    uid, page = open_run(replay, qtbot, before_training())
    note = page.findChild(QLabel, "run.devices.note")
    qtbot.waitUntil(lambda: note.text() == "Readings appear once the worker runs.")
    replay.backend.play(uid, steps(1, 10))
    qtbot.waitUntil(lambda: note.text().startswith("No GPU here"))
    rec = Recording(time.time())
    for gpu in (0, 1, 10):
        values = {"utilisation": 90.0, "memory_used": 61e9, "memory_total": 141e9, "power": 600.0, "power_limit": 700.0}
        rec.add(Device, values={f"gpu{gpu}.{name}": value for name, value in values.items()}, names={})
    replay.backend.play(uid, rec.take())
    devices = page.findChild(QWidget, "run.devices")

    def groups() -> list[str]:
        found = [made.objectName() for made in devices.findChildren(QWidget) if made.isVisible()]
        return [name for name in found if name.startswith("run.device.")]

    qtbot.waitUntil(lambda: groups() == ["run.device.gpu0", "run.device.gpu1", "run.device.gpu10"])
    qtbot.waitUntil(lambda: "of 141 GB" in {made.text() for made in devices.findChildren(QLabel)})
    assert not note.isVisible()


def test_that_the_rail_shows_the_newest_checkpoints_and_the_best(replay, qtbot):
    lines = [*before_training(), *steps(1, 70)]
    for step in (10, 20, 30, 40, 50, 60):
        lines += saved(step, best=step == 20)
    _uid, page = open_run(replay, qtbot, lines)
    card = page.findChild(QWidget, "run.checkpoints.latest")
    qtbot.waitUntil(lambda: "Step 60" in {made.text() for made in card.findChildren(QLabel)})
    texts = [made.text() for made in card.findChildren(QLabel) if made.text().startswith("Step")]
    assert texts == ["Step 60", "Step 50", "Step 40", "Step 20"]
    assert {chip.text() for chip in card.findChildren(Chip)} == {"Latest", "Best"}


def test_that_each_attempt_shows_its_config_and_what_changed(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 50), *saved(40)])
    spec = replay.backend.run(uid).spec
    longer = spec.job.training.model_copy(update={"epochs": 2.0})
    changed = spec.model_copy(update={"job": spec.job.model_copy(update={"training": longer})})
    replay.backend.attempt_specs[uid, 2] = changed
    replay.backend.play(uid, resumed(40, 1))
    page.show_tab("config")
    panel = page.findChild(QWidget, "run.config")
    qtbot.waitUntil(lambda: "epochs: 2.0" in panel.text.toPlainText())
    qtbot.waitUntil(lambda: "≠ epochs: 1.0 → epochs: 2.0" in panel.changes.text())
    chooser = page.findChild(QWidget, "run.config.attempt")
    chooser.setCurrentIndex(1)
    chooser.activated.emit(1)
    qtbot.waitUntil(lambda: "epochs: 1.0" in panel.text.toPlainText())
    assert not panel.changes.isVisible()


def test_that_events_are_filtered_by_kind(replay, qtbot):
    error = UserError("worker.killed", signal="SIGKILL").body()
    lines = [*before_training(), *steps(1, 50), *saved(40), *failed(error, 50)]
    _uid, page = open_run(replay, qtbot, lines)
    page.show_tab("events")
    panel = page.findChild(QWidget, "run.events")

    def texts() -> list[str]:
        rows = [made for made in panel.findChildren(QWidget) if made.objectName().startswith("event.")]
        return [" ".join(part.text() for part in made.findChildren(QLabel)) for made in rows]

    qtbot.waitUntil(lambda: len(texts()) > 6)
    panel.findChild(QPushButton, "run.events.kind.checkpoints").click()
    qtbot.waitUntil(lambda: len(texts()) == 1 and "Checkpoint at step 40" in texts()[0])
    panel.findChild(QPushButton, "run.events.kind.problems").click()
    qtbot.waitUntil(lambda: len(texts()) == 1 and "SIGKILL" in texts()[0])


def test_that_a_download_says_how_much_is_here(replay, qtbot):
    rec = Recording(time.time() - 5)
    rec.add(Started, pid=1)
    told = {"bytes_total": 4_000_000_000, "bytes_per_second": 30_000_000.0}
    rec.add(PhaseBegan, phase=Phase.DOWNLOADING, done=0.0, bytes_done=0, **told)
    spec = demo_spec()
    job = spec.job.model_copy(update={"model": spec.job.model.model_copy(update={"hub": "huggingface", "path": "a/b"})})
    uid = replay.backend.add(spec.model_copy(update={"job": job}), created=1.0)
    replay.backend.play(uid, rec.take())
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.findChild(QWidget, "run.phases.strip") is not None)
    qtbot.waitUntil(lambda: stage_states(page).get("downloading") == "now")
    rec.add(PhaseBegan, phase=Phase.DOWNLOADING, done=0.25, bytes_done=1_000_000_000, **told)
    replay.backend.play(uid, rec.take())
    strip = page.findChild(QWidget, "run.phases.strip")
    qtbot.waitUntil(lambda: "1.0 GB of 4.0 GB" in strip.accessibleName())
    qtbot.waitUntil(lambda: any("30.0 MB/s" in one.accessibleName() for one in page.findChildren(Elided)))


def test_that_tags_are_changed_on_the_page(replay, qtbot):
    uid, page = open_run(replay, qtbot, before_training())
    replay.backend.move(uid, tags=["old", "stays"])
    qtbot.waitUntil(lambda: page.model.detail.run.tags == ["old", "stays"])
    qtbot.mouseClick(page.findChild(QPushButton, "run.tags"), Qt.MouseButton.LeftButton)
    dialog = page.findChild(TagDialog)
    dialog.findChild(QListWidget, "tags.there").item(0).setCheckState(Qt.CheckState.Unchecked)
    dialog.field.setText("new, stays, newer")
    qtbot.mouseClick(dialog.findChild(QPushButton, "tags.save"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.model.detail.run.tags == ["stays", "new", "newer"])
    choose(page, "run.tags.menu")
    qtbot.waitUntil(lambda: any(made.isVisible() for made in page.findChildren(TagDialog)))


def test_that_a_checkpoint_is_kept_from_its_menu(replay, qtbot):
    _uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 60), *saved(40)])
    for kept in (True, False):
        menu = menu_of(page, page._do_checkpoint, page.model.detail.checkpoints[0], page.model.detail)
        next(action for action in menu.actions() if action.objectName() == "checkpoint.keep").trigger()
        qtbot.waitUntil(lambda kept=kept: page.model.detail.checkpoints[0].kept is kept)
        qtbot.waitUntil(lambda kept=kept: ("Kept" in {chip.text() for chip in page.findChildren(Chip)}) is kept)
