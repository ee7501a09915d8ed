"""The playground over a small real server: answers as they come, stopping, editing, who answers, what goes wrong."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel, QPushButton

from engine.contract.errors import Problem, UserError
from engine.contract.states import RunState
from forge_desktop.models.chat_export import as_json, as_markdown
from forge_desktop.models.chat_turns import ADAPTER, Answer, Chat, Column, Turn, to_plain
from forge_desktop.models.deeds import deeds_of
from forge_desktop.pages.playground_page import PlaygroundPage
from forge_desktop.panels.key_dialogs import ShowKeyDialog
from forge_desktop.panels.serve_dialog import ServeDialog
from forge_desktop.theme import language
from forge_desktop.theme.look import tokens
from tests.helpers.chat_instance import CONTEXT, ChatInstance
from tests.helpers.journals import after_training, before_training, demo_spec, saved, steps

pytestmark = pytest.mark.slow


@pytest.fixture
def instance():
    with ChatInstance() as made:
        yield made


@pytest.fixture
def reached(replay, instance):
    """The window's controller leads to the instance, until the window is closed: something may ask it to the last."""
    with instance.client() as client:
        replay.backend.instance_client = client
        yield client


@pytest.fixture
def page(replay, reached, qtbot):
    """The page with the demo model loaded."""
    return opened(replay, qtbot)


def opened(replay, qtbot, address: str = "playground") -> PlaygroundPage:
    replay.window.go(address)
    page = replay.window.page
    assert isinstance(page, PlaygroundPage)
    if page.instance.state == "none":
        qtbot.waitUntil(page.start.go.isEnabled)
        page.start.go.click()
    qtbot.waitUntil(lambda: page.instance.state == "ready" and page.instance.status is not None)
    return page


def said(page, column: str = "1", place: int = -1) -> str:
    answer = page.model.chat.turns[place].answers.get(column)
    return answer.text if answer is not None else ""


def send(page, qtbot, text: str) -> None:
    page.input.text.setPlainText(text)
    page.input._send.click()
    qtbot.waitUntil(lambda: not page.model.is_busy)


def test_that_one_message_is_answered_in_every_column(page, instance, qtbot, replay):
    assert replay.backend.served[0].idle_minutes == 15
    assert [run.summary.tags for run in replay.backend._runs.values()] == [["playground"]]
    send(page, qtbot, "Hello")
    assert said(page, "1") == said(page, "2") == "demo heard: Hello "
    card = page.views[0]._turns[0][2]
    assert card.text.toPlainText().strip() == "demo heard: Hello"
    assert card.account.text() == "3 tokens · 48 tok/s · first token 142 ms"


def test_that_an_answer_is_shown_while_it_comes_and_one_or_all_can_be_stopped(page, instance, qtbot):
    instance.go.clear()
    page.input.text.setPlainText("Tell me more")
    qtbot.keyClick(page.input.text, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: said(page, "1") == said(page, "2") == "demo ")
    card = page.views[0]._turns[0][2]
    qtbot.waitUntil(lambda: card.text.toPlainText() == "demo ")
    assert "Answering" in card.account.text()
    card._stop.click()
    assert page.model.chat.turns[0].answers["1"].state == "stopped"
    assert page.model.chat.turns[0].answers["2"].state == "coming"
    page.input._stop.click()
    assert not page.model.is_busy
    assert "Stopped" in card.account.text()
    qtbot.waitUntil(lambda: instance.cut == ["demo", "demo"])


def test_that_shift_enter_writes_a_new_line_and_sends_nothing(page, instance, qtbot):
    qtbot.keyClick(page.input.text, Qt.Key.Key_A)
    qtbot.keyClick(page.input.text, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert page.input.text.toPlainText() == "a\n"
    assert not instance.asked


def test_that_editing_an_earlier_message_drops_what_came_after_it(page, instance, qtbot):
    send(page, qtbot, "One")
    send(page, qtbot, "Two")
    question = page.views[1]._turns[0][1]
    question.begin()
    question.field.setPlainText("Uno")
    qtbot.keyClick(question.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not page.model.is_busy)
    assert [turn.user for turn in page.model.chat.turns] == ["Uno"]
    assert instance.asked[-1]["messages"] == [{"role": "user", "content": "Uno"}]
    assert said(page, "1") == said(page, "2") == "demo heard: Uno "


def test_that_each_column_remembers_its_own_answers(page, instance, qtbot):
    load(page, qtbot, "mine")
    page.model.set_answerer("2", Column("", ADAPTER, "mine"))
    page.model.set_system("Be brief.")
    send(page, qtbot, "One")
    send(page, qtbot, "Two")
    last = {one["model"]: one["messages"] for one in instance.asked[-2:]}
    assert last["mine"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "mine heard: One "},
        {"role": "user", "content": "Two"},
    ]
    assert last["demo"][2]["content"] == "demo heard: One "


def test_that_an_answer_is_asked_for_again_in_its_column_alone(page, instance, qtbot):
    send(page, qtbot, "One")
    instance.answers["demo"] = "Another"
    page.views[0]._turns[0][2]._again.click()
    qtbot.waitUntil(lambda: not page.model.is_busy)
    assert (said(page, "1"), said(page, "2")) == ("Another ", "demo heard: One ")


def test_that_one_column_may_fail_and_the_others_go_on(page, instance, qtbot):
    load(page, qtbot, "mine")
    page.model.set_answerer("2", Column("", ADAPTER, "mine"))
    instance.errors["mine"] = (400, "The adapter's file is gone.")
    send(page, qtbot, "One")
    assert said(page, "1") == "demo heard: One "
    card = page.views[1]._turns[0][2]
    assert card._error.text() == "The adapter's file is gone."
    assert card._error.isVisible()
    assert not page.views[0]._turns[0][2]._error.isVisible()


def test_that_an_instance_is_understood_in_chinese_too(page, instance, qtbot):
    problem = Problem(code="serve.unsupported", field="n", params={"name": "n", "detail": "Weil.", "advice": "Ohne."})
    error = UserError("serve.model", model="demo", known="other", problems=[problem])
    instance.errors["demo"], instance.parts = (404, error.what), error.body().model_dump(mode="json")
    language.set_language("zh_CN")
    send(page, qtbot, "One")
    text = page.views[0]._turns[0][2]._error.text()
    assert text == language.error_text(error.body())
    assert "demo" in text
    assert "Weil." in text
    assert "There is no model" not in text


def test_that_what_columns_answer_with_is_served_from_here(replay, page, instance, qtbot):
    serve = page.findChild(QPushButton, "chat.serve")
    assert serve.accessibleName() == "Serve this model"
    load(page, qtbot, "mine")
    page.model.set_answerer("2", Column("", ADAPTER, "mine"))
    assert serve.accessibleName() == "Serve this adapter"
    load(page, qtbot, "yours")
    page.model.set_answerer("1", Column("", ADAPTER, "yours"))
    assert serve.accessibleName() == "Serve 2 adapters"
    serve.click()
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, ServeDialog)
    paths = {name: one["path"] for name, one in instance.adapters.items()}
    qtbot.waitUntil(lambda: all(path in dialog.boxes for path in paths.values()))
    dialog.boxes[paths["mine"]].click()
    dialog.go.click()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), ShowKeyDialog))
    QApplication.activeModalWidget().accept()
    made = list(replay.backend._runs.values())[-1].spec.job
    assert [(one.name, one.path) for one in made.adapters] == [("yours", paths["yours"])]
    assert made.model == page.instance.model
    assert page.instance.state == "ready"


def test_that_an_adapter_that_does_not_fit_says_why(page, instance, qtbot):
    instance.refused_paths["/llama"] = "It was made for another model."
    page.instance.load_path("/llama")
    qtbot.waitUntil(lambda: bool(page.instance.misfits))
    texts = [made.text() for made in page.adapters.findChildren(QLabel)]
    assert "not compatible: It was made for another model." in texts
    load(page, qtbot, "mine")
    assert "r32 · 84.0 MB · loaded" in [made.text() for made in page.adapters.findChildren(QLabel)]
    page.instance.unload("mine")
    qtbot.waitUntil(lambda: not page.instance.adapters)


def test_that_sampling_and_weight_go_with_the_next_answer(page, instance, qtbot):
    load(page, qtbot, "mine")
    page.model.set_answerer("2", Column("", ADAPTER, "mine"))
    page.sampling.sliders["temperature"].setValue(4)
    page.sampling.fields["weight"].setText("0.5")
    page.sampling.fields["weight"].editingFinished.emit()
    page.sampling.fields["seed"].setText("7")
    page.sampling.fields["seed"].editingFinished.emit()
    page.sampling.fields["top_p"].setText("7")
    page.sampling.fields["top_p"].editingFinished.emit()
    assert page.sampling.fields["top_p"].property("tone") == "bad"
    send(page, qtbot, "One")
    plain, half = sorted(instance.asked, key=lambda one: "adapters" in one)
    assert (plain["temperature"], plain["seed"], plain["top_p"]) == (0.2, 7, 0.9)
    assert (half["model"], half["adapters"]) == ("demo", {"mine": 0.5})
    assert "adapters" not in plain
    assert said(page, "2") == "mine heard: One "


def test_that_an_answer_is_no_longer_than_there_is_room_for(page, instance, qtbot):
    instance.context = 5
    instance.answers["demo"] = "one two three four five six"
    send(page, qtbot, "Count for me")
    assert [one["max_tokens"] for one in instance.asked] == [2, 2]
    assert said(page, "1") == "one two "
    send(page, qtbot, "And on and on and on")
    assert page.model.chat.turns[1].answers["1"].error.what == "The prompt and its answer are too long."


def test_that_tokens_are_coloured_by_how_likely_they_were(page, instance, qtbot):
    instance.answers["demo"] = "sure likely unsure wild"
    page.sampling.findChild(QCheckBox, "chat.chances").click()
    send(page, qtbot, "One")
    assert instance.asked[0]["top_logprobs"] == 5
    text = page.views[0]._turns[0][2].text
    assert text.toPlainText() == "sure likely unsure wild "
    grounds = []
    for place in (1, 6, 13, 20):
        cursor = text.textCursor()
        cursor.setPosition(place)
        grounds.append(cursor.charFormat().background().color().name().upper())
    t = tokens()
    assert grounds[1:] == [t.info_soft.upper(), t.warn_soft.upper(), t.bad_soft.upper()]
    cursor = text.textCursor()
    cursor.setPosition(20)
    told: list[str] = []
    text.pointed.connect(told.append)
    text.setTextCursor(cursor)
    assert told == ["'wild ' 4.0% · instead of it: 'other' 96.0%"]


def test_that_how_much_of_the_context_is_used_is_told(page, instance, qtbot):
    send(page, qtbot, "One two three")
    qtbot.waitUntil(lambda: page.model.used is not None and page.model.used[0] > 0)
    assert page.model.used == (8, CONTEXT)
    assert page.input.context.accessibleName() == "8 of 8,192 context"


def test_that_checkpoints_are_walked_through_and_what_was_answered_comes_back(replay, page, instance, qtbot):
    run = replay.backend.add(demo_spec("taught"))
    replay.backend.play(run, [*before_training(), *steps(1, 50), *saved(20), *saved(40)])
    qtbot.waitUntil(lambda: any(one.run == run for one in page.instance.offers))
    view = page.views[1]
    view.who.setCurrentIndex(view.who.findData(f"run:{run}"))
    view.who.activated.emit(view.who.currentIndex())
    qtbot.waitUntil(lambda: view.scrub is not None and view.scrub.steps == [0, 20, 40])
    send(page, qtbot, "One")
    assert said(page, "2") == "demo heard: One "
    view.slider.setValue(1)
    qtbot.waitUntil(lambda: said(page, "2") == "taught@20 heard: One ")
    view.slider.setValue(2)
    qtbot.waitUntil(lambda: said(page, "2") == "taught@40 heard: One ")
    assert list(instance.adapters) == ["taught@20", "taught@40"]
    number = len(instance.asked)
    view.slider.setValue(1)
    qtbot.waitUntil(lambda: said(page, "2") == "taught@20 heard: One ")
    view.slider.setValue(0)
    qtbot.waitUntil(lambda: said(page, "2") == "demo heard: One ")
    assert len(instance.asked) == number  # what was answered once is not asked again
    replay.backend.play(run, saved(50))
    qtbot.waitUntil(lambda: view.scrub.steps == [0, 20, 40, 50])
    assert view.slider.maximum() == 3


def test_that_a_run_opens_the_page_with_what_it_has_taught(replay, instance, reached, qtbot):
    run = replay.backend.add(demo_spec("taught"))
    replay.backend.play(run, [*before_training(), *steps(1, 4), *after_training()])
    assert "chat" in {deed.key for deed in deeds_of(replay.backend.run(run).run)}
    replay.window.actions_of_runs.do("chat", replay.backend.run(run).run, replay.window, replay.window.go)
    page = replay.window.page
    assert isinstance(page, PlaygroundPage)
    qtbot.waitUntil(lambda: "taught" in instance.adapters)
    qtbot.waitUntil(lambda: [one.key for one in page.model.chat.columns] == ["base", "taught"])
    assert instance.adapters["taught"]["path"].startswith(f"runs/{run}/attempts/1/outputs/")
    qtbot.waitUntil(lambda: not replay.desktop.session.is_asking)


def test_that_what_keeps_a_model_from_loading_is_told_and_can_be_tried_again(replay, instance, reached, qtbot):
    replay.backend.serves_at_once = False
    replay.window.go("playground")
    page = replay.window.page
    page.start.go.click()
    qtbot.waitUntil(lambda: bool(page.instance.uid))
    assert "Loading" in page.start._phase.text()
    error = UserError("worker.killed", signal="SIGKILL").body()
    replay.backend.move(page.instance.uid, state=RunState.FAILED, error=error)
    qtbot.waitUntil(lambda: page.instance.state == "failed")
    assert page.start._error.what.text()
    replay.backend.serves_at_once = True
    page.start._retry.click()
    qtbot.waitUntil(lambda: page.instance.state == "ready")
    replay.backend.move(page.instance.uid, state=RunState.STOPPED)
    qtbot.waitUntil(lambda: page.instance.state == "ended")
    assert page.start._over.isVisible()


def test_that_nothing_is_loaded_that_cannot_be(replay, qtbot):
    replay.window.go("playground")
    start = replay.window.page.start
    start.model.set_value("hub")
    start.model.activated.emit(start.model.currentIndex())
    assert start.path.isVisible()
    start.path.setText("no-owner")
    assert not start.go.isEnabled()
    assert "owner/name" in start.go.toolTip()
    start.path.setText("owner/name")
    assert start.go.isEnabled()
    assert "No run" in start.from_run.toolTip()
    replay.desktop.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    assert not start.go.isEnabled()
    assert "does not answer" in start.go.toolTip()
    replay.desktop.session.online.emit()
    assert start.go.isEnabled()


def test_that_nothing_is_sent_while_nobody_answers(replay, page, instance, qtbot):
    page.input.text.setPlainText("One")
    replay.desktop.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    page.input.send()
    page.input.refresh()
    assert not page.input._send.isEnabled()
    assert "does not answer" in page.input._send.toolTip()
    assert page.input.text.toPlainText() == "One"
    assert not instance.asked
    replay.desktop.session.online.emit()


def test_that_the_chat_outlives_page_and_window(replay, page, instance, qtbot, make_desktop):
    send(page, qtbot, "One")
    page.model.prefer(0, "2")
    page.model.set_draft("half a mess")
    uid = page.instance.uid
    replay.window.go("runs")
    again = opened(replay, qtbot)
    assert again.instance.uid == uid  # the model is still there
    assert len(replay.backend.served) == 1
    assert said(again, "1") == "demo heard: One "
    assert again.model.chat.turns[0].answers["2"].preferred
    assert again.input.text.toPlainText() == "half a mess"
    replay.desktop.close()
    other = make_desktop()
    qtbot.waitUntil(lambda: other.desktop.session.is_online)
    other.window.go("playground")
    assert [turn.user for turn in other.window.page.model.chat.turns] == ["One"]


def test_that_a_chat_goes_on_with_its_adapters_in_another_instance(page, replay, instance, qtbot):
    load(page, qtbot, "mine")
    page.model.set_answerer("2", Column("", ADAPTER, "mine"))
    send(page, qtbot, "One")
    replay.backend.move(page.instance.uid, state=RunState.STOPPED)
    qtbot.waitUntil(lambda: page.instance.state == "ended")
    instance.adapters.clear()
    page.start._retry.click()
    qtbot.waitUntil(lambda: page.instance.find("mine") is not None)
    send(page, qtbot, "Two")
    assert said(page, "2") == "mine heard: Two "


def test_that_a_long_chat_shows_its_end_and_more_when_wanted(replay, instance, reached, qtbot):
    turns = [Turn(f"Question {n}", {"1": Answer("base", f"Answer {n}", "done")}) for n in range(20)]
    replay.window.preferences.set("playground.chat", to_plain(Chat(turns=turns)))
    page = opened(replay, qtbot)
    view = page.views[0]
    assert [turn.user for turn, _question, _card in view._turns] == [f"Question {n}" for n in range(8, 20)]
    assert view._turns[-1][2].text.toPlainText() == "Answer 19"
    view.earlier.click()
    assert [turn.user for turn, _question, _card in view._turns] == [f"Question {n}" for n in range(20)]
    assert view._turns[0][2].text.toPlainText() == "Answer 0"
    assert not view.earlier.isVisible()
    send(page, qtbot, "And?")
    assert len(instance.asked[-2]["messages"]) in (1, 41)  # the second column has no past


def test_that_a_chat_that_cannot_be_read_begins_anew(replay, instance, qtbot):
    replay.window.preferences.set("playground.chat", {"columns": "many", "turns": 3})
    replay.window.preferences.set("playground.votes", [{"prompt": 3}])
    replay.window.go("playground")
    assert replay.window.page.model.chat.turns == []
    assert len(replay.window.page.views) == 2
    assert replay.window.page.blind.votes == []


def test_that_a_checkpoint_that_is_asked_for_twice_is_loaded_once(page, instance, qtbot):
    got: list[str] = []
    page.instance.load("mine", "/adapters/mine", got.append)
    page.instance.load("mine", "/adapters/mine", got.append)
    qtbot.waitUntil(lambda: len(got) == 2)
    assert not page.instance.misfits


def test_that_a_chat_is_exported(page, qtbot, tmp_path):
    send(page, qtbot, "One")
    page.model.prefer(0, "1")
    text = as_markdown(page.model.chat, "demo")
    assert "### demo (Preferred)\n\ndemo heard: One" in text
    assert json.loads(as_json(page.model.chat, "demo"))["turns"][0]["user"] == "One"
    with qtbot.waitSignal(page.told):
        page.save(str(tmp_path / "chat.md"), text)
    assert (tmp_path / "chat.md").read_text(encoding="utf-8") == text
    with qtbot.waitSignal(page.failed):
        page.save(str(tmp_path / "chat.md" / "in a file"), text)


def load(page, qtbot, name: str) -> None:
    page.instance.load(name, f"/adapters/{name}")
    qtbot.waitUntil(lambda: page.instance.find(name) is not None)
