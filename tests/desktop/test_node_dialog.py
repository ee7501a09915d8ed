"""Adding and changing a node in its dialog: errors while typing, the doctor live, the host key, what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from engine.contract.errors import Problem, Refused
from engine.contract.nodes import NodeProfile
from forge_desktop.models.node_form import Form, texts_of
from forge_desktop.pages.nodes_page import NodesPage
from forge_desktop.panels.node_dialog import NodeDialog
from tests.desktop.conftest import ReplayDesktop


@pytest.fixture
def page(replay: ReplayDesktop, qtbot) -> NodesPage:
    """The page with the six pretended nodes."""
    replay.backend.use_fleet()
    replay.window.nodes.fetch()
    qtbot.waitUntil(lambda: len(replay.window.nodes.nodes) == 6)
    replay.window.go("nodes")
    made = replay.window.page
    assert isinstance(made, NodesPage)
    return made


@pytest.fixture
def dialog(page: NodesPage) -> NodeDialog:
    """The empty dialog of a new node."""
    QTest.mouseClick(page._add, Qt.MouseButton.LeftButton)
    return opened(page)


def opened(page: NodesPage) -> NodeDialog:
    """The dialog that is open."""
    return page.findChildren(NodeDialog)[-1]


def write(dialog: NodeDialog, field: str, text: str) -> None:
    """Type a text over what stands in a field."""
    control = dialog.fields[field].control
    control.selectAll()
    QTest.keyClick(control, Qt.Key.Key_Delete)
    QTest.keyClicks(control, text)


def press(dialog: NodeDialog, name: str) -> None:
    """Press a button by its name."""
    found = dialog.findChild(QPushButton, name)
    assert isinstance(found, QPushButton)
    QTest.mouseClick(found, Qt.MouseButton.LeftButton)


def test_a_new_node_is_tested_confirmed_and_kept(replay: ReplayDesktop, dialog: NodeDialog, qtbot) -> None:
    write(dialog, "name", "gpu-1")
    write(dialog, "address", "ada@gpu-1.lab")
    press(dialog, "node.try")
    qtbot.waitUntil(lambda: dialog.test.report is not None)
    assert dialog.test.view.state_of("authentication") == "bad"
    assert "gpu-1" not in replay.backend.fleet
    press(dialog, "node.host_key.yes")
    assert dialog.fields["host_key"].text().startswith("SHA256:")
    qtbot.waitUntil(lambda: dialog.test.report is not None)
    assert dialog.test.verdict() == "Usable, with 1 remark"
    press(dialog, "node.save")
    qtbot.waitUntil(lambda: "gpu-1" in replay.backend.fleet)
    kept = replay.backend.fleet["gpu-1"].profile
    assert (kept.kind, kept.address) == ("docker_ssh", "ada@gpu-1.lab")
    assert kept.host_key == "SHA256:4fXkQ1u0mWz7d9sV2bQyJt5cT8nLr6hPaE3oGiKxNvM"


def test_a_key_nobody_confirms_is_not_written_down(dialog: NodeDialog, qtbot) -> None:
    write(dialog, "name", "gpu-1")
    write(dialog, "address", "ada@gpu-1.lab")
    press(dialog, "node.try")
    qtbot.waitUntil(lambda: dialog.test.report is not None)
    press(dialog, "node.host_key.no")
    assert dialog.fields["host_key"].text() == ""
    dialog.reject()


def test_errors_stand_beside_the_field_that_was_touched_and_all_beside_save(dialog: NodeDialog) -> None:
    assert dialog.fields["name"].problem() == ""  # nobody has been there yet
    assert not dialog._save.isEnabled()
    assert dialog._save.toolTip() == "Mend what is wrong first; it stands at the left."
    write(dialog, "name", "gpu 1")
    assert "'gpu 1' is no name" in dialog.fields["name"].problem() or dialog.fields["name"].problem()
    assert dialog.fields["address"].problem() == ""
    assert len(dialog.problems_text().splitlines()) == 2
    press(dialog, "node.problems")
    assert dialog.fields["address"].problem()
    write(dialog, "name", "gpu-1")
    write(dialog, "address", "ada@gpu-1.lab")
    assert dialog.problems_text() == ""
    assert dialog._save.isEnabled()
    dialog.reject()


def test_a_problem_in_a_folded_field_unfolds_it(dialog: NodeDialog) -> None:
    write(dialog, "name", "gpu-1")
    write(dialog, "address", "ada@gpu-1.lab")
    press(dialog, "node.advanced")
    write(dialog, "price", "cheap")
    press(dialog, "node.advanced")
    assert not dialog._more.isVisibleTo(dialog)
    assert "Price of a GPU-hour" in dialog.problems_text()
    press(dialog, "node.problems")
    assert dialog._more.isVisibleTo(dialog)
    assert dialog.fields["price"].control.hasFocus()
    dialog.reject()


@pytest.mark.parametrize(
    ("kind", "shown", "hidden"),
    [
        ("docker_local", {"name", "address"}, {"key", "host_key", "ca"}),
        ("docker_ssh", {"name", "address", "key", "host_key", "docker_socket"}, {"ca", "certificate"}),
        ("docker_tls", {"name", "address", "ca", "certificate", "key"}, {"host_key", "docker_socket"}),
    ],
)
def test_each_kind_asks_for_what_it_needs(dialog: NodeDialog, kind: str, shown: set[str], hidden: set[str]) -> None:
    press(dialog, f"node.kind.{kind}")
    assert shown <= dialog.fields.keys()
    assert not hidden & dialog.fields.keys()
    dialog.reject()


def test_what_was_typed_stays_when_the_kind_changes(dialog: NodeDialog) -> None:
    write(dialog, "name", "gpu-1")
    write(dialog, "key", "keyring:lab")
    press(dialog, "node.kind.docker_tls")
    assert dialog.fields["name"].text() == "gpu-1"
    assert dialog.fields["key"].text() == "keyring:lab"
    press(dialog, "node.kind.docker_local")
    assert dialog.form().profile().key == ""  # this kind has none
    dialog.reject()


def test_a_node_is_edited_and_keeps_its_name(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    page.deeds.do("edit", "h200-a1")
    dialog = opened(page)
    assert not dialog.fields["name"].control.isEnabled()
    press(dialog, "node.advanced")
    write(dialog, "price", "4.5")
    write(dialog, "labels", "room=b, fast=yes")
    press(dialog, "node.save")
    qtbot.waitUntil(lambda: replay.backend.fleet["h200-a1"].profile.price == 4.5)
    assert replay.backend.fleet["h200-a1"].profile.labels == {"room": "b", "fast": "yes"}
    assert replay.backend.fleet["h200-a1"].profile.address == "h200-a1.lab:2376"


def test_a_duplicate_has_a_free_name_and_no_host_key(replay: ReplayDesktop, page: NodesPage) -> None:
    page.deeds.do("copy", "a100-d1")
    dialog = opened(page)
    assert dialog.fields["name"].text() == "a100-d1-2"
    assert dialog.fields["host_key"].text() == ""
    dialog.reject()


def test_this_computer_has_only_what_can_be_changed_of_it(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    page.deeds.do("edit", "local")
    dialog = opened(page)
    assert set(dialog.fields) == {"name", "price", "currency", "max_runs", "labels", "notes"}
    write(dialog, "max_runs", "3")
    press(dialog, "node.save")
    qtbot.waitUntil(lambda: replay.backend.fleet["local"].profile.max_runs == 3)


def test_what_only_the_controller_knows_is_shown_beside_its_field(
    replay: ReplayDesktop, dialog: NodeDialog, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Problem(code="node.file_missing", field="key", params={"node": "gpu-1", "setting": "key", "file": "/x"})

    def refuse(_profile: NodeProfile) -> None:
        raise Refused("nodes.refused", problems=[missing], count=1)

    monkeypatch.setattr(replay.backend, "add_node", refuse)
    write(dialog, "name", "gpu-1")
    write(dialog, "address", "ada@gpu-1.lab")
    write(dialog, "key", "/x")
    press(dialog, "node.save")
    qtbot.waitUntil(lambda: dialog.fields["key"].problem() != "")
    assert not dialog._save.isEnabled()
    write(dialog, "key", "/y")  # whatever it is now, the answer was about something else
    assert dialog._save.isEnabled()
    dialog.reject()


def test_a_name_that_is_taken_is_said_in_full(replay: ReplayDesktop, dialog: NodeDialog, qtbot) -> None:
    write(dialog, "name", "h200-a1")
    write(dialog, "address", "ada@gpu-1.lab")
    press(dialog, "node.save")
    qtbot.waitUntil(lambda: dialog._error.isVisibleTo(dialog))
    assert "h200-a1" in dialog._error.what.text()
    dialog.reject()


def test_the_keyboard_alone_adds_a_node(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    replay.window.commands.give("nodes.add")
    qtbot.waitUntil(lambda: replay.window.findChildren(NodeDialog) != [])
    dialog = replay.window.findChildren(NodeDialog)[-1]
    assert dialog.fields["name"].control.hasFocus()
    QTest.keyClicks(dialog.focusWidget(), "gpu-7")
    QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Tab)
    assert dialog.focusWidget() is dialog.fields["address"].control
    QTest.keyClicks(dialog.focusWidget(), "gpu-7")
    dialog._save.setFocus()
    QTest.keyClick(dialog._save, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: "gpu-7" in replay.backend.fleet)


def test_a_profile_goes_through_the_form_unchanged(tmp_path: Path) -> None:
    profile = NodeProfile.model_validate({
        "name": "gpu-1", "kind": "docker_ssh", "address": "ada@gpu-1:2222", "key": "keyring:lab",
        "host_key": "SHA256:4fXkQ1u0mWz7d9sV2bQyJt5cT8nLr6hPaE3oGiKxNvM", "price": 0.35, "currency": "EUR",
        "max_runs": 2, "labels": {"room": "b"}, "notes": "beside the window", "mounts": ["/data:/data"],
        "mirror_minutes": 0.0, "limits": {"cpus": 8.0, "memory_gb": 64.0, "shm_gb": 4.0, "pids": 2048},
    })  # fmt: skip
    assert Form(texts_of(profile), "docker_ssh").profile(profile) == profile
    plain = NodeProfile(name="gpu-2", kind="docker_local")
    assert Form(texts_of(plain), "docker_local").profile() == plain


def test_emptied_fields_mean_the_usual_again() -> None:
    profile = NodeProfile(name="gpu-1", kind="docker_local", price=2.0, max_runs=3, mirror_minutes=60, notes="x")
    texts = {**texts_of(profile), "price": "", "max_runs": "", "mirror_minutes": "", "notes": ""}
    found = Form(texts, "docker_local").profile(profile)
    assert (found.price, found.max_runs, found.mirror_minutes, found.notes) == (None, None, 10.0, "")


@pytest.mark.parametrize(
    ("field", "text"),
    [("price", "-1"), ("price", "1e999"), ("max_runs", "2.5"), ("currency", "dollar"), ("mounts", "nowhere"),
     ("limits.pids", "1"), ("host_key", "hello"), ("key", "relative/path"), ("labels", "=x")],
)  # fmt: skip
def test_a_value_that_cannot_be_is_named_with_its_field(field: str, text: str) -> None:
    form = Form({"name": "gpu-1", "address": "ada@gpu-1", field: text}, "docker_ssh")
    assert any(problem.field.partition(".")[0] == field.partition(".")[0] for problem in form.problems())
