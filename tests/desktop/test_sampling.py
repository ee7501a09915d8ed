"""Having a model make a dataset: the dialog from the library and from a run, what it refuses, what it sends."""

from __future__ import annotations

import pytest

from engine.contract.sampling import SampleJob
from forge_desktop.pages.datasets_page import DatasetsPage
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.sample_dialog import SampleDialog
from forge_desktop.theme.controls import Field
from tests.desktop.test_datasets import library

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
