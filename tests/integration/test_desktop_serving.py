"""The Adapters and Serving pages of the real window over a real controller with real workers; `forge adapter` too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QPushButton

from engine.contract.lora_tools import WriteAdapter
from engine.contract.run_spec import RunSpec
from forge_desktop.app import Desktop
from forge_desktop.pages.adapters_page import AdaptersPage
from forge_desktop.pages.instance_page import InstancePage
from forge_desktop.pages.serving_page import ServingPage
from forge_desktop.panels.key_dialogs import NewKeyDialog, ShowKeyDialog
from forge_desktop.panels.serve_dialog import ServeDialog
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker
from tests.helpers.windows import windows

pytestmark = [needs_worker, pytest.mark.slow]
LONG = {"timeout": 180_000}
DEMO = {"path": "demo", "hub": "bundled"}


@pytest.fixture
def desktop(qapp, real: ControllerProcess, monkeypatch, qtbot) -> Iterator[Desktop]:
    """A window over the controller."""
    with windows(qapp, real, monkeypatch) as make:
        made = make()
        qtbot.waitUntil(lambda: made.session.is_online, **LONG)
        yield made


def train(real: ControllerProcess, name: str = "teaches") -> str:
    """A run of the bundled model that makes an adapter, begun."""
    order = {"kind": "train", "model": DEMO, "data": {"train": [{**DEMO, "limit": 16}], "max_length": 128},
             "training": {"max_steps": 2, "micro_batch_size": 4, "learning_rate": 0.02, "threads": 1},
             "tuner": {"rank": 4}}  # fmt: skip
    return real.client.create(RunSpec.model_validate({"name": name, "job": order})).uid


def top(qtbot, kind: type) -> object:
    """The dialog that is open, once it is."""
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), kind), **LONG)
    return QApplication.activeModalWidget()


def answer(address: str, key: str, model: str) -> int:
    """The status of a request from elsewhere."""
    body = {"model": model, "messages": [{"role": "user", "content": "3 May 2021"}], "max_tokens": 4}
    header = {"authorization": f"Bearer {key}"}
    return httpx.post(
        f"{address}/v1/chat/completions", json=body, headers=header, timeout=60, trust_env=False
    ).status_code


def test_that_a_runs_adapter_appears_is_served_from_the_dialog_and_gets_keys(desktop, real, qtbot, tmp_path):
    desktop.window.go("adapters")
    page = desktop.window.page
    assert isinstance(page, AdaptersPage)
    qtbot.waitUntil(lambda: page.state() == "none", **LONG)
    uid = train(real)
    qtbot.waitUntil(lambda: bool(page.model.rows), **LONG)  # by itself, when the run ends
    (one,) = page.model.rows
    assert (one.run, one.name, one.card.rank, one.missing) == (uid, "teaches", 4, False)

    for target in (tmp_path / "copy.lora.arrow", tmp_path / "folder"):
        page.jobs.export(one, target)
    transfers = desktop.window.actions_of_runs.transfers
    qtbot.waitUntil(lambda: [t.state for t in transfers.list] == ["done", "done"], **LONG)
    assert (tmp_path / "copy.lora.arrow").read_bytes() == Path(one.path).read_bytes()
    assert (tmp_path / "folder" / "adapter_config.json").is_file()

    torn = tmp_path / "torn.lora.arrow"
    torn.write_bytes(Path(one.path).read_bytes()[:-100])
    dialog = page.import_all([str(torn)])
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.error.isVisibleTo(dialog), **LONG)
    assert "cannot be read" in dialog.error.what.text()
    dialog.path.setText(str(tmp_path / "folder"))
    dialog.name.setText("brought")
    dialog.go.click()
    qtbot.waitUntil(lambda: {made.name for made in page.model.all} == {"teaches", "brought"}, **LONG)

    page.jobs.shrink(WriteAdapter(path=one.path, to="", storage="int8", name="small"))
    qtbot.waitUntil(lambda: "small" in {made.name for made in page.model.all}, **LONG)
    small = next(made for made in page.model.all if made.name == "small")
    assert (small.card.dtype, small.card.storage_error > 0) == ("int8", True)
    assert small.bytes < one.bytes / 2

    page.do("serve", one)
    serve = top(qtbot, ServeDialog)
    qtbot.waitUntil(lambda: serve.draft.chosen == [one.id] and one.id in serve.boxes, **LONG)
    serve.lines["context"].control.setText("256")
    other = serve.backend.model().item(serve.backend.findData("llama_cpp"))
    has_llama = any(Path(real.worker_python).parents[1].glob("lib*/python*/site-packages/llama_cpp"))
    qtbot.waitUntil(lambda: other.isEnabled() == has_llama, **LONG)
    serve.int8.click()
    serve.go.click()
    shown = top(qtbot, ShowKeyDialog)
    shown.copy.click()
    key = QGuiApplication.clipboard().text()
    shown.accept()
    listed = desktop.window.page
    assert isinstance(listed, ServingPage)
    qtbot.waitUntil(lambda: [listed.model.cell_text(run, "state") for run in listed.model.rows] == ["Ready"], **LONG)

    desktop.window.go(f"serving/{listed.model.rows[0].uid}")
    instance = desktop.window.page
    assert isinstance(instance, InstancePage)
    qtbot.waitUntil(lambda: instance.model.seen.status is not None and bool(instance.model.keys), **LONG)
    address = instance.model.seen.instance.address
    assert answer(address, key, "teaches") == 200
    assert answer(address, "lf-nobody", "teaches") == 401
    before = instance.model.seen.status.requests
    qtbot.waitUntil(lambda: instance.model.seen.status.requests > before, **LONG)

    new: NewKeyDialog = instance.keys.make_one()
    new.fields["name"].setText("website")
    new.go.click()
    second = top(qtbot, ShowKeyDialog)
    assert second.key.text() != key
    made = second.key.text()
    second.accept()
    qtbot.waitUntil(lambda: {one.name for one in instance.model.keys} == {"First key", "website"}, **LONG)
    qtbot.waitUntil(lambda: answer(address, made, "teaches") == 200, **LONG)

    brought = next(other for other in real.client.adapters().adapters if other.name == "brought")
    instance.model.load("brought", brought.path)
    qtbot.waitUntil(lambda: "brought" in {one.name for one in instance.model.seen.status.adapters}, **LONG)
    assert answer(address, key, "brought") == 200
    instance.findChild(QPushButton, "serving.stop").click()
    QApplication.activeModalWidget().findChild(QPushButton, "serving.stop.yes").click()
    qtbot.waitUntil(lambda: instance.run.detail.run.state == "stopped", **LONG)


def test_that_adapters_are_listed_imported_and_removed_from_the_command_line(real, tmp_path):
    uid = train(real)
    assert real.until(uid, "completed", "failed", timeout=300).run.state == "completed"
    (one,) = real.client.adapters().adapters
    done = real.forge("adapter", "import", one.folder, "--name", "brought", "--description", "about dates", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["card"]["description"] == "about dates"
    listed = json.loads(real.forge("adapter", "list", "--json").stdout)["adapters"]
    assert {found["name"] for found in listed} == {"teaches", "brought"}
    found = json.loads(real.forge("adapter", "list", "--search", "about dates", "--json").stdout)["adapters"]
    assert [entry["name"] for entry in found] == ["brought"]
    assert "teaches" in real.forge("adapter", "list").stdout
    torn = tmp_path / "torn.lora.arrow"
    torn.write_bytes(b"ARROW1\0\0")
    refused = real.forge("adapter", "import", str(torn))
    assert refused.returncode != 0
    assert "torn.lora.arrow" in refused.stderr
    of_run = real.forge("adapter", "remove", "teaches")
    assert of_run.returncode == 5
    assert "run" in of_run.stderr
    assert real.forge("adapter", "remove", "nothing-of-it").returncode == 3
    assert real.forge("adapter", "remove", "brought").returncode == 0
    assert [entry.name for entry in real.client.adapters().adapters] == ["teaches"]
