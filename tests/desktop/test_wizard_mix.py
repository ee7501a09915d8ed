"""How datasets are mixed and split, set in the wizard by mouse and by keyboard."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QWidget

from engine.contract.data import DataConfig
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.fields import FoldedForm
from forge_desktop.wizard.step_data import MIX
from tests.desktop.sheets_wizard import SEEN
from tests.desktop.test_wizard import choose_demo, click, to_step, type_into, wizard_of


@pytest.fixture
def page(replay, qtbot):
    made = wizard_of(replay, qtbot)
    choose_demo(made, qtbot)
    to_step(made, qtbot, "data")
    return made


def fold_of(page) -> FoldedForm:
    return next(fold for fold in page.findChildren(FoldedForm) if fold.owns("data.order"))


def test_that_the_settings_are_folded_until_somebody_wants_them(page, qtbot):
    assert page.findChild(QWidget, "field.data.shuffle_buffer") is None
    click(qtbot, page, "wizard.fold.mix")
    for path in MIX:
        assert fold_of(page).field(path).isVisible()
        assert fold_of(page).field(path).sentence


def test_that_what_is_chosen_reaches_the_run(page, replay, qtbot):
    click(qtbot, page, "wizard.fold.mix")
    click(qtbot, page, "field.data.order.kept")
    click(qtbot, page, "field.data.validation_by.group")
    type_into(page, qtbot, "data.group_column", "person")
    type_into(page, qtbot, "data.self_cognition.name", "Anvil")
    type_into(page, qtbot, "data.self_cognition.author", "The Smithy")
    type_into(page, qtbot, "data.self_cognition.rows", "120")
    to_step(page, qtbot, "review")
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "wizard.next").isEnabled())
    click(qtbot, page, "wizard.next")
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    data: DataConfig = replay.backend.run(replay.backend.runs([], "", 0, 1).runs[0].uid).spec.job.data
    assert (data.order, data.validation_by, data.group_column) == ("kept", "group", "person")
    assert (data.self_cognition.name, data.self_cognition.author, data.self_cognition.rows) == (
        "Anvil",
        "The Smithy",
        120,
    )


def test_that_groups_without_a_column_are_said_beside_the_field_and_keep_from_starting(page, qtbot):
    click(qtbot, page, "wizard.fold.mix")
    click(qtbot, page, "field.data.validation_by.group")
    field = fold_of(page).field("data.group_column")
    texts = [made.text() for made in field.findChildren(QLabel)]
    assert any(text.startswith("✗ ") and "which group" in text for text in texts)
    assert "1 problem" in " ".join(made.text() for made in fold_of(page).findChildren(QLabel))
    to_step(page, qtbot, "review")
    assert not page.findChild(QPushButton, "wizard.next").isEnabled()


def test_that_it_works_by_keyboard_alone(page, qtbot):
    fold = page.findChild(QPushButton, "wizard.fold.mix")
    fold.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(fold, Qt.Key.Key_Space)
    buffer = page.findChild(QLineEdit, "field.data.shuffle_buffer")
    at = page.window().focusWidget()
    for _ in range(30):
        if at is buffer:
            break
        qtbot.keyClick(at, Qt.Key.Key_Tab)
        at = page.window().focusWidget()
    assert at is buffer
    qtbot.keyClicks(buffer, "5000")
    assert page.draft.get("data.shuffle_buffer") == 5000


def two_files(page, qtbot):
    page.draft.add_data(["/data/a.jsonl", "/data/b.csv"])
    qtbot.waitUntil(lambda: page.draft.rows() is not None)


def text_of(page, name: str) -> str:
    return page.findChild(QLabel, name).text()


def started_data(page, replay, qtbot) -> DataConfig:
    to_step(page, qtbot, "review")
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "wizard.next").isEnabled())
    click(qtbot, page, "wizard.next")
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    return replay.backend.run(replay.backend.runs([], "", 0, 1).runs[0].uid).spec.job.data


def test_that_each_dataset_says_what_its_weight_and_limit_come_to(page, replay, qtbot):
    two_files(page, qtbot)
    weight = page.findChild(QLineEdit, "field.data.train.0.weight")
    qtbot.mouseClick(weight, Qt.MouseButton.LeftButton)
    type_into(page, qtbot, "data.train.0.weight", "0.5")
    assert text_of(page, "wizard.data.0.rows") == "about 1,200 rows an epoch"
    assert text_of(page, "wizard.data.1.rows") == "about 2,400 rows an epoch"
    assert text_of(page, "wizard.data.together") == "Together about 3,600 rows an epoch."
    type_into(page, qtbot, "data.train.1.limit", "300")
    type_into(page, qtbot, "data.train.1.weight", "2")
    assert text_of(page, "wizard.data.1.rows") == "about 600 rows an epoch"
    assert page.draft.rows() == 1800
    sources = started_data(page, replay, qtbot).train
    assert [(one.weight, one.limit) for one in sources] == [(0.5, None), (2.0, 300)]


def test_that_weight_and_limit_are_reached_and_typed_by_keyboard(page, replay, qtbot):
    two_files(page, qtbot)
    page.findChild(QWidget, "wizard.data.0.format").setFocus(Qt.FocusReason.TabFocusReason)
    met = []
    for text in ("", "2", "50"):  # the way out, then the weight, then the limit
        qtbot.keyClick(page.window().focusWidget(), Qt.Key.Key_Tab)
        met.append(page.window().focusWidget())
        if text:
            qtbot.keyClick(met[-1], Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
            qtbot.keyClicks(met[-1], text)
            assert page.window().focusWidget() is met[-1]  # typing keeps the keyboard where it is
    assert [one.objectName() for one in met] == [
        "wizard.data.0.remove",
        "field.data.train.0.weight",
        "field.data.train.0.limit",
    ]
    assert text_of(page, "wizard.data.0.rows") == "about 100 rows an epoch"
    assert met[1].accessibleName() == "Weight of data/a.jsonl"


@pytest.mark.parametrize(
    ("path", "typed", "said"),
    [
        ("weight", "0", "greater than 0"),
        ("weight", "twice", "not a number"),
        ("weight", "", "not a number"),
        ("limit", "1.5", "not a whole number"),
        ("limit", "0", "too small"),
    ],
)
def test_that_a_bad_weight_or_limit_is_refused_at_its_field(page, qtbot, path, typed, said):
    two_files(page, qtbot)
    field = type_into(page, qtbot, f"data.train.1.{path}", typed or "1")
    if not typed:
        qtbot.keyClick(field, Qt.Key.Key_Backspace)
    assert field.property("tone") == "bad"
    assert text_of(page, "wizard.data.1.rows").startswith("✗ ")
    assert said in text_of(page, "wizard.data.1.rows")
    to_step(page, qtbot, "review")
    assert not page.findChild(QPushButton, "wizard.next").isEnabled()
    page.go_to(f"data.train.1.{path}")
    assert page.window().focusWidget() is page.findChild(QLineEdit, f"field.data.train.1.{path}")


def test_that_rows_not_counted_to_the_end_are_a_lower_bound(page, replay, qtbot):
    replay.backend.answers["preview_data"] |= {"complete": False}
    two_files(page, qtbot)
    assert text_of(page, "wizard.data.0.rows") == "at least 2,400 rows an epoch"
    type_into(page, qtbot, "data.train.0.limit", "1000")
    assert text_of(page, "wizard.data.0.rows") == "about 1,000 rows an epoch"


def test_that_a_dataset_taken_out_takes_its_weight_along(page, qtbot):
    two_files(page, qtbot)
    type_into(page, qtbot, "data.train.0.weight", "3")
    click(qtbot, page, "wizard.data.0.remove")
    assert [one["weight"] for one in page.draft.get("data.train")] == [1.0]
    qtbot.waitUntil(lambda: page.findChild(QLineEdit, "field.data.train.0.weight").text() == "1")


def seen_but(*barren: str):
    """An answer to `preview_row` by which nothing is learned of some datasets; keeps what it was asked about."""
    asked = []

    def answer(params):
        asked.append(params["source"]["path"])
        return SEEN | ({"teaching": 0} if params["source"]["path"] in barren else {})

    return answer, asked


def test_that_every_dataset_of_a_mix_is_measured_and_the_barren_one_named(page, replay, qtbot):
    replay.backend.data_answers["preview_row"], asked = seen_but("/data/b.csv")
    two_files(page, qtbot)
    qtbot.waitUntil(lambda: [one.field for one in page.draft.problems] == ["data.train.1.path"])
    assert sorted(asked) == ["/data/a.jsonl", "/data/b.csv"]
    line = " ".join(one.text() for one in page.findChildren(QLabel))
    assert "Nothing would be learned from 'b.csv'" in line
    to_step(page, qtbot, "review")
    start = page.findChild(QPushButton, "wizard.next")
    assert not start.isEnabled()
    page.draft.remove_data(1)
    qtbot.waitUntil(start.isEnabled)
    assert sorted(asked) == ["/data/a.jsonl", "/data/b.csv"]  # what is known is not asked again


def test_that_validation_rows_that_measure_nothing_are_said_at_their_field(page, replay, qtbot):
    replay.backend.data_answers["preview_row"], asked = seen_but("/data/v.jsonl")
    field = page.findChild(QLineEdit, "wizard.data.validation")
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "/data/v.jsonl")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: [one.code for one in page.draft.problems] == ["data.nothing_measured"])
    assert field.property("tone") == "bad"
    assert any("Nothing would be measured on 'v.jsonl'" in one.text() for one in page.findChildren(QLabel))
    assert asked[-1] == "/data/v.jsonl"
    to_step(page, qtbot, "review")
    assert not page.findChild(QPushButton, "wizard.next").isEnabled()
