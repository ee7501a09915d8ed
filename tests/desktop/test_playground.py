"""The playground over a small real server: answers as they come, stopping, editing, who answers, what goes wrong."""

from __future__ import annotations

import pytest

from forge_desktop.pages.playground_page import PlaygroundPage
from tests.helpers.chat_instance import ChatInstance

pytestmark = pytest.mark.slow


@pytest.fixture
def instance():
    with ChatInstance() as made:
        yield made


@pytest.fixture
def page(replay, instance, qtbot):
    """The page with the demo model loaded."""
    with instance.client() as client:
        replay.backend.instance_client = client
        yield opened(replay, qtbot)


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
