"""Adapters in the playground: whom the router chose, and checkpoints that were walked through."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QPushButton

from engine.contract.serving import AdapterState
from forge_desktop.models.chat_export import as_markdown
from forge_desktop.models.chat_turns import ADAPTER, AUTO, Column, from_plain, to_plain
from forge_desktop.panels.chat_adapters import grouped
from tests.desktop.test_playground import instance, load, page, reached, send

__all__ = ["instance", "page", "reached"]

pytestmark = pytest.mark.slow


def account(page) -> str:
    return page.views[1]._turns[-1][2].account.text()


def test_that_a_column_of_the_router_tells_who_answered(page, instance, qtbot):
    page.model.set_answerer("2", Column("", AUTO))
    instance.fits = ["dates"]
    send(page, qtbot, "One")
    assert account(page) == "dates answered · 3 tokens · 48 tok/s · first token 142 ms"
    instance.fits = []
    send(page, qtbot, "Two")
    assert account(page).startswith("the base answered: no adapter fits · 3 tokens")
    assert "answered" not in page.views[0]._turns[-1][2].account.text()
    kept = from_plain(to_plain(page.model.chat))
    assert [turn.answers["2"].routed for turn in kept.turns] == ["dates", ""]
    text = as_markdown(kept, "demo")
    assert "### Chosen by the router: dates\n" in text
    assert "### Chosen by the router: demo\n" in text


def test_that_checkpoints_no_column_answers_with_are_one_line_and_go_at_once(page, qtbot):
    for step in (2, 10, 100):
        load(page, qtbot, f"mine@{step}")
    load(page, qtbot, "other@5")
    page.model.set_answerer("2", Column("", ADAPTER, "mine@10"))
    lines = page.adapters._list
    deeds = [lines.itemAt(n).widget().findChild(QPushButton) for n in range(lines.count())]
    assert [one.objectName() for one in deeds] == ["chat.unload.mine@", "chat.unload.mine@10", "chat.unload.other@5"]
    deeds[0].click()
    qtbot.waitUntil(lambda: [one.name for one in page.instance.adapters] == ["mine@10", "other@5"])


def test_that_checkpoints_stand_by_their_steps():
    held = [AdapterState(name=name) for name in ("a@10", "a@9", "b", "c@x", "d@100", "d@20", "d@3")]
    shown = [(run, [one.name for one in some]) for run, some in grouped(held, {"a@10", "a@9"})]
    assert shown == [("", ["a@9"]), ("", ["a@10"]), ("", ["b"]), ("", ["c@x"]), ("d", ["d@100", "d@20", "d@3"])]
