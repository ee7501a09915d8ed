"""The Serving pages: started, watched, given keys and adapters, stopped; and what is refused, at its field."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QMessageBox, QPushButton

from engine.contract.api import CheckResult
from engine.contract.errors import Problem, Refused, UserError
from engine.contract.run_spec import RunSpec
from engine.contract.serving import ServeJob
from engine.contract.states import EndReason, Phase, RunState
from forge_desktop.bridge import fake_adapters
from forge_desktop.bridge.backend_instance import Seen
from forge_desktop.models.serving_words import curl_text, python_text
from forge_desktop.pages.instance_page import InstancePage
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.serving_page import ServingPage
from forge_desktop.panels.key_dialogs import RotateDialog, ShowKeyDialog
from forge_desktop.panels.serve_dialog import ServeDialog
from forge_desktop.theme.controls import Chip, Choice
from tests.desktop.sheets_serving import BUSY, fill, job

pytestmark = pytest.mark.slow


def listed(replay, qtbot) -> tuple[ServingPage, dict[str, str]]:
    """The list over four instances."""
    made = fill(replay.backend)
    replay.window.go("serving")
    page = replay.window.page
    assert isinstance(page, ServingPage)
    qtbot.waitUntil(lambda: len(page.model.rows) == 4 and bool(page.model.seen))
    return page, made


def opened(replay, qtbot, uid: str) -> InstancePage:
    """The page of one."""
    replay.window.go(f"serving/{uid}")
    page = replay.window.page
    assert isinstance(page, InstancePage)
    qtbot.waitUntil(lambda: page.run.detail is not None)
    return page


def ready(replay, qtbot, **more: object) -> tuple[InstancePage, str]:
    """One that answers."""
    uid = replay.backend.add(RunSpec(name="desk", job=job(**more)), time.time())
    replay.backend.make_ready(uid, **BUSY)
    page = opened(replay, qtbot, uid)
    qtbot.waitUntil(lambda: page.model.seen.status is not None)
    return page, uid


def states(page: ServingPage) -> dict[str, str]:
    return {run.name: page.model.cell_text(run, "state") for run in page.model.rows}


def choose(made: Choice, key: str) -> None:
    """As a person does."""
    place = made.findData(key)
    made.setCurrentIndex(place)
    made.activated.emit(place)


def press(name: str) -> None:
    """A button of the question that is open."""
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    box.findChild(QPushButton, name).click()


def test_nothing_served_says_what_to_do(replay, qtbot):
    replay.window.go("serving")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.state() == "none")
    page._hints["none"].findChild(QPushButton, "hint.action").click()
    assert QApplication.activeModalWidget().objectName() == "serve"
    QApplication.activeModalWidget().reject()


def test_every_state_is_told_in_words(replay, qtbot):
    page, made = listed(replay, qtbot)
    assert states(page) == {
        "support-desk": "Ready", "french-test": "Starting · Loading", "sql-night": "Failed", "old-demo": "Stopped",
    }  # fmt: skip
    run = next(run for run in page.model.rows if run.name == "support-desk")
    cells = {key: page.model.cell_text(run, key) for key in ("address", "rate", "first", "tokens", "hits", "queue")}
    assert cells == {"address": "http://127.0.0.1:8431", "rate": "142/min", "first": "118 ms / 384 ms",
                     "tokens": "4,812", "hits": "82%", "queue": "12 + 3"}  # fmt: skip
    seen = replay.backend.seen[made["support-desk"]]
    again = seen.instance.model_copy(update={"ready": False, "restarts": 2})
    replay.backend.seen[made["support-desk"]] = Seen(again)
    page.model.look()
    qtbot.waitUntil(lambda: states(page)["support-desk"] == "Starting again, 2")
    failed = next(run for run in page.model.rows if run.name == "sql-night")
    assert "port 8000" in page.model.tip_of(failed, "state")


def test_what_a_deed_was_refused_for_stays_until_another(replay, qtbot, monkeypatch):
    page, _made = listed(replay, qtbot)
    error = UserError("serve.port_taken", host="127.0.0.1", port=8000)

    def refuse(_uid: str) -> None:
        raise error

    monkeypatch.setattr(replay.backend, "start", refuse)
    stopped = next(run for run in page.model.rows if run.name == "old-demo")
    page.deeds.do("start", stopped)
    qtbot.waitUntil(lambda: page._error.isVisibleTo(page))
    looks = replay.backend.looks
    page.model.look()
    qtbot.waitUntil(lambda: replay.backend.looks > looks and not page.model._looking)
    assert page._error.isVisibleTo(page)
    assert "port 8000" in page._error.what.text()


def test_it_looks_only_while_it_is_shown(replay, qtbot):
    page, _made = listed(replay, qtbot)
    looks = replay.backend.looks
    page.model._again.setInterval(10)
    qtbot.waitUntil(lambda: replay.backend.looks > looks + 2)
    page.hide()
    assert not page.model._again.isActive()
    page.show()
    assert page.model._again.isActive()


def test_an_instance_is_started_with_adapters_that_fit_and_its_key_is_shown_once(replay, qtbot):
    shelf = fake_adapters.fill(replay.backend, time.time())
    replay.window.go(f"serving/new/{shelf[1].id}")
    page = replay.window.page
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is not None)
    dialog = QApplication.activeModalWidget()
    qtbot.waitUntil(lambda: bool(dialog.boxes))
    fits = {one.name for one in shelf if one.id in dialog.boxes}
    assert fits == {"support-zh-v7", "sql-generator", "support-zh-v3", "french-style"}
    assert dialog.boxes[shelf[1].id].isChecked()
    dialog.boxes[shelf[0].id].click()
    dialog.lines["context"].control.setText("2048")
    dialog.go.click()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), ShowKeyDialog))
    shown = QApplication.activeModalWidget()
    shown.copy.click()
    assert QGuiApplication.clipboard().text().startswith("lf-")
    shown.accept()
    qtbot.waitUntil(lambda: len(page.model.rows) == 1)
    order = replay.backend._runs[page.model.rows[0].uid].spec.job
    assert isinstance(order, ServeJob)
    assert [one.name for one in order.adapters] == ["sql-generator", "support-zh-v7"]
    assert (order.context, order.model.path) == (2048, "Qwen/Qwen2.5-1.5B-Instruct")
    assert len(replay.backend.keys[page.model.rows[0].uid]) == 1


def test_who_computes_is_chosen_and_what_needs_a_package_says_so(replay, qtbot):
    replay.backend.absent = ["llama_cpp"]
    replay.window.go("serving")
    dialog = replay.window.page.serve_one()
    qtbot.waitUntil(lambda: "llama-cpp-python" in dialog.lines["backend"]._below.text())
    place = dialog.backend.findData("llama_cpp")
    assert not dialog.backend.model().item(place).isEnabled()
    assert "pip install llama-cpp-python" in dialog.backend.itemData(place, Qt.ItemDataRole.ToolTipRole)
    dialog.draft._got_missing(CheckResult())
    assert dialog.backend.model().item(place).isEnabled()
    assert "llama-cpp-python" not in dialog.lines["backend"]._below.text()
    dialog.int8.click()
    assert not dialog.processor.isEnabled()
    assert dialog.processor.isChecked()
    spec, problems = dialog.draft.order()
    assert not problems
    assert (spec.job.int8, spec.job.backend, spec.compute.gpus) == (True, "torch", 0)
    choose(dialog.backend, "llama_cpp")
    assert dialog.lines["llama_storage"].isVisibleTo(dialog)
    dialog.go.click()
    assert "llama_storage" in dialog.lines["int8"].problem()
    dialog.int8.click()
    assert not dialog.int8.isEnabled()
    choose(dialog.storage, "f16")
    spec, problems = dialog.draft.order()
    assert not problems
    assert (spec.job.backend, spec.job.llama_storage, spec.job.int8, spec.compute.gpus) == (
        "llama_cpp", "f16", False, 0,
    )  # fmt: skip
    choose(dialog.backend, "torch")
    assert not dialog.lines["llama_storage"].isVisibleTo(dialog)
    assert dialog.processor.isEnabled()
    assert not dialog.processor.isChecked()
    dialog.reject()


def test_another_model_lets_adapters_go(replay, qtbot):
    shelf = fake_adapters.fill(replay.backend, time.time())
    replay.window.go("serving")
    dialog = replay.window.page.serve_one(shelf[0].id)
    qtbot.waitUntil(lambda: dialog.draft.chosen == [shelf[0].id])
    dialog.draft.set_model(path="google/gemma-3-12b-it")
    assert dialog.draft.chosen == []
    assert [one.name for one in shelf if one.id in dialog.boxes] == ["med-qa"]
    dialog.reject()


def test_every_problem_stands_at_its_field_and_nothing_is_started(replay, qtbot):
    replay.window.go("serving")
    dialog = replay.window.page.serve_one()
    for name, text in (("port", "99999"), ("context", "many")):
        dialog.lines[name].control.setText(text)
    dialog.unlocked.setChecked(True)
    dialog.go.click()
    assert "65535" in dialog.lines["port"].problem()
    assert dialog.lines["context"].problem()
    dialog.lines["port"].control.setText("0")
    dialog.lines["context"].control.setText("512")
    dialog.lines["host"].control.setText("0.0.0.0")
    dialog.go.click()
    assert dialog.lines["open"].problem()
    assert not dialog.lines["port"].problem()
    dialog.unlocked.setChecked(False)
    problems = [Problem(code="config.path_missing", field="model.path", params={"value": "/none"})]
    replay.backend.serve_error = Refused("config.refused", count=1, problems=problems)
    dialog.go.click()
    qtbot.waitUntil(lambda: bool(dialog.lines["model"].problem()))
    assert "/none" in dialog.lines["model"].problem()
    assert not replay.backend._runs
    assert dialog.go.isEnabled()
    dialog.reject()


def test_another_like_it_begins_with_its_settings(replay, qtbot):
    shelf = fake_adapters.fill(replay.backend, time.time())
    adapters = [{"name": "own", "path": shelf[1].path}]
    page, _uid = ready(replay, qtbot, adapters=adapters, port=8000, context=2048, restart=False, int8=True)
    page.findChild(QPushButton, "serving.like").click()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), ServeDialog))
    dialog = QApplication.activeModalWidget()
    qtbot.waitUntil(lambda: dialog.draft.chosen == [shelf[1].id] and dialog.boxes[shelf[1].id].isChecked())
    assert (dialog.lines["port"].control.text(), dialog.lines["context"].control.text()) == ("8000", "2048")
    assert not dialog.restart.isChecked()
    assert dialog.int8.isChecked()
    dialog.lines["port"].control.setText("8001")
    spec, problems = dialog.draft.order()
    assert not problems
    assert (spec.name, spec.job.port, spec.job.context, spec.job.restart) == ("desk", 8001, 2048, False)
    dialog.reject()


def test_an_instance_shows_figures_address_and_requests_to_paste(replay, qtbot):
    page, _uid = ready(replay, qtbot)
    assert page.cards.cards["first"].value.text() == "118 ms"
    assert page.cards.cards["first"].below.accessibleName() == "p95 384 ms · p99 1.2 s"
    assert page.cards.cards["cache"].value.text() == "82%"
    page.findChild(QPushButton, "serving.copy.address").click()
    assert QGuiApplication.clipboard().text() == "http://127.0.0.1:8431/v1"
    assert page.how.snippet.text() == curl_text("http://127.0.0.1:8431", "Qwen2.5-1.5B-Instruct", False)
    assert "Bearer YOUR_KEY" in page.how.snippet.text()
    page.how.models.set_value("sql-generator")
    page.how.way.button("python").click()
    page.findChild(QPushButton, "serving.copy.snippet").click()
    assert QGuiApplication.clipboard().text() == python_text("http://127.0.0.1:8431", "sql-generator", False)
    compile(QGuiApplication.clipboard().text(), "snippet", "exec")


def test_alerts_are_told_in_words(replay, qtbot):
    page, uid = ready(replay, qtbot)
    assert page.alert.text() == ""
    replay.backend.seen[uid].status.alerts.append("serve.alert_cache")
    page.model.look()
    qtbot.waitUntil(lambda: page.alert.text() == "The cache is full.")
    replay.backend.seen[uid].status.alerts.clear()
    page.model.look()
    qtbot.waitUntil(lambda: page.alert.text() == "")


def test_adapters_come_and_go_without_a_restart(replay, qtbot):
    shelf = fake_adapters.fill(replay.backend, time.time())
    page, uid = ready(replay, qtbot)
    menu = QMenu(page)
    page.adapters.fill_menu(menu, shelf)
    texts = [action.text().partition(" ·")[0] for action in menu.actions()]
    assert texts == ["support-zh-v7", "sql-generator", "support-zh-v3", "french-style"]
    menu.actions()[3].trigger()
    qtbot.waitUntil(lambda: "french-style" in {one.name for one in page.model.seen.status.adapters})
    qtbot.waitUntil(lambda: len(page.adapters.findChildren(QPushButton, "serving.unload")) == 3)
    chosen = [made for made in page.adapters.findChildren(Chip) if made.text() == "auto"]
    assert len(chosen) == 2, "the router knows nothing of the third"
    first = page.adapters.findChildren(QPushButton, "serving.unload")[0]
    replay.backend.seen[uid].status.adapters[0].requests = 1_234
    page.model.look()
    qtbot.waitUntil(lambda: "1,234" in {made.text() for made in page.adapters.findChildren(QLabel)})
    assert page.adapters.findChildren(QPushButton, "serving.unload")[0] is first, "a figure changes nothing else"
    page.model.load("french-style", shelf[5].path)  # the name is taken
    qtbot.waitUntil(lambda: page._error.isVisibleTo(page))
    page.model.unload("sql-generator")
    qtbot.waitUntil(lambda: "sql-generator" not in {one.name for one in replay.backend.seen[uid].status.adapters})


def test_keys_are_made_rotated_and_revoked(replay, qtbot):
    page, uid = ready(replay, qtbot)
    dialog = page.keys.make_one()
    dialog.fields["tenant"].setText("no spaces allowed")
    dialog.fields["days"].setText("-3")
    dialog.go.click()
    assert dialog.lines["tenant"].problem()
    assert dialog.lines["days"].problem()
    dialog.fields["tenant"].setText("shop")
    dialog.fields["days"].setText("30")
    dialog.fields["name"].setText("website")
    dialog.scopes["metrics"].setChecked(True)
    dialog.go.click()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), ShowKeyDialog))
    first = QApplication.activeModalWidget().key.text()
    QApplication.activeModalWidget().accept()
    qtbot.waitUntil(lambda: len(page.model.keys) == 1)
    (key,) = page.model.keys
    assert (key.name, key.tenant, key.scopes) == ("website", "shop", ("inference", "embeddings", "metrics"))
    page.keys.rotate(key)
    page.keys.findChild(RotateDialog).findChild(QPushButton, "key.rotate.go").click()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), ShowKeyDialog))
    assert QApplication.activeModalWidget().key.text() != first
    QApplication.activeModalWidget().accept()
    qtbot.waitUntil(lambda: len(page.model.keys) == 2)
    page.keys.revoke(key)
    press("serving.revoke.yes")
    qtbot.waitUntil(lambda: key.id not in {one.id for one in replay.backend.keys[uid]})


def test_it_is_stopped_started_again_and_deleted(replay, qtbot):
    page, uid = ready(replay, qtbot)
    page.findChild(QPushButton, "serving.stop").click()
    press("serving.stop.yes")
    qtbot.waitUntil(lambda: replay.backend.run(uid).run.state is RunState.STOPPED)
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "serving.start") is not None)
    page.findChild(QPushButton, "serving.start").click()
    qtbot.waitUntil(lambda: replay.backend.run(uid).run.state is RunState.QUEUED)
    replay.backend.move(uid, state=RunState.FAILED, reason=EndReason.WORKER_ERROR,
                        error=UserError("serve.port_taken", host="127.0.0.1", port=80).body())  # fmt: skip
    qtbot.waitUntil(lambda: page._ended.isVisibleTo(page))
    assert "port 80" in page._ended.what.text()
    page.deeds.do("delete", page.run.detail.run)
    press("serving.delete.yes")
    qtbot.waitUntil(lambda: replay.window.address == "serving")


def test_the_page_of_its_run_has_no_curves_and_leads_to_serving(replay, qtbot):
    uid = replay.backend.add(RunSpec(name="desk", job=job()), time.time())
    replay.backend.move(uid, state=RunState.PREPARING, phase=Phase.LOADING)
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: page.is_built)
    assert not page._charts.isVisibleTo(page)
    assert page._tab_buttons["checkpoints"].isHidden()
    names = {one.objectName() for one in page.findChildren(QPushButton) if one.isVisibleTo(page)}
    assert {"run.serving", "run.stop"} <= names
    assert not {"run.pause", "run.ask"} & names
    page.findChild(QPushButton, "run.serving").click()
    qtbot.waitUntil(lambda: replay.window.address == f"serving/{uid}")
