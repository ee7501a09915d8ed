"""The Settings page over a replayed controller."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from engine.contract.environments import Environment, Progress
from engine.contract.errors import UserError
from forge_desktop.models.settings_entries import BY_KEY, ENTRIES, SECTIONS
from forge_desktop.pages.settings_page import SettingsPage
from forge_desktop.panels.settings_data import DataPanel
from forge_desktop.panels.settings_field import SettingLine
from forge_desktop.panels.settings_help import BundleDialog
from forge_desktop.theme.controls import Chip

pytestmark = pytest.mark.slow


@pytest.fixture
def page(replay, qtbot):
    """The page with the controller's settings."""
    return open_page(replay, qtbot, "settings/runs")


def open_page(replay, qtbot, address) -> SettingsPage:
    replay.window.go(address)
    found = replay.window.page
    assert isinstance(found, SettingsPage)
    qtbot.waitUntil(lambda: found.model.stored is not None)
    return found


def field(page, key) -> QLineEdit:
    return page.findChild(QLineEdit, f"setting.{key}")


def type_into(qtbot, line, text):
    line.selectAll()
    qtbot.keyClick(line, Qt.Key.Key_Delete)
    qtbot.keyClicks(line, text)


def words(widget) -> str:
    return " ".join(made.text() for made in widget.findChildren(QLabel) if not made.isHidden())


def click(qtbot, parent, name):
    def there():
        return next((one for one in parent.findChildren(QPushButton, name) if one.isVisible()), None)

    qtbot.waitUntil(lambda: there() is not None and there().isEnabled())
    qtbot.mouseClick(there(), Qt.MouseButton.LeftButton)


def test_that_the_shortcut_opens_it_and_the_section_is_remembered(make_desktop, qtbot):
    first = make_desktop()
    qtbot.waitUntil(first.window.isActiveWindow)
    qtbot.keyClick(first.window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: isinstance(first.window.page, SettingsPage))
    click(qtbot, first.window.page, "settings.to.network")
    assert first.window.address == "settings/network"
    first.desktop.close()
    second = make_desktop()
    assert second.window.page.section == "network"


@pytest.mark.parametrize("section", [section.key for section in SECTIONS])
def test_that_every_setting_has_its_control_name_and_sentence(replay, qtbot, section):
    page = open_page(replay, qtbot, f"settings/{section}")
    for entry in ENTRIES:
        if entry.section == section:
            control = page.findChild(QWidget, f"setting.{entry.key}")
            assert control.accessibleName(), entry.key
            assert control.accessibleDescription(), entry.key
    buttons = [made for made in page.findChildren(QPushButton) if made.isVisible()]
    assert all(made.accessibleName() for made in buttons)


def test_that_a_change_is_saved_by_the_controller_and_said(replay, qtbot, page):
    assert page.findChild(QWidget, "settings.bar").isHidden()
    type_into(qtbot, field(page, "keep_days"), "14")
    assert page.findChild(QWidget, "settings.bar").isVisible()
    assert "7" in words(page.findChild(QWidget, "settings.line.keep_days"))
    click(qtbot, page, "settings.save")
    qtbot.waitUntil(lambda: replay.backend.kept.keep_days == 14.0)
    qtbot.waitUntil(lambda: page.findChild(QWidget, "settings.bar").isHidden())
    line = page.findChild(QWidget, "settings.line.keep_days")
    assert not line.findChild(Chip).isHidden()
    click(qtbot, line, "reset.keep_days")
    assert field(page, "keep_days").text() == "7"


def test_that_an_empty_field_means_what_it_says(replay, qtbot, page):
    type_into(qtbot, field(page, "keep_days"), "")
    click(qtbot, page, "settings.save")
    qtbot.waitUntil(lambda: replay.backend.kept.keep_days is None)
    page = open_page(replay, qtbot, "settings/queue")
    type_into(qtbot, field(page, "slots.gpu"), "3")
    click(qtbot, page, "settings.save")
    qtbot.waitUntil(lambda: replay.backend.kept.slots == {"gpu": 3})
    type_into(qtbot, field(page, "slots.gpu"), "")
    click(qtbot, page, "settings.save")
    qtbot.waitUntil(lambda: replay.backend.kept.slots is None)


@pytest.mark.parametrize(
    ("section", "key", "typed"),
    [
        ("runs", "retry_seconds", "soon"),
        ("runs", "idle_minutes", "-1"),
        ("runs", "idle_minutes", ""),
        ("runs", "keep_days", "nan"),
        ("queue", "slots.gpu", "65"),
        ("queue", "slots.cpu", "1.5"),
        ("queue", "prices.gpu", "-2"),
        ("queue", "currency", "euro"),
        ("network", "proxy", "proxy:3128"),
        ("network", "proxy", "http://ada:secret@proxy:3128"),
        ("network", "no_proxy", "a b"),
        ("tokens", "endpoints.huggingface", "hub"),
        ("advanced", "spare_workers", "9"),
        ("notifications", "notices.quiet_from", "25:00"),
    ],
)
def test_that_what_is_wrong_is_said_beside_the_field_as_it_is_typed(replay, qtbot, section, key, typed):
    page = open_page(replay, qtbot, f"settings/{section}")
    type_into(qtbot, field(page, key), typed)
    assert field(page, key).property("tone") == "bad"
    assert page.model.problem(key) is not None
    if BY_KEY[key].keeper == "controller":
        assert not page.findChild(QPushButton, "settings.save").isEnabled()
        page.model.save()
    assert replay.backend.kept == type(replay.backend.kept)()


def test_that_every_problem_is_listed_and_a_refusal_is_whole(replay, qtbot, page):
    type_into(qtbot, field(page, "retry_seconds"), "soon")
    type_into(qtbot, field(page, "idle_minutes"), "-1")
    listed = page.findChild(QLabel, "settings.bar.problems").text()
    assert listed.count("\n") == 1
    type_into(qtbot, field(page, "retry_seconds"), "5")
    assert "\n" not in page.findChild(QLabel, "settings.bar.problems").text()
    click(qtbot, page, "settings.discard")
    assert field(page, "idle_minutes").text() == "10"


def test_that_what_was_typed_outlives_another_section_and_another_page(replay, qtbot, page):
    type_into(qtbot, field(page, "keep_days"), "30")
    click(qtbot, page, "settings.to.network")
    replay.window.go("runs")
    page = open_page(replay, qtbot, "settings/runs")
    assert field(page, "keep_days").text() == "30"
    assert replay.backend.kept.keep_days == 7.0


def test_that_a_setting_changed_elsewhere_shows_up(replay, qtbot, page):
    type_into(qtbot, field(page, "idle_minutes"), "20")
    replay.backend.change_settings({"retry_seconds": 33, "idle_minutes": 5})
    qtbot.waitUntil(lambda: field(page, "retry_seconds").text() == "33")
    assert field(page, "idle_minutes").text() == "20"
    assert "5" in words(page.findChild(QWidget, "settings.line.idle_minutes"))


def test_that_preferences_hold_at_once(replay, qtbot):
    page = open_page(replay, qtbot, "settings/notifications")
    box = page.findChild(QCheckBox, "setting.notices.sound")
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Space)
    type_into(qtbot, field(page, "notices.quiet_from"), "22:00")
    get = replay.desktop.preferences.get
    assert (get("notices.sound"), get("notices.quiet_from")) == (True, "22:00")
    assert page.findChild(QWidget, "settings.bar").isHidden()


def test_that_theme_and_language_change_from_here(replay, qtbot):
    open_page(replay, qtbot, "settings/language")
    click(qtbot, replay.window.page, "setting.language.zh_CN")
    qtbot.waitUntil(lambda: not replay.desktop.is_changing_look and "语言" in words(replay.window.page))
    assert replay.window.address == "settings/language"
    replay.window.page.model.set("language", "en")
    qtbot.waitUntil(lambda: not replay.desktop.is_changing_look and "Language" in words(replay.window.page))


def test_that_settings_are_found_by_their_words(replay, qtbot, page):
    qtbot.keyClicks(page.search, "proxy host")

    def shown():
        return {line.entry.key for line in page.findChildren(SettingLine) if line.isVisible()}

    qtbot.waitUntil(lambda: shown() == {"proxy", "no_proxy"})
    page.search.setText("xyzzy")
    assert "No setting matches" in words(page)
    page.search.clear()
    qtbot.waitUntil(lambda: bool(shown()) and all(BY_KEY[key].section == "runs" for key in shown()))


def test_that_a_narrow_window_has_the_sections_on_top(replay, qtbot, page):
    replay.window.resize(1024, 700)
    choice = page.findChild(QComboBox, "settings.section")
    qtbot.waitUntil(choice.isVisible)
    assert not page.findChild(QPushButton, "settings.to.network").isVisible()


def test_that_without_a_controller_its_settings_wait_and_ours_do_not(replay, qtbot, page):
    replay.desktop.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    assert not field(page, "keep_days").isEnabled()
    assert field(page, "keep_days").toolTip()
    click(qtbot, page, "settings.to.appearance")
    assert page.findChild(QWidget, "setting.reduced_motion").isEnabled()
    replay.desktop.session.online.emit()
    click(qtbot, page, "settings.to.runs")
    qtbot.waitUntil(lambda: field(page, "keep_days").isEnabled())


def test_that_a_token_is_kept_checked_deleted_and_never_shown(replay, qtbot):
    page = open_page(replay, qtbot, "settings/tokens")
    line = page.findChild(QLineEdit, "secret.huggingface")
    qtbot.waitUntil(line.isEnabled)
    assert line.echoMode() is QLineEdit.EchoMode.Password
    qtbot.keyClicks(line, "hf_wrong")
    click(qtbot, page, "secret.huggingface.set")
    qtbot.waitUntil(lambda: replay.backend.known_secrets == {"huggingface": "hf_wrong"})
    assert line.text() == ""
    click(qtbot, page, "secret.huggingface.check")
    said = page.findChild(QLabel, "secret.huggingface.said")
    qtbot.waitUntil(lambda: said.property("tone") == "bad")
    qtbot.keyClicks(line, "hf_good")
    click(qtbot, page, "secret.huggingface.set")
    click(qtbot, page, "secret.huggingface.check")
    qtbot.waitUntil(lambda: "ada" in said.text())
    assert "hf_good" not in words(page)
    click(qtbot, page, "secret.huggingface.delete")
    click(qtbot, replay.window, "secret.yes")
    qtbot.waitUntil(lambda: not replay.backend.known_secrets)


def test_that_an_environment_is_made_with_progress_cancelled_and_used(replay, qtbot):
    page = open_page(replay, qtbot, "settings/workers")
    click(qtbot, page, "environment.make")
    qtbot.waitUntil(lambda: [one.state for one in replay.backend.interpreters] == ["making"])
    one = replay.backend.interpreters[0]
    one.progress = Progress(step="downloading", done=3, total=10, bytes=250_000_000, bytes_total=450_000_000)
    qtbot.waitUntil(lambda: (step := page.findChild(QLabel, "environment.default.step")) is not None
                    and "3 of 10" in step.text() and "250.0 MB of 450.0 MB" in step.text())  # fmt: skip
    click(qtbot, page, "environment.default.cancel")
    qtbot.waitUntil(lambda: replay.backend.interpreters[0].state == "cancelled")
    click(qtbot, page, "environment.default.again")
    qtbot.waitUntil(lambda: replay.backend.interpreters[0].state == "making")
    replay.backend.interpreters[0].state = "works"
    click(qtbot, page, "environment.default.use")
    qtbot.waitUntil(lambda: replay.backend.kept.worker_python == one.python)
    click(qtbot, page, "environment.default.delete")
    click(qtbot, replay.window, "environment.yes")
    qtbot.waitUntil(lambda: not replay.backend.interpreters)


def test_that_a_broken_environment_cannot_be_used_and_says_why(replay, qtbot):
    error = UserError("environment.incomplete", python="/x", missing="peft").body()
    replay.backend.interpreters = [Environment(name="e", python="/x", origin="setting", state="broken", error=error)]
    page = open_page(replay, qtbot, "settings/workers")
    qtbot.waitUntil(lambda: "lacks peft" in words(page))
    use = page.findChild(QPushButton, "environment.e.use")
    assert not use.isEnabled()
    assert use.toolTip()


def test_that_a_bad_name_is_said(replay, qtbot):
    page = open_page(replay, qtbot, "settings/workers")
    page.findChild(QLineEdit, "environment.name").setText("../x")
    click(qtbot, page, "environment.make")
    qtbot.waitUntil(lambda: "cannot name an environment" in words(page))


def test_that_the_data_is_moved_and_the_old_folder_deleted_after(replay, qtbot, tmp_path):
    page = open_page(replay, qtbot, "settings/data")
    panel = page.findChild(DataPanel)
    qtbot.waitUntil(lambda: "3.0 GB" in words(panel))
    replay.backend.move_gate.clear()
    panel.ask_to_move(tmp_path / "new")
    click(qtbot, replay.window, "data.yes")
    qtbot.waitUntil(lambda: "Copying" in words(panel))
    click(qtbot, page, "data.cancel")
    qtbot.waitUntil(lambda: not panel.model.moving)
    assert replay.backend.left_home is None
    replay.backend.move_gate.set()
    panel.ask_to_move(tmp_path / "new")
    click(qtbot, replay.window, "data.yes")
    qtbot.waitUntil(lambda: panel.model.known.home == str(tmp_path / "new"))
    replay.desktop.preferences.set("scale", "125")
    kept = tmp_path / "new" / "desktop" / "preferences.json"
    qtbot.waitUntil(lambda: kept.is_file() and '"125"' in kept.read_text())
    click(qtbot, page, "data.old.delete")
    click(qtbot, replay.window, "data.old.yes")
    qtbot.waitUntil(lambda: replay.backend.left_home is None)
    qtbot.waitUntil(lambda: page.findChild(QWidget, "data.old").isHidden())


def test_that_runs_at_work_are_paused_only_when_agreed(replay, qtbot, tmp_path):
    page = open_page(replay, qtbot, "settings/data")
    panel = page.findChild(DataPanel)
    replay.backend.move_error = UserError("home.runs_live", number=2)
    panel.ask_to_move(tmp_path / "new")
    click(qtbot, replay.window, "data.yes")
    click(qtbot, page, "data.agree")
    qtbot.waitUntil(lambda: [wish.pause_runs for wish in replay.backend.moves] == [True])


def test_that_a_home_named_by_a_variable_is_not_moved(replay, qtbot):
    replay.backend.fixed_home = "FORGE_HOME"
    page = open_page(replay, qtbot, "settings/data")
    move = page.findChild(QPushButton, "data.move")
    qtbot.waitUntil(lambda: "FORGE_HOME" in move.toolTip())
    assert not move.isEnabled()


def test_that_diagnostics_are_shown_before_they_are_saved(replay, qtbot, tmp_path):
    page = open_page(replay, qtbot, "settings/help")
    click(qtbot, page, "help.gather")
    qtbot.waitUntil(lambda: bool(replay.window.findChildren(BundleDialog)))
    dialog = replay.window.findChild(BundleDialog)
    assert '"python"' in dialog.findChild(QWidget, "bundle.text").toPlainText()
    file = tmp_path / "out.zip"
    dialog.save_to(file)
    qtbot.waitUntil(file.exists)
    assert "settings.json" in zipfile.ZipFile(file).namelist()
    qtbot.waitUntil(lambda: not dialog.isVisible())


def test_that_a_bundle_that_cannot_be_written_says_so(replay, qtbot):
    page = open_page(replay, qtbot, "settings/help")
    click(qtbot, page, "help.gather")
    qtbot.waitUntil(lambda: bool(replay.window.findChildren(BundleDialog)))
    dialog = replay.window.findChild(BundleDialog)
    dialog.save_to(Path("/proc/no/such/place.zip"))
    qtbot.waitUntil(lambda: "could not be written" in words(dialog))
    dialog.close()


def test_that_what_is_typed_while_it_saves_is_kept(replay, qtbot, page):
    page.model.set("keep_days", "14")
    page.model.save()
    page.model.set("keep_days", "15")
    page.model.set("idle_minutes", "3")
    page.model.set("retry_seconds", "10")
    qtbot.waitUntil(lambda: not page.model.saving)
    assert replay.backend.kept.keep_days == 14.0
    assert page.model.edits == {"keep_days": "15", "idle_minutes": "3"}


def test_that_a_second_place_is_named_checked_and_its_trouble_said(replay, qtbot):
    page = open_page(replay, qtbot, "settings/artifacts")
    said, tried = page.findChild(QLabel, "artifacts.said"), page.findChild(QLabel, "artifacts.tried")
    check = page.findChild(QPushButton, "artifacts.check")
    qtbot.waitUntil(lambda: "this computer only" in said.text())
    assert check.toolTip() == "Name a place first, and save it."
    type_into(qtbot, field(page, "artifact_place"), "s3://Lab")
    assert not page.findChild(QPushButton, "settings.save").isEnabled()
    type_into(qtbot, field(page, "artifact_place"), "s3://lab/team")
    assert check.toolTip() == "Save the changes first."
    click(qtbot, page, "settings.save")
    qtbot.waitUntil(lambda: replay.backend.kept.artifact_place == "s3://lab/team")
    qtbot.waitUntil(lambda: said.text() == "Everything lies at s3://lab/team too.")
    click(qtbot, page, "artifacts.check")
    qtbot.waitUntil(lambda: replay.backend.place_checks == 1 and tried.text().startswith("It can be used"))
    replay.backend.place_error = UserError("artifacts.refused", place="s3://lab/team", detail="Access denied.")
    replay.backend.place_waiting = 2
    click(qtbot, page, "artifacts.check")
    qtbot.waitUntil(lambda: tried.property("tone") == "bad")
    assert "Access denied." in words(page)
    assert said.text().startswith("2 runs wait.")
    replay.desktop.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    assert not check.isEnabled()


def test_that_the_keys_of_a_bucket_are_kept_and_forgotten(replay, qtbot):
    page = open_page(replay, qtbot, "settings/artifacts")
    line = page.findChild(QLineEdit, "secret.artifacts")
    qtbot.waitUntil(line.isEnabled)
    qtbot.keyClicks(line, "key:secret")
    click(qtbot, page, "secret.artifacts.set")
    qtbot.waitUntil(lambda: replay.backend.known_secrets == {"artifacts": "key:secret"})
    delete = page.findChild(QPushButton, "secret.artifacts.delete")
    qtbot.waitUntil(delete.isVisible)
    assert not page.findChild(QPushButton, "secret.artifacts.check").isVisible()
    click(qtbot, page, "secret.artifacts.delete")
    click(qtbot, replay.window, "secret.yes")
    qtbot.waitUntil(lambda: not replay.backend.known_secrets and not delete.isVisible())
