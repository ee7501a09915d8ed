"""Many prompts at once, the blind test, and what becomes of preferences."""

from __future__ import annotations

import csv
import io
import json

import pytest
from PySide6.QtWidgets import QApplication

from engine.contract.datasets import ImportJob
from forge_desktop.models.chat_blind import BAD, TIE
from forge_desktop.models.chat_export import lines_of
from forge_desktop.models.chat_turns import ADAPTER, Column
from tests.desktop.test_playground import instance, load, opened, page, reached, send

__all__ = ["instance", "page", "reached"]

pytestmark = pytest.mark.slow


@pytest.fixture
def two(page, qtbot):
    """The page with an adapter in the second column."""
    load(page, qtbot, "mine")
    page.model.set_answerer("2", Column("", ADAPTER, "mine"))
    return page


def run_all(page, qtbot, prompts: str) -> None:
    page.mode.button("batch").click()
    page.batch_panel.editor.setPlainText(prompts)
    page.batch_panel.start()
    qtbot.waitUntil(lambda: not page.batch.running)


def test_that_every_column_answers_every_prompt_and_one_that_fails_stops_nothing(two, instance, qtbot):
    instance.errors["mine"] = (400, "=Too long.")
    run_all(two, qtbot, "First\n\n  Second \nThird⏎line")
    assert [row.prompt for row in two.batch.rows] == ["First", "Second", "Third\nline"]
    table = two.batch_panel.table
    assert [table.horizontalHeaderItem(n).text() for n in range(3)] == ["Prompt", "demo", "mine"]
    assert table.item(1, 1).text() == "demo heard: Second"
    assert table.item(1, 2).text() == "⚠ =Too long."
    assert two.batch_panel._progress.text() == "6 of 6 answers · 3 could not be had"
    rows = list(csv.reader(io.StringIO(two.batch.as_csv().decode("utf-8-sig"))))
    assert rows[0] == ["prompt", "demo", "mine"]
    assert rows[2] == ["Second", "demo heard: Second ", "'=Too long."]
    last = json.loads(two.batch.as_jsonl().decode().splitlines()[-1])
    assert last == {
        "prompt": "Third\nline", "answers": {"demo": "demo heard: Third\nline "}, "errors": {"mine": "=Too long."},
    }  # fmt: skip


def test_that_a_batch_can_be_cancelled(two, instance, qtbot):
    instance.go.clear()
    two.mode.button("batch").click()
    two.batch_panel.editor.setPlainText("\n".join(f"Prompt {n}" for n in range(20)))
    two.batch_panel.start()
    qtbot.waitUntil(lambda: len(instance.asked) == 4)  # no more at a time
    two.batch_panel.cancel.click()
    qtbot.waitUntil(lambda: not two.batch.running)
    assert "cancelled" in two.batch_panel._progress.text()
    assert len(instance.asked) == 4


def test_that_a_file_with_a_bad_line_is_refused_whole(two, qtbot, tmp_path):
    two.mode.button("batch").click()
    two.batch_panel.editor.setPlainText("As it was")
    bad = tmp_path / "prompts.jsonl"
    bad.write_text('"good"\n{"prompt": "fine"}\n{"broken\n{"label": 3}\n', encoding="utf-8")
    two.batch_panel.read(str(bad))
    error = two.batch_panel._error
    qtbot.waitUntil(error.isVisible)
    assert "Line 3: this is no JSON." in error.why.text()
    assert "Line 4: no prompt" in error.why.text()
    assert two.batch_panel.editor.toPlainText() == "As it was"
    good = tmp_path / "good.jsonl"
    turns = [{"role": "user", "content": "What?\nNow"}, {"role": "assistant", "content": "That."}]
    good.write_text("\n".join(map(json.dumps, ["one", {"prompt": "two"}, {"messages": turns}])), encoding="utf-8")
    two.batch_panel.read(str(good))
    qtbot.waitUntil(lambda: two.batch.prompts == ["one", "two", "What?\nNow"])
    assert not error.isVisible()
    for content in (b"\xff\xfe\x00", b"\n \n"):
        (tmp_path / "other.txt").write_bytes(content)
        two.batch_panel.read(str(tmp_path / "other.txt"))
        qtbot.waitUntil(error.isVisible)
        two.batch_panel._error.hide()
    assert two.batch.prompts == ["one", "two", "What?\nNow"]


def test_that_answers_are_saved_as_a_file(two, qtbot, tmp_path):
    run_all(two, qtbot, "One")
    with qtbot.waitSignal(two.told):
        two.batch_panel.save(str(tmp_path / "answers.csv"), two.batch.as_csv())
    assert (tmp_path / "answers.csv").read_bytes() == two.batch.as_csv()


def vote(page, qtbot, verdict: str) -> None:
    """`verdict` may be a model's key: its side is found."""
    qtbot.waitUntil(lambda: page.blind.can_vote)
    side = next((side for side, one in page.blind.sides.items() if one.key == verdict), verdict)
    page.blind_panel.buttons[side].click()


def test_that_a_blind_test_names_nobody_and_counts_what_was_preferred(two, instance, qtbot):
    two.batch.set_prompts(["One", "Two", "Three", "Four"])
    two.blind_card.go.click()
    qtbot.waitUntil(lambda: two.blind.can_vote)
    assert two.blind.prompt == "One"
    for card in two.blind_panel.cards.values():
        assert card.account.text() == ""
    instance.answers = {"demo": "A plain answer", "mine": "A better answer"}
    vote(two, qtbot, "mine")
    vote(two, qtbot, "mine")
    vote(two, qtbot, "base")
    assert two.blind_card.tally.text() == "mine preferred in 2, the base in 1, tie in 0"
    assert two.blind_card._far.text() == "3 of 4"
    vote(two, qtbot, "tie")
    assert "No test prompt is left" in two.blind_panel._prompt.toPlainText()
    two.input.text.setPlainText("Five")
    two.input.send()
    vote(two, qtbot, "bad")
    assert two.blind.tally() == {"base": 1, "mine": 2, TIE: 1, BAD: 1}
    assert len(two.blind.rows()) == 3
    chosen = [row["chosen"][0]["content"] for row in two.blind.rows()]
    assert chosen[1:] == ["A better answer ", "A plain answer "]
    two.blind_panel.over.click()
    assert not two.blind.is_on


def test_that_the_order_of_a_blind_test_is_left_to_chance(two, instance, qtbot):
    two.blind_card.go.click()
    firsts = set()
    for number in range(24):
        two.blind.ask(f"Prompt {number}")
        firsts.add(two.blind.sides["left"].key)
    two.blind.end()
    assert firsts == {"base", "mine"}  # by chance alone wrong once in eight million times


def test_that_votes_outlive_the_page(two, replay, qtbot):
    two.blind_card.go.click()
    two.blind.ask("One")
    vote(two, qtbot, "mine")
    replay.window.go("runs")
    again = opened(replay, qtbot)
    assert [one.verdict for one in again.blind.votes] == ["mine"]


def test_that_a_blind_test_needs_two_that_differ(page, qtbot):
    assert not page.blind_card.go.isEnabled()
    assert page.blind_card.go.toolTip() == "Both columns answer with the same model."


def test_that_preferences_become_a_dataset_through_the_usual_import(two, replay, instance, qtbot):
    instance.answers = {"demo": "Plain", "mine": "Better"}
    send(two, qtbot, "One")
    two.views[1]._turns[0][2]._prefer.click()
    two.blind_card.go.click()
    two.blind.ask("Two")
    vote(two, qtbot, "base")
    assert two.blind_card.save.isEnabled()
    with qtbot.waitSignal(two.told):
        two.save_pairs("liked")
    jobs = [run.spec.job for run in replay.backend._runs.values() if isinstance(run.spec.job, ImportJob)]
    assert [(job.dataset, job.source.kind, job.format) for job in jobs] == [("liked", "upload", "preference")]
    rows = [json.loads(line) for line in lines_of(two.pairs()).decode().splitlines()]
    assert rows == [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
        }
        for prompt, chosen, rejected in (("One", "Better ", "Plain "), ("Two", "Plain ", "Better "))
    ]


def test_that_an_answer_is_copied(page, qtbot):
    send(page, qtbot, "One")
    page.views[0]._turns[0][2]._copy.click()
    assert QApplication.clipboard().text() == "demo heard: One "
