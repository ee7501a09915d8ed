"""Rewards and sampling in a config: declared whole, checked before a start, every reason at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from engine.contract.config_file import anchored, check_document
from engine.contract.config_reference import reference
from engine.contract.forecast import steps_of
from engine.contract.ladder import Known, rungs
from engine.contract.load import load_of
from engine.contract.preflight import check_files
from engine.contract.reward_files import check_rewards
from engine.contract.rewards import REWARDS, names_of
from engine.contract.rollouts import RewardConfig, RewardName, RolloutConfig
from engine.contract.run_spec import RunConfig, TrainJob
from engine.contract.stages import STAGES, keeps_copy


def document(*rewards: dict[str, Any], stage: str = "grpo", **groups: Any) -> dict[str, Any]:
    rollouts = {"rewards": list(rewards), **groups.pop("rollouts", {})}
    return {
        "name": "x", "stage": stage, "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo", "hub": "bundled"}], "max_length": 400}, "rollouts": rollouts, **groups,
    }  # fmt: skip


def config(*rewards: dict[str, Any], **more: Any) -> RunConfig:
    made, problems = check_document(document(*(rewards or ({"kind": "accuracy"},)), **more))
    assert problems == []
    assert made is not None
    return made


def test_that_the_registry_and_the_settings_agree() -> None:
    assert tuple(REWARDS) == get_args(RewardName)
    used = {name for stage in STAGES.values() for name in stage.rollouts}
    assert used == set(RolloutConfig.model_fields)
    for reward in REWARDS.values():
        assert f"| `{reward.name}` |" in reference()
        assert all(option["says"] for option in reward.options.values())
    assert names_of([RewardConfig(kind="format"), RewardConfig(), RewardConfig(kind="format")]) == [
        "format", "accuracy", "format_2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        (document(), "rewards.none", "rewards"),
        (document({"kind": "accuracy", "weight": 0}), "rewards.no_weight", "rewards"),
        (document({"kind": "file"}), "rewards.file_needed", "rewards.0.path"),
        (document({"kind": "model"}), "rewards.model_needed", "rewards.0.path"),
        (document({"kind": "format"}), "rewards.one_form", "rewards.0.options.pattern"),
        (document({"kind": "format", "options": {"pattern": "("}}), "rewards.bad_pattern", "rewards.0.options.pattern"),
        (
            document({"kind": "accuracy", "options": {"colum": "x"}}),
            "config.option_unknown", "rewards.0.options.colum",
        ),
        (document({"kind": "length", "options": {"target": 0}}), "rewards.out_of_range", "rewards.0.options.target"),
        (document({"kind": "length", "options": {"target": "x"}}), "config.option_type", "rewards.0.options.target"),
        (document({"kind": "accuracy"}, rollouts={"max_tokens": 400}), "rewards.no_room", "max_tokens"),
        (document({"kind": "accuracy"}, rollouts={"answers": 1}), "config.too_small", "answers"),
    ],
)  # fmt: skip
def test_that_what_is_wrong_is_refused_by_field(wrong: dict, code: str, field: str) -> None:
    _config, problems = check_document(wrong)
    assert [(problem.code, problem.field) for problem in problems] == [(code, f"rollouts.{field}")]


def test_that_all_reasons_come_at_once_and_broken_documents_break_nothing() -> None:
    wrong = document({"kind": "file"}, {"kind": "format"}, rollouts={"max_tokens": 1000})
    assert len(check_document(wrong)[1]) == 3
    assert check_document(document(stage="sft"))[1] == []  # nobody else needs rewards
    for value in (None, 3, [], "x", {"rewards": 3}, {"rewards": [3]}):
        assert check_document({**document(), "rollouts": value})[1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def reward(x:\n", "rewards.file_not_python"),
        ("def judge(completions): return []\n", "rewards.no_function"),
        ("a = " + "(" * 5000, "rewards.file_not_python"),
        ("x" * (2 << 20), "rewards.file_not_python"),
        ("if True:\n    from mine import reward\n", ""),
        ("reward = lambda completions: [0] * len(completions)\n", ""),
    ],
)
def test_that_files_are_looked_at_and_not_run(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "judge.py"
    path.write_text(text)
    found = list(check_rewards(RolloutConfig(rewards=[RewardConfig(kind="file", path=str(path))])))
    assert [problem.code for problem in found] == ([code] if code else [])


def test_that_missing_files_and_folders_without_a_model_are_refused(tmp_path: Path) -> None:
    made = config({"kind": "file", "path": "judge.py"}, {"kind": "model", "path": "scores"})
    (tmp_path / "scores").mkdir()
    spec = anchored(made, tmp_path).to_spec()
    assert [(problem.code, problem.field) for problem in check_files(spec) if "rollouts" in problem.field] == [
        ("config.path_missing", "rollouts.rewards.0.path"), ("rewards.model_unfit", "rollouts.rewards.1.path"),
    ]  # fmt: skip
    relative = [problem.code for problem in check_files(made.to_spec())]
    assert relative == ["config.absolute_path"] * 2


def test_that_forecast_and_ladder_count_every_answer() -> None:
    job = config(rollouts={"answers": 6}, training={"micro_batch_size": 2, "micro_batch_parts": 4}).to_spec().job
    assert isinstance(job, TrainJob)
    assert load_of(job).rows == 3
    (parts,) = [rung for rung in rungs(job, Known()) if rung.name == "parts"]
    assert parts.changes == {"training.micro_batch_parts": 8}
    made = config(rollouts={"iterations": 3}, training={"micro_batch_size": 4, "accumulation": 2})
    assert steps_of(made.training, 40, made.iterations) == 15
    assert steps_of(made.training, 40) == 5


def test_that_a_base_model_is_held_only_where_it_is_asked() -> None:
    for beta, copied in ((0.0, False), (0.1, True)):
        job = config(rollouts={"beta": beta}, tuner={"kind": "full"}).to_spec().job
        assert isinstance(job, TrainJob)
        assert keeps_copy(job.stage, job.reference_free, "full", "default") is copied
        assert load_of(job).copies == copied
