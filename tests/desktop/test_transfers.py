"""Downloads in the window: progress, cancelling, a name that is taken, trying again."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from engine.contract.errors import UserError
from forge_desktop.bridge.backend import Item
from tests.helpers.journals import before_training, demo_spec

pytestmark = pytest.mark.slow


@pytest.fixture
def uid(replay):
    """A run with something to fetch."""
    made = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(made, before_training())
    replay.backend.content = b"x" * 500_000
    return made


def start(replay, uid, folder, name="adapter"):
    return replay.window.actions_of_runs.transfers.start(uid, "Adapter", Item("artifact", 1), folder, name)


def click(replay, qtbot, name):
    panel = replay.window.findChild(QWidget, "transfers")

    def there():
        return [one for one in panel.findChildren(QPushButton, name) if one.isVisible()]

    qtbot.waitUntil(lambda: bool(there()))
    qtbot.mouseClick(there()[-1], Qt.MouseButton.LeftButton)


def texts(replay):
    return " ".join(made.text() for made in replay.window.findChild(QWidget, "transfers").findChildren(QLabel))


def test_that_progress_is_shown_and_the_panel_goes_when_closed(replay, qtbot, uid, tmp_path):
    panel = replay.window.findChild(QWidget, "transfers")
    assert not panel.isVisible()
    replay.backend.gate.clear()
    transfer = start(replay, uid, tmp_path)
    qtbot.waitUntil(lambda: "of 500.0 kB" in texts(replay))
    assert start(replay, uid, tmp_path) is transfer, "it is on its way already"
    replay.backend.gate.set()
    qtbot.waitUntil(lambda: transfer.state == "done")
    assert (tmp_path / "adapter").read_bytes() == replay.backend.content
    click(replay, qtbot, "transfer.close")
    assert not panel.isVisible()


def test_that_a_transfer_can_be_cancelled_and_continued(replay, qtbot, uid, tmp_path):
    replay.backend.gate.clear()
    transfer = start(replay, uid, tmp_path)
    qtbot.waitUntil(lambda: transfer.state == "running")
    click(replay, qtbot, "transfer.cancel")
    qtbot.waitUntil(lambda: transfer.state == "cancelled")
    assert not (tmp_path / "adapter").exists()
    replay.backend.gate.set()
    click(replay, qtbot, "transfer.again")
    qtbot.waitUntil(lambda: transfer.state == "done")


@pytest.mark.parametrize(("choice", "names"), [("replace", ["adapter"]), ("keep_both", ["adapter", "adapter (2)"])])
def test_that_a_name_that_is_taken_is_asked_about(replay, qtbot, uid, tmp_path, choice, names):
    folder = tmp_path / "into"
    folder.mkdir()
    (folder / "adapter").write_text("mine")
    transfer = start(replay, uid, folder)
    qtbot.waitUntil(lambda: transfer.state == "exists")
    assert "--force" not in texts(replay)
    assert (folder / "adapter").read_text() == "mine"
    click(replay, qtbot, f"transfer.{choice}")
    qtbot.waitUntil(lambda: transfer.state == "done")
    assert sorted(path.name for path in folder.iterdir()) == names


def test_that_a_transfer_that_fails_says_why_and_can_be_tried_again(replay, qtbot, uid, tmp_path, monkeypatch):
    real = replay.backend.download

    def broken(*_arguments):
        raise UserError("download.damaged", name="adapter", expected="a", found="b")

    monkeypatch.setattr(replay.backend, "download", broken)
    transfer = start(replay, uid, tmp_path)
    qtbot.waitUntil(lambda: "did not arrive as it was saved" in texts(replay))
    monkeypatch.setattr(replay.backend, "download", real)
    click(replay, qtbot, "transfer.again")
    qtbot.waitUntil(lambda: transfer.state == "done")


def test_that_transfers_keep_no_request_waiting_and_end_with_the_window(replay, qtbot, uid, tmp_path):
    replay.backend.gate.clear()
    for name in ("a", "b", "c"):
        start(replay, uid, tmp_path, name)
    answers = []
    replay.desktop.session.ask(lambda backend: backend.health(), answers.append)
    qtbot.waitUntil(lambda: len(answers) == 1)
