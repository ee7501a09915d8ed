"""Settings of models that write no text: what does not go together is refused with every reason."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract.config_file import check_document
from engine.contract.ladder import Known, rungs
from engine.contract.run_spec import RunConfig, TrainJob


def document(stage: str, head: Any = None, **groups: Any) -> dict[str, Any]:
    made = {
        "name": "x", "stage": stage, "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo/pairs", "hub": "bundled"}]}, **groups,
    }  # fmt: skip
    return made if head is None else {**made, "head": head}


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (document("classification", {"labels": ["a", "b", "a"]}), [("heads.label_twice", "head.labels")]),
        (document("classification", {"labels": ["a"]}), [("heads.one_label", "head.labels")]),
        (
            document(
                "classification",
                {"problem": "regression", "labels": ["a"], "class_weights": "auto", "label_smoothing": 0.1},
            ),
            [
                ("heads.labels_of_number", "head.labels"), ("heads.smoothing", "head.label_smoothing"),
                ("heads.weights_of_number", "head.class_weights"),
            ],
        ),
        (document("reranker", {"joined": "{document} {query}"}), [("heads.joined", "head.joined")]),
        (
            document("reranker", {"negatives": 0}, training={"micro_batch_size": 1}),
            [("heads.alone", "training.micro_batch_size")],
        ),
        (
            document("embedding", training={"micro_batch_parts": 2}),
            [("config.stage_parts", "training.micro_batch_parts")],
        ),
        (document("classification", objective={"truncation": "split"}), [("config.split_for_stage",
                                                                          "objective.truncation")]),
        (document("embedding", {"temperature": 0}), [("config.must_exceed", "head.temperature")]),
        (
            document("embedding", data={"train": [{"path": "x", "hub": "bundled", "format": "classification"}]}),
            [("config.format_for_stage", "data.train.0.format")],
        ),
    ],
)  # fmt: skip
def test_that_what_does_not_go_together_is_refused_by_field(wrong: dict[str, Any], found: list[Any]) -> None:
    _config, problems = check_document(wrong)
    assert [(problem.code, problem.field) for problem in problems] == found


@pytest.mark.parametrize(
    "right",
    [
        document("classification", {"problem": "multi_label", "labels": ["a"], "class_weights": "auto"}),
        document("reranker", {"negatives": 0}, objective={"loss": "pointwise"}, training={"micro_batch_size": 1}),
        document("reranker", training={"micro_batch_parts": 2}),
        document("embedding", objective={"loss": "cosine"}, training={"micro_batch_parts": 2}),
        document("dpo", {"labels": ["a", "a"], "joined": "", "class_weights": "auto"}),
    ],
)
def test_that_what_goes_together_is_taken_and_comes_back_from_its_order(right: dict[str, Any]) -> None:
    """What the stage does not take is not looked at."""
    config, problems = check_document(right)
    assert problems == []
    assert config is not None
    assert RunConfig.from_spec(config.to_spec()).head == config.head


@pytest.mark.parametrize("stage", ["classification", "embedding", "reranker"])
@pytest.mark.parametrize(
    "broken",
    [
        3, "x", [], {"labels": 3}, {"labels": [1, 1]}, {"label_smoothing": "much", "problem": "regression"},
        {"joined": 5}, {"problem": "guess", "labels": ["a"], "class_weights": "auto"}, {"negatives": -1},
    ],
)  # fmt: skip
def test_that_a_value_that_is_wrong_itself_gives_one_reason(stage: str, broken: Any) -> None:
    _config, problems = check_document(document(stage, broken))
    assert problems
    assert len({problem.field for problem in problems}) == len(problems)
    assert not [problem for problem in problems if problem.code.startswith("heads.")]


def test_that_a_batch_of_vectors_is_not_offered_in_parts() -> None:
    def offered(stage: str, **groups: Any) -> set[str]:
        config, _ = check_document(document(stage, **groups))
        assert config is not None
        job = config.to_spec().job
        assert isinstance(job, TrainJob)
        return {rung.name for rung in rungs(job, Known())}

    assert "parts" not in offered("embedding")
    assert "parts" in offered("embedding", objective={"loss": "cosine"})
    assert "parts" in offered("reranker")
    assert "parts" in offered("classification")
