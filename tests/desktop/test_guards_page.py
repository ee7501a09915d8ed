"""The run page: what guards did, answers over steps, and another logging interval."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QLabel, QLineEdit, QPushButton, QWidget

from engine.contract.events import Sample
from forge_desktop.panels.charts_card import ChartsCard
from tests.desktop.sheets_guards import ANSWERS, PROMPTS, guarded, whole
from tests.desktop.test_run_page import choose, open_run
from tests.helpers.journals import Recording, before_training, steps


def texts(widget: QWidget) -> str:
    return "\n".join(made.text() for made in widget.findChildren(QLabel))


def test_that_what_a_guard_did_stands_in_the_timeline_and_on_the_chart(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 60)])
    card = page.findChild(ChartsCard)
    assert not card.chart.happened("guard")
    replay.backend.play(uid, guarded())
    qtbot.waitUntil(lambda: [step for step, _text in card.chart.happened("guard")] == [32, 51])
    assert "went back to the checkpoint at step 40" in card.chart.happened("guard")[1][1]
    page.show_tab("events")
    events = page.findChild(QWidget, "run.events")
    qtbot.waitUntil(lambda: "The loss jumped to 9.31 at step 32" in texts(events))
    assert "Training goes on." in texts(events)


def test_that_a_guard_makes_a_notice(replay, qtbot):
    uid, _page = open_run(replay, qtbot, [*before_training(), *steps(1, 60)])
    book = replay.window.notices
    replay.backend.play(uid, guarded())
    qtbot.waitUntil(lambda: {one.facts.get("code") for one in book.list} >= {"guard.loss_spike"})


def test_that_answers_at_checkpoints_make_a_grid_with_the_newest_first(replay, qtbot):
    uid, page = open_run(replay, qtbot, whole())
    page.show_tab("samples")
    gallery = page.findChild(QWidget, "run.gallery")
    qtbot.waitUntil(gallery.isVisible)
    heads = [made.text() for made in gallery.findChildren(QLabel) if made.text().startswith("Step ")]
    assert heads == ["Step 80", "Step 60", "Step 40", "Step 20"]
    qtbot.mouseClick(gallery.findChild(QPushButton, "run.gallery.copy"), Qt.MouseButton.LeftButton)
    rows = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
    assert [row[0] for row in rows[1:]] == list(PROMPTS)
    assert rows[1][1:] == [ANSWERS[1], ANSWERS[1], ANSWERS[0], ANSWERS[0]]
    rec = Recording(1_790_000_400.0)
    rec.add(Sample, when="checkpoint", index=0, step=90, prompt=PROMPTS[0], answer="Done.")
    replay.backend.play(uid, rec.lines)
    qtbot.waitUntil(lambda: "Step 90" in texts(gallery))
    assert "Not asked." in texts(gallery)


def test_that_a_run_without_fixed_prompts_shows_no_grid(replay, qtbot):
    _uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 5)])
    page.show_tab("samples")
    assert not page.findChild(QWidget, "run.gallery").isVisible()


def test_that_the_logging_interval_is_changed_from_the_menu_by_keys_alone(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 10)])
    choose(page, "run.log_every")
    dialog = page.findChild(QDialog, "interval")
    qtbot.waitUntil(dialog.isVisible)
    field = dialog.findChild(QLineEdit, "interval.steps")
    qtbot.waitUntil(lambda: field.text() == "1")
    field.selectAll()
    qtbot.keyClicks(field, "25")
    qtbot.keyClick(field, Qt.Key.Key_Return)

    def told() -> bool:
        events = replay.backend.run(uid).events
        return any(event.body.get("params") == {"steps": 25} for event in events)

    qtbot.waitUntil(told)
