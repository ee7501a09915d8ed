"""A stage whose model writes no text through a real controller: its score, classes and curves are in the history."""

from __future__ import annotations

import pytest

from engine.contract.errors import Refused
from engine.contract.run_spec import RunSpec
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker

pytestmark = needs_worker


def order(**job) -> RunSpec:
    wanted = {
        "kind": "train", "model": {"path": "demo", "hub": "bundled"}, "stage": "classification",
        "data": {"train": [{"hub": "bundled", "path": "demo/months", "limit": 60}], "max_length": 64},
        "training": {"max_steps": 4, "micro_batch_size": 4, "learning_rate": 0.002, "threads": 1},
        "evaluation": {"data": [{"hub": "bundled", "path": "demo/months_held_out", "limit": 20}], "before": False},
    }  # fmt: skip
    return RunSpec.model_validate({"name": "months", "job": {**wanted, **job}})


def test_that_classes_are_learned_and_kept_in_the_history(real: ControllerProcess) -> None:
    run = real.client.create(order())
    assert real.until(run.uid, "completed", "failed", timeout=300).run.state == "completed"
    assert {"loss", "accuracy"} <= set(real.client.series(run.uid))
    detail = real.client.run(run.uid)
    (score,) = detail.scores
    assert (score.metric, score.rows, detail.run.score) == ("accuracy", 20, score.value)
    assert "macro_f1" in score.more
    assert 0 < sum(one.rows for one in score.classes) <= 20
    assert {artifact.kind for artifact in detail.artifacts} == {"adapter", "adapter_file", "answers"}
    assert detail.samples[0].expected in {one.label for one in score.classes}

    with pytest.raises(Refused) as caught:
        real.client.create(order(head={"labels": ["a"], "problem": "regression", "class_weights": "auto"}))
    assert {problem.code for problem in caught.value.problems} == {"heads.labels_of_number", "heads.weights_of_number"}
