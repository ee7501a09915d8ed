"""The choice of weights in the wizard: fields that a method does not use, values by module, options of a method."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from forge_desktop.wizard.fields import FoldedForm, SettingField, read, written
from tests.desktop.test_wizard import choose_demo, click, to_step, wizard_of


def unfolded(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    click(qtbot, page, "wizard.fold.tuner")
    return page


def choose(page, value: str) -> None:
    method = page.findChild(QComboBox, "field.tuner.kind")
    method.setCurrentIndex(method.findData(value))
    method.activated.emit(method.currentIndex())


def field_of(page, path: str) -> SettingField:
    found = page.findChild(QWidget, f"field.{path}")
    while not isinstance(found, SettingField):
        found = found.parentWidget()
    return found


def said(page, path: str) -> str:
    return " ".join(made.text() for made in field_of(page, path).findChildren(QLabel))


def type_into(page, qtbot, path: str, text: str) -> None:
    line = page.findChild(QLineEdit, f"field.{path}")
    line.setFocus()
    line.selectAll()
    qtbot.keyClicks(line, text)


def shown(page) -> list[str]:
    fold = next(made for made in page.findChildren(FoldedForm) if made.owns("tuner.alpha"))
    return [path for path in PATHS if fold.field(path).isVisible()]


PATHS = ("tuner.alpha", "tuner.dropout", "tuner.layers", "tuner.options", "tuner.virtual_tokens")


def test_that_only_what_a_method_uses_is_shown_and_what_was_changed_stays(replay, qtbot):
    page = unfolded(replay, qtbot)
    assert shown(page) == ["tuner.alpha", "tuner.dropout"]
    head = next(made for made in page.findChildren(FoldedForm) if made.owns("tuner.alpha"))
    before = head._count.text()
    type_into(page, qtbot, "tuner.alpha", "7")
    choose(page, "freeze")
    qtbot.waitUntil(lambda: shown(page) == ["tuner.alpha", "tuner.layers"])
    assert head._count.text() != before
    assert not field_of(page, "tuner.alpha").isEnabled()
    assert "Not used by this method." in said(page, "tuner.alpha")
    assert not field_of(page, "tuner.rank").isEnabled()
    assert not page.findChild(QPushButton, "wizard.target.o_proj").isVisible()
    form = field_of(page, "tuner.layers").parentWidget()
    seen = [field for field in form.fields.values() if field.isVisible()]
    places = [form.layout().getItemPosition(form.layout().indexOf(field))[:2] for field in seen]
    assert places == [divmod(number, 2) for number in range(len(seen))], "no gaps"
    choose(page, "lora")
    qtbot.waitUntil(lambda: shown(page) == ["tuner.alpha", "tuner.dropout"])


def test_that_ranks_of_modules_are_typed_by_keyboard(replay, qtbot):
    page = unfolded(replay, qtbot)
    type_into(page, qtbot, "tuner.rank_pattern", "q_proj=8, v_proj=4")
    assert page.draft.get("tuner.rank_pattern") == {"q_proj": 8, "v_proj": 4}
    qtbot.waitUntil(lambda: not page.draft.problems_of("tuner.rank_pattern"))
    type_into(page, qtbot, "tuner.rank_pattern", "eight")
    qtbot.waitUntil(lambda: "q_proj=8, v_proj=4" in said(page, "tuner.rank_pattern"))
    assert "✗" in said(page, "tuner.rank_pattern")


def test_that_options_of_a_method_are_named_and_checked(replay, qtbot):
    page = unfolded(replay, qtbot)
    choose(page, "lokr")
    qtbot.waitUntil(lambda: "tuner.options" in shown(page))
    assert "decompose_both=false (bool)" in said(page, "tuner.options")
    type_into(page, qtbot, "tuner.options", "decompose_both=true, decompose_factor=4")
    assert page.draft.get("tuner.options") == {"decompose_both": True, "decompose_factor": 4}
    qtbot.waitUntil(lambda: page.draft.config is not None)
    type_into(page, qtbot, "tuner.options", "decompose_bot=1")
    qtbot.waitUntil(lambda: "decompose_both" in said(page, "tuner.options") and "✗" in said(page, "tuner.options"))
    qtbot.keyClick(page.findChild(QLineEdit, "field.tuner.options"), Qt.Key.Key_Tab)


def test_that_the_review_says_what_is_trained(replay, qtbot):
    page = unfolded(replay, qtbot)
    choose(page, "freeze")
    to_step(page, qtbot, "review")
    texts = [made.text() for made in page.findChildren(QLabel)]
    assert any("Trains the last 2 layers of the model" in text for text in texts), texts


def test_that_pairs_are_read_with_full_width_signs_too():
    kinds = dict[str, bool | int | float | str]
    assert read("a=1，b＝0.5, c=true,d=x", kinds) == {"a": 1, "b": 0.5, "c": True, "d": "x"}
    assert read("a=true", dict[str, int]) == {"a": "true"}
    assert read("", kinds) == {}
    assert read("a", kinds) == "a"
    assert written({"a": 1, "b": 0.5, "c": True}) == "a=1, b=0.5, c=true"


def test_that_what_needs_a_package_that_is_not_there_is_greyed_with_the_reason(replay, qtbot):
    replay.backend.absent = ["bitsandbytes", "liger_kernel"]
    page = unfolded(replay, qtbot)
    held = page.findChild(QComboBox, "field.model.quantisation")
    items = {held.itemData(place): held.model().item(place) for place in range(held.count())}
    qtbot.waitUntil(lambda: not items["4bit"].isEnabled())
    told = held.itemData(held.findData("4bit"), Qt.ItemDataRole.ToolTipRole)
    assert "bitsandbytes" in told
    assert "pip install" in told
    assert items["none"].isEnabled()
    assert items["torchao_8bit"].isEnabled()
    click(qtbot, page, "wizard.fold.training")
    liger = field_of(page, "training.liger")._control
    assert not liger.isEnabled()
    assert "liger-kernel" in liger.toolTip()
    replay.backend.absent = []
    type_into(page, qtbot, "tuner.alpha", "9")
    qtbot.waitUntil(lambda: items["4bit"].isEnabled() and liger.isEnabled())
