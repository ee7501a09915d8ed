"""The registry of stages: whole and in agreement with the config; what does not go with a stage is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from engine.contract.config_file import check_document
from engine.contract.config_reference import reference
from engine.contract.data import READABLE_FORMATS
from engine.contract.estimate import estimate
from engine.contract.heads import HeadConfig
from engine.contract.ladder import Known, rungs
from engine.contract.load import load_of
from engine.contract.model_shape import read_shape
from engine.contract.objective import LossName, ObjectiveConfig
from engine.contract.paths import resources_folder
from engine.contract.rollouts import RolloutConfig
from engine.contract.run_spec import RunConfig, TrainJob
from engine.contract.stages import REASONS, STAGES, StageName, keeps_copy, loss_of, stages_for


def document(stage: str, form: str = "preference", **groups: Any) -> dict[str, Any]:
    return {
        "name": "x", "stage": stage, "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo/preferences", "hub": "bundled", "format": form}]}, **groups,
    }  # fmt: skip


def test_that_the_registry_and_the_config_agree() -> None:
    assert tuple(STAGES) == get_args(StageName)
    for stage in STAGES.values():
        assert set(stage.losses) <= set(get_args(LossName))
        assert set(stage.settings) <= set(ObjectiveConfig.model_fields)
        assert stage.runs == bool(stage.losses) == (stage.missing == "")
        assert not stage.missing or stage.missing in REASONS
        assert not stage.runs or set(stage.formats) <= set(READABLE_FORMATS)
        assert f"| {stage.name} |" in reference() or f"| `{stage.name}` |" in reference()
    used = {name for stage in STAGES.values() for name in stage.settings}
    assert used == set(ObjectiveConfig.model_fields)
    assert {name for stage in STAGES.values() for name in stage.head} == set(HeadConfig.model_fields)
    taken = {name for stage in STAGES.values() for name in stage.rollouts}
    assert taken == set(RolloutConfig.model_fields)
    assert {name for stage in STAGES.values() for name in stage.losses} | {"auto"} == set(get_args(LossName))


def test_that_a_stage_with_its_rows_is_taken_and_comes_back_from_its_order() -> None:
    config, problems = check_document(document("dpo", objective={"loss": "ipo", "beta": 0.3}))
    assert problems == []
    assert config is not None
    again = RunConfig.from_spec(config.to_spec())
    assert (again.stage, again.objective.loss, again.objective.beta) == ("dpo", "ipo", 0.3)


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        (document("dpo", objective={"loss": "dft"}), "config.stage_loss", "objective.loss"),
        (document("dpo", objective={"loss": "exo_pair"}), "config.smoothing_needed", "objective.label_smoothing"),
        (document("kto", "kto", training={"micro_batch_size": 1}), "config.kto_batch", "training.micro_batch_size"),
        (
            document("dpo", objective={"loss": "aot"}, training={"micro_batch_parts": 2}),
            "config.stage_parts", "training.micro_batch_parts",
        ),
        (document("dpo", objective={"truncation": "split"}), "config.split_for_stage", "objective.truncation"),
        (document("kto", "text"), "config.format_for_stage", "data.train.0.format"),
        (document("sft"), "config.format_for_stage", "data.train.0.format"),
        (document("video_sft", "auto"), "config.not_yet", "stage"),
        (document("image_sft", "auto"), "config.not_yet", "stage"),
        (document("dpo", objective={"label_smoothing": 0.5}), "config.must_be_below", "objective.label_smoothing"),
    ],
)  # fmt: skip
def test_that_what_does_not_go_with_a_stage_is_refused_by_field(wrong: dict, code: str, field: str) -> None:
    _config, problems = check_document(wrong)
    assert [(problem.code, problem.field) for problem in problems] == [(code, field)]


def test_that_all_reasons_come_at_once_and_broken_documents_break_nothing() -> None:
    wrong = document("kto", "text", objective={"loss": "kto"}, training={"micro_batch_size": 1, "micro_batch_parts": 2})
    assert len(check_document(wrong)[1]) == 3
    for group in ("objective", "training", "data"):
        for value in (None, 3, [], "x"):
            assert check_document({**document("dpo"), group: value})[1]


def test_that_a_copy_is_held_only_where_an_adapter_cannot_be_switched_off() -> None:
    assert not keeps_copy("dpo", False, "lora", "default")
    assert keeps_copy("dpo", False, "lora", "pissa")
    assert keeps_copy("kto", False, "full", "default")
    assert keeps_copy("kto", True, "full", "default")  # KTO knows no way without
    assert not keeps_copy("dpo", True, "full", "default")
    assert not keeps_copy("orpo", False, "full", "default")


def job(stage: str, kind: str = "lora", **more: Any) -> TrainJob:
    config, problems = check_document(document(stage, "auto", tuner={"kind": kind}, **more))
    assert problems == []
    assert config is not None
    made = config.to_spec().job
    assert isinstance(made, TrainJob)
    return made


def test_that_the_forecast_counts_both_answers_and_the_copy() -> None:
    shape = read_shape(resources_folder() / "demo" / "model")
    assert shape is not None

    def parts(stage: str, kind: str = "lora") -> dict[str, int]:
        return dict(estimate(shape, load_of(job(stage, kind), width=64, trained=0.5)).parts)

    plain, pairs, scores = parts("sft"), parts("dpo"), parts("reward")
    assert pairs["activations"] + pairs["logits"] > 1.8 * (plain["activations"] + plain["logits"])
    assert pairs["weights"] == plain["weights"]
    assert parts("dpo", "full")["weights"] == 2 * parts("orpo", "full")["weights"]
    assert scores["logits"] == 0
    assert sum(scores.values()) < sum(pairs.values())


def test_that_a_batch_that_belongs_together_is_not_offered_in_parts() -> None:
    def offered(made: TrainJob) -> set[str]:
        return {rung.name for rung in rungs(made, Known())}

    assert "parts" in offered(job("dpo"))
    assert "parts" not in offered(job("dpo", objective={"loss": "aot"}))
    assert "parts" not in offered(job("kto"))


def test_that_a_stage_names_those_that_take_other_rows() -> None:
    assert stages_for("verdict") == ["kto"]
    assert "kto" in stages_for("preference")
    assert stages_for("class") == ["classification"]
    assert stages_for("pair") == ["embedding", "reranker"]
    assert stages_for("prompt") == ["grpo", "rloo", "online_dpo", "ppo"]
    assert loss_of(STAGES["kto"], "auto") == "kto"
    assert loss_of(STAGES["dpo"], "ipo") == "ipo"


def test_that_pairs_of_own_answers_count_as_pairs_and_keep_their_reference() -> None:
    rewards = {"rollouts": {"rewards": [{"kind": "length"}], "answers": 8, "max_tokens": 16, "iterations": 4}}
    rows = {"data": {"train": [{"path": "demo", "hub": "bundled"}]}}
    made, grouped = job("online_dpo", "full", **rewards, **rows), job("grpo", "full", **rewards, **rows)
    assert (made.sequences, made.iterations, made.reference_free) == (2, 1, False)
    assert (grouped.sequences, grouped.iterations, grouped.reference_free) == (8, 4, True)
    assert load_of(made).copies == 1
    assert load_of(made).rows == 2 * made.training.micro_batch_size
    assert load_of(grouped).rows == 8 * grouped.training.micro_batch_size
    missing = document("online_dpo", "auto")
    assert [problem.code for problem in check_document(missing)[1]] == ["rewards.none"]
