"""The playground where people are quick, and where what comes in is odd."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt

from engine.contract.datasets import ImportJob
from engine.contract.errors import UserError
from engine.contract.states import RunState
from forge_desktop.models.chat_prompts import prompts_in, read_prompts, typed
from forge_desktop.models.chat_turns import ADAPTER, Column
from forge_desktop.theme.controls import Choice, Elided
from forge_desktop.theme.plain_tip import plain_tip
from tests.desktop.test_playground import instance, load, page, reached, said, send
from tests.desktop.test_playground_trials import run_all, two

__all__ = ["instance", "page", "reached", "two"]

pytestmark = pytest.mark.slow


def test_that_of_two_turns_alike_the_one_that_was_meant_is_asked_again(page, instance, qtbot):
    instance.takes.clear()
    for _ in range(2):
        page.input.text.setPlainText("Hi")
        page.input._send.click()
        page.input._stop.click()
    instance.takes.set()
    page.views[0]._turns[1][2]._again.click()
    qtbot.waitUntil(lambda: not page.model.is_busy)
    assert [turn.answers["1"].state for turn in page.model.chat.turns] == ["stopped", "done"]
    question = page.views[0]._turns[1][1]
    question.begin()
    question.field.setPlainText("Ho")
    question._ask.click()
    qtbot.waitUntil(lambda: not page.model.is_busy)
    assert [turn.user for turn in page.model.chat.turns] == ["Hi", "Ho"]


def test_that_an_answer_that_comes_back_is_each_columns_own(page, instance, qtbot):
    send(page, qtbot, "One")
    page.model.regenerate(0, "1")
    qtbot.waitUntil(lambda: not page.model.is_busy)
    page.model.ask_last(page.model.column("2"))
    answers = page.model.chat.turns[0].answers
    assert answers["1"].text == answers["2"].text
    page.model.prefer(0, "1")
    assert [answers[key].preferred for key in ("1", "2")] == [True, False]


def test_that_a_preference_goes_with_the_answer_that_was_preferred(two, instance, qtbot):
    send(two, qtbot, "One")
    two.model.prefer(0, "2")
    assert (len(two.pairs()), two.blind_card.save.isEnabled()) == (1, True)
    two.model.ask_last(two.model.column("2"))  # as walking back to a checkpoint does
    assert (len(two.pairs()), two.blind_card.save.isEnabled()) == (0, False)


def test_that_removing_a_column_ends_its_own_answer_alone(page, instance, qtbot):
    page.model.add_column()
    instance.go.clear()
    page.input.text.setPlainText("Tell me")
    page.input.send()
    qtbot.waitUntil(lambda: all(said(page, key) for key in "123"))
    page.views[2]._less.click()
    assert [one.state for one in page.model.chat.turns[0].answers.values()] == ["coming", "coming"]
    instance.go.set()
    qtbot.waitUntil(lambda: not page.model.is_busy)
    assert said(page, "1") == said(page, "2") == "demo heard: Tell me "
    assert instance.cut == ["demo"]


def test_that_a_model_that_is_no_longer_wanted_before_it_has_begun_is_stopped(replay, instance, reached, qtbot):
    replay.window.go("playground")
    page = replay.window.page
    qtbot.waitUntil(page.start.go.isEnabled)
    page.start.go.click()
    page.instance.end()
    qtbot.waitUntil(lambda: [one.summary.state for one in replay.backend._runs.values()] == [RunState.STOPPED])
    assert (page.instance.state, page.instance.uid) == ("none", "")
    page.start.go.click()
    qtbot.waitUntil(lambda: page.instance.state == "ready")
    assert replay.backend.run(page.instance.uid).run.state is RunState.RUNNING


def test_that_a_model_still_loads_where_the_page_was_left_meanwhile(replay, instance, reached, qtbot):
    instance.ready = False
    replay.window.go("playground")
    page = replay.window.page
    qtbot.waitUntil(page.start.go.isEnabled)
    page.start.go.click()
    replay.window.go("runs")  # before it was told that there is a run
    qtbot.waitUntil(lambda: len(replay.backend.served) == 1 and not replay.desktop.session.is_asking)
    replay.window.go("playground")
    again = replay.window.page
    assert again is not page
    qtbot.waitUntil(lambda: again.instance.state == "starting" and again.instance.run is not None)
    instance.ready = True
    qtbot.waitUntil(lambda: again.instance.state == "ready")
    assert len(replay.backend.served) == 1


def test_that_a_vote_counts_for_the_model_that_answered(two, instance, qtbot):
    two.blind_card.go.click()
    two.blind.ask("One")
    qtbot.waitUntil(lambda: two.blind.can_vote)
    load(two, qtbot, "other")
    two.model.set_answerer("2", Column("", ADAPTER, "other"))
    side = next(side for side, one in two.blind.answers.items() if one.text.startswith("mine"))
    two.blind_panel.buttons[side].click()
    (vote,) = two.blind.votes
    assert (vote.verdict, set(vote.answers)) == ("mine", {"base", "mine"})


def test_that_a_blind_test_ends_where_both_answer_with_the_same(two, instance, qtbot):
    two.blind_card.go.click()
    assert two.blind.is_on
    two.model.set_answerer("2", Column(""))
    assert not two.blind.is_on
    assert two._parts.currentIndex() == 0


def test_that_a_prompt_that_fails_is_asked_once_more_or_skipped(two, instance, qtbot):
    two.batch.set_prompts(["one", "two"])
    instance.errors["mine"] = (500, "broken")
    two.blind_card.go.click()
    panel = two.blind_panel
    qtbot.waitUntil(panel.again.isVisible)
    assert two.blind.prompt == "one"
    panel.again.click()
    assert not panel.again.isVisible()
    qtbot.waitUntil(panel.again.isVisible)
    assert [body["model"] for body in instance.asked].count("mine") == 2
    assert two.blind.prompt == "one"
    panel.skip.click()
    assert two.blind.prompt == "two"
    assert not two.blind.mine()
    qtbot.waitUntil(panel.again.isVisible)
    instance.errors.clear()
    panel.again.click()
    qtbot.waitUntil(lambda: two.blind.can_vote)
    assert not panel.again.isVisible()
    panel.buttons["tie"].click()
    assert (two.blind.prompt, panel.skip.isEnabled()) == ("", False)
    two.blind.end()
    two.blind_card.go.click()
    assert two.blind.prompt == "one", "what was skipped comes again in the next test"


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0b", "\\r\\n", "\\r", "\\u2029"])
def test_that_a_prompt_stays_one_whatever_breaks_its_lines(sign, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text(f'{{"prompt": "one{sign}two"}}\r\n\r\n"three"\r\n', encoding="utf-8", newline="")
    found, wrong = read_prompts(file)
    if sign == "\x0b":  # JSON has no such sign in a text
        assert wrong == ["Line 1: this is no JSON."]
        return
    assert not wrong
    assert found == [json.loads(f'"one{sign}two"'), "three"]
    assert prompts_in(typed(found)) == ["one\ntwo", "three"]


def test_that_a_file_of_brackets_is_no_prompt(two, tmp_path, qtbot):
    file = tmp_path / "prompts.jsonl"
    file.write_text("[" * 200_000, encoding="utf-8")
    two.mode.button("batch").click()
    two.batch_panel.read(str(file))
    qtbot.waitUntil(two.batch_panel._error.isVisible)
    assert "Line 1: this is no JSON." in two.batch_panel._error.why.text()


def test_that_numbers_without_an_end_are_refused_and_good_ones_say_what_they_do(page, qtbot):
    for name in ("max_tokens", "top_k", "temperature"):
        field = page.sampling.fields[name]
        tip = field.toolTip()
        before = getattr(page.model.chat.sampling, name)
        for text in ("inf", "1e400", "nan"):
            field.setText(text)
            field.editingFinished.emit()
            assert field.property("tone") == "bad"
            assert field.toolTip() != tip
            assert getattr(page.model.chat.sampling, name) == before
        field.setText("1")
        field.editingFinished.emit()
        assert (field.property("tone"), field.toolTip()) == ("", tip)


def test_that_html_in_an_answer_is_text_in_its_tooltip_too(two, instance, qtbot):
    text = "<img src='file:///etc/passwd'> a < b"
    instance.answers["demo"] = text
    run_all(two, qtbot, "<b>One</b>")
    item = two.batch_panel.table.item(0, 1)
    assert item.text() == text
    assert "<img" not in item.toolTip()
    assert "&lt;img" in item.toolTip()
    assert item.data(Qt.ItemDataRole.ToolTipRole) == plain_tip(text + " ")
    assert plain_tip("a & b\nc") == "a & b\nc"


def test_that_a_full_set_of_prompts_leaves_none_out(two, qtbot):
    two.mode.button("batch").click()
    for number, more in ((1000, False), (1001, True)):
        two.batch_panel.editor.setPlainText("\n".join(f"Prompt {n}" for n in range(number)))
        two.batch_panel._take()
        assert ("left out" in two.batch_panel._number.text()) == more
        assert len(two.batch.prompts) == 1000


def test_that_a_seed_no_instance_takes_is_refused(page, qtbot):
    field = page.sampling.fields["seed"]
    for text, tone in ((str(2**63), "bad"), (str(2**63 - 1), ""), ("9" * 5000, "bad"), ("0", "")):
        field.setText(text)
        field.editingFinished.emit()
        assert field.property("tone") == tone
    assert page.model.chat.sampling.seed == 0


def test_that_an_adapter_somebody_let_go_is_not_listed_once_it_was_asked_for(two, instance, qtbot):
    error = UserError("serve.model", model="mine", known="demo")
    instance.adapters.clear()
    instance.errors["mine"], instance.parts = (404, error.what), error.body().model_dump(mode="json")
    send(two, qtbot, "One")
    assert two.model.chat.turns[0].answers["2"].state == "failed"
    qtbot.waitUntil(lambda: not two.instance.adapters)
    assert two.views[1].who.currentText() == "mine"  # whose answers the column shows


def test_that_a_preference_dataset_gets_a_name_it_can_have(two, replay, instance, qtbot):
    send(two, qtbot, "One")
    two.model.prefer(0, "2")
    with qtbot.waitSignal(two.told) as told:
        two.save_pairs("a/b\\c\t偏好 😀")
    assert told.args == ["'a-b-c-偏好 😀' is being imported: DPO can train on it then."]
    (job,) = [run.spec.job for run in replay.backend._runs.values() if isinstance(run.spec.job, ImportJob)]
    assert job.dataset == "a-b-c-偏好 😀"


def test_that_a_word_without_an_end_pushes_nothing_out_of_sight(two, instance, qtbot):
    word = "W" * 600
    send(two, qtbot, word)
    area = two.views[0]._area
    qtbot.waitUntil(lambda: area.widget().width() <= area.viewport().width())
    question = two.views[0]._turns[0][1]
    assert question.said.toPlainText() == word
    question.begin()
    assert question.field.toPlainText() == word
    two.blind_card.go.click()
    two.blind.ask(word)
    qtbot.waitUntil(lambda: two.blind.can_vote)
    assert two.blind_panel._prompt.width() <= two._parts.width()
    assert two.window().minimumSizeHint().width() <= 1440


def test_that_news_of_its_run_do_not_ask_an_instance_anything(page, replay, instance, qtbot):
    send(page, qtbot, "One two three")
    qtbot.waitUntil(lambda: page.model.used is not None and not page.model._count_soon.isActive())
    replay.backend.move(page.instance.uid, state=RunState.RUNNING)
    with qtbot.waitSignal(page.instance.changed):
        replay.backend.move(page.instance.uid, state=RunState.RUNNING, phase=None)
    assert not page.model._count_soon.isActive()


def test_that_an_instance_whose_worker_died_is_waited_for_and_has_its_adapters_again(two, replay, instance, qtbot):
    send(two, qtbot, "One")
    instance.adapters.clear()
    replay.backend.move(two.instance.uid, state=RunState.QUEUED)
    qtbot.waitUntil(lambda: two.instance.state == "starting")
    assert not two.instance.adapters
    assert two._stack.currentIndex() == 0
    replay.backend.move(two.instance.uid, state=RunState.RUNNING)
    qtbot.waitUntil(lambda: two.instance.state == "ready" and two.instance.find("mine") is not None)
    send(two, qtbot, "Two")
    assert said(two, "2") == "mine heard: Two "


def test_that_what_there_is_to_say_about_a_cut_text_stays(qtbot):
    cut = Elided("a name that is far too long for its place")
    qtbot.addWidget(cut)
    cut.setToolTip("/where/it/lies")
    cut.resize(60, 20)
    cut.show()
    assert cut.toolTip() == "a name that is far too long for its place\n/where/it/lies"
    cut.resize(600, 20)
    assert cut.toolTip() == "/where/it/lies"


def test_that_names_of_others_are_shown_as_they_stand_where_they_are_cut(qtbot):
    name = "<img src='file:///etc/hostname'> a name that has no room at all"
    cut, listed = Elided(name), Choice([("x", name)])
    for widget in (cut, listed):
        qtbot.addWidget(widget)
        widget.resize(60, 30)
        widget.show()
        qtbot.waitUntil(lambda one=widget: one.toolTip() == plain_tip(name))
        assert "<img" not in widget.toolTip()
