"""The playground over a real controller and a real worker: the demo model, a trained adapter, a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from engine.contract.datasets import DatasetView
from engine.contract.run_spec import RunSpec
from forge_desktop.models.chat_turns import AUTO, RUN, Column
from forge_desktop.pages.playground_page import PlaygroundPage
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker
from tests.helpers.windows import windows

pytestmark = [needs_worker, pytest.mark.slow, pytest.mark.timeout(600)]
DEMO = {"path": "demo", "hub": "bundled"}
LONG = {"timeout": 180_000}


@pytest.fixture
def open_desktop(qapp: QApplication, real: ControllerProcess, monkeypatch) -> Iterator[Any]:
    """Opens windows over the controller's home."""
    with windows(qapp, real, monkeypatch) as make:
        yield make


def trained(real: ControllerProcess) -> str:
    """A run that made an adapter and a checkpoint."""
    training = {"max_steps": 4, "micro_batch_size": 4, "learning_rate": 0.02, "threads": 1}
    order = {"kind": "train", "model": DEMO, "data": {"train": [{**DEMO, "limit": 16}], "max_length": 128},
             "training": training, "tuner": {"rank": 4}, "checkpoints": {"every_steps": 2}}  # fmt: skip
    run = real.client.create(RunSpec.model_validate({"name": "teaches", "job": order}))
    assert real.until(run.uid, "completed", "failed", timeout=300).run.state == "completed"
    return run.uid


def imported(real: ControllerProcess, name: str) -> DatasetView | None:
    """A dataset of the library, once it is there."""
    return next((one for one in real.client.datasets().datasets if one.name == name and one.newest is not None), None)


def test_that_a_trained_adapter_answers_beside_its_base(open_desktop, real, qtbot):
    uid = trained(real)
    desktop = open_desktop()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    desktop.window.go(f"playground/run/{uid}")
    page = desktop.window.page
    assert isinstance(page, PlaygroundPage)
    chat = page.model.chat
    qtbot.waitUntil(lambda: [one.key for one in chat.columns] == ["base", "teaches"], **LONG)
    assert page.instance.find("teaches").path.endswith("adapter.lora.arrow")
    page.model.add_column()
    page.model.set_answerer("3", Column("", AUTO))
    page.model.set_sampling(temperature=0.0, max_tokens=12)
    page.model.set_chances(True)
    page.model.send("Convert to an ISO date: 3 May 2021")
    qtbot.waitUntil(lambda: not page.model.is_busy, **LONG)
    base, taught = (chat.turns[0].answers[key] for key in ("1", "2"))
    assert [(one.state, one.error) for one in (base, taught)] == [("done", None)] * 2
    assert base.text
    assert base.text != taught.text
    routed = chat.turns[0].answers["3"]
    assert (routed.routed, routed.text) == ("teaches", taught.text)  # it was trained on such prompts
    page.model.remove_column("3")
    for said in (base, taught):
        assert min(said.number or 0, said.first or 0, said.whole or 0) > 0
        assert len(said.tokens) >= 1
        assert all(one.others for one in said.tokens)
    qtbot.waitUntil(lambda: page.model.used is not None and page.model.used[0] > 10, **LONG)
    checkpoint = max(one.step for one in real.client.run(uid).checkpoints)
    page.model.set_answerer("2", Column("", RUN, "", uid, "teaches", checkpoint))
    page.views[1].scrub.reload()
    qtbot.waitUntil(lambda: chat.columns[1].key == f"teaches@{checkpoint}", **LONG)
    qtbot.waitUntil(lambda: not page.model.is_busy and chat.turns[0].answers["2"].by == chat.columns[1].key, **LONG)
    assert chat.turns[0].answers["2"].text == taught.text  # the last checkpoint is what the run has made
    page.instance.load_path(str(real.home.root))
    qtbot.waitUntil(lambda: bool(page.instance.misfits), **LONG)
    page.model.prefer(0, "2")
    page.save_pairs("liked")
    qtbot.waitUntil(lambda: imported(real, "liked") is not None, **LONG)
    liked = imported(real, "liked")
    assert liked is not None
    assert (liked.newest.rows, liked.newest.format, liked.newest.refused) == (1, "preference", 0)
    run = page.instance.uid
    page.instance.end()
    assert real.until(run, "stopped", timeout=60).run.tags == ["playground"]
