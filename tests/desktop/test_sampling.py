"""Having a model make a dataset: the dialog from the library and from a run, what it refuses, what it sends."""

from __future__ import annotations

import pytest

from engine.client.sampling import served_by, taught_by
from engine.contract.errors import Conflict
from engine.contract.events import PhaseBegan, Started
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.contract.sampling import SampleJob
from forge_desktop.models.deeds import deeds_of
from forge_desktop.models.phases import stages_of
from forge_desktop.pages.datasets_page import DatasetsPage
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.sample_dialog import SampleDialog
from forge_desktop.theme.controls import Field
from tests.desktop.test_datasets import library
from tests.helpers.journals import after_training, before_training, demo_spec, saved, steps

pytestmark = pytest.mark.slow


def orders(replay) -> list[SampleJob]:
    """Every sampling that was ordered, the newest last."""
    found = replay.backend._runs.values()
    return [run.spec.job for run in found if isinstance(run.spec.job, SampleJob)]


def opened(replay, qtbot, name: str = "") -> SampleDialog:
    """The dialog over the library."""
    page = library(replay, qtbot)
    assert isinstance(page, DatasetsPage)
    dialog = page.sample_one(name)
    qtbot.waitUntil(lambda: bool(dialog.model.datasets))
    return dialog


def test_that_the_questions_of_a_dataset_are_sampled(replay, qtbot):
    dialog = opened(replay, qtbot, "support-tickets-zh")
    assert dialog.source.value() == "library:support-tickets-zh"
    assert not dialog.go.isEnabled()  # it has no name yet
    dialog.name.setText("answers")
    dialog.numbers["answers"].setText("4")
    dialog.choose.set_value("best_n")
    dialog.choose.activated.emit(dialog.choose.currentIndex())
    assert dialog._boxes["keep"].isVisibleTo(dialog)
    assert not dialog._boxes["margin"].isVisibleTo(dialog)
    dialog.rewards.setText("accuracy, length=0.5")
    dialog.adapter.setText("/adapters/mine")
    dialog.go.click()
    qtbot.waitUntil(lambda: bool(orders(replay)))
    (job,) = orders(replay)
    assert (job.dataset, job.source.path, job.source.hub) == ("answers", "support-tickets-zh", "library")
    assert (job.answers, job.choose, job.adapter, job.model.path) == (4, "best_n", "/adapters/mine", "demo")
    assert [(one.kind, one.weight) for one in job.rewards] == [("accuracy", 1.0), ("length", 0.5)]


def test_that_what_is_wrong_is_said_before_anything_is_sent(replay, qtbot):
    dialog = opened(replay, qtbot, "support-tickets-zh")
    dialog.name.setText("answers")
    dialog.choose.set_value("best_worst")
    dialog.choose.activated.emit(dialog.choose.currentIndex())
    dialog.go.click()
    card = dialog.findChild(ErrorCard, "sample.refused")
    assert card.isVisibleTo(dialog)
    assert "answers" in card.why.text()
    assert "rewards" in card.why.text()
    dialog.numbers["temperature"].setText("warm")
    dialog.go.click()
    assert "temperature" in card.why.text()
    assert not orders(replay)
    dialog.reject()


def test_that_questions_come_from_a_file_too(replay, qtbot):
    dialog = opened(replay, qtbot)
    dialog.source.set_value("file")
    dialog.source.activated.emit(dialog.source.currentIndex())
    field = dialog.findChild(Field, "sample.file")
    assert field.isVisibleTo(dialog)
    field.setText("/data/asked.jsonl")
    dialog.name.setText("answers")
    dialog.go.click()
    qtbot.waitUntil(lambda: bool(orders(replay)))
    assert orders(replay)[0].source.model_dump(include={"path", "hub"}) == {"path": "/data/asked.jsonl", "hub": "local"}


def test_that_its_run_shows_its_own_stages_checking_last(replay, qtbot):
    source = {"path": "demo", "hub": "bundled"}
    job = SampleJob.model_validate({"dataset": "answers", "model": source, "source": source})
    uid = replay.backend.add(RunSpec(name="Sample answers", job=job))
    phases = ("starting", "loading", "sampling")
    told = [PhaseBegan(seq=n + 2, t=n + 1.0, phase=phase) for n, phase in enumerate(phases)]
    replay.backend.play(
        uid, [Started(seq=1, t=0.5, pid=1), *told, PhaseBegan(seq=9, t=9.0, phase="sampling", done=0.4)]
    )
    found = stages_of(replay.backend.run(uid))
    assert [(stage.key, stage.state) for stage in found] == [
        ("queued", "done"), ("starting", "done"), ("loading", "done"), ("sampling", "now"), ("checking", "later"),
        ("done", "later"),
    ]  # fmt: skip
    assert found[3].share == 0.4


def test_that_a_finished_run_offers_what_it_has_taught(replay, qtbot, tmp_path):
    run = replay.backend.add(demo_spec("taught"))
    replay.backend.play(run, [*before_training(), *steps(1, 4), *after_training()])
    assert "sample" in {deed.key for deed in deeds_of(replay.backend.run(run).run)}
    model, adapter = taught_by(replay.backend.run(run), Home(tmp_path))
    assert model.path == replay.backend.run(run).spec.job.model.path
    assert adapter.startswith(str(tmp_path / "runs" / run / "attempts" / "1" / "outputs"))
    with pytest.raises(Conflict, match="step 3"):
        taught_by(replay.backend.run(run), Home(tmp_path), 3)


def test_that_what_is_served_is_the_file_where_a_run_made_one(replay, tmp_path):
    run, home = replay.backend.add(demo_spec("taught")), Home(tmp_path)
    lines = after_training()
    replay.backend.play(run, [*before_training(), *steps(1, 4), *lines[:2]])
    assert served_by(replay.backend.run(run), home)[1].endswith("outputs/adapter")
    file = lines[1].model_copy(update={"artifact": "adapter_file", "path": "outputs/adapter.lora.arrow"})
    replay.backend.play(run, [file])
    assert served_by(replay.backend.run(run), home)[1].endswith("/adapter.lora.arrow")
    assert taught_by(replay.backend.run(run), home)[1].endswith("outputs/adapter")
    replay.backend.play(run, saved(20))
    assert "checkpoints" in served_by(replay.backend.run(run), home, 20)[1]
