"""A reference that is asked before the first step: the losses of one that is asked in each, no copy, read again."""

from __future__ import annotations

import json

import pytest
import tiny
from helpers import Attempt

from engine.contract.errors import UserError


def job(tmp_path, before: bool, tuner: str = "lora", **objective) -> dict:
    rows = [{"prompt": f"say {n}", "chosen": f"it is {n}, so it is", "rejected": f"no, {n % 5}!"} for n in range(18)]
    path = tiny.write_jsonl(tmp_path / "pairs.jsonl", rows)
    return {
        "stage": "dpo", "data": {"train": [{"path": str(path)}], "max_length": 64, "validation_share": 0.2},
        "objective": {"precompute_ref_log_probs": before, **objective}, "tuner": {"kind": tuner},
        "training": {
            "max_steps": 6, "micro_batch_size": 2, "accumulation": 2, "learning_rate": 1e-3, "memory_probe": False,
            "validate_every": 3,
        },
    }  # fmt: skip


def figures(made: Attempt) -> list[list[float]]:
    steps = [[line.values["loss"], line.values["rewards/margins"]] for line in made.of("step")]
    return [*steps, *([line.values["validation_loss"]] for line in made.of("validation"))]


@pytest.mark.parametrize(("tuner", "more"), [("lora", {}), ("full", {"ld_alpha": 0.5}), ("full", {"loss": "ipo"})])
def test_that_losses_are_those_of_a_reference_that_is_asked_in_each_step(attempt, tmp_path, tuner, more):
    found = []
    for before in (False, True):
        made = attempt(name=f"before-{before}", **job(tmp_path, before, tuner, **more))
        assert made.run() == 0, made.end
        found.append(figures(made))
        assert (made.folder.parent.parent / "reference.safetensors").is_file() is before
        assert ("comparing" in {line.phase.value for line in made.of("phase")}) is before
    assert len(found[0]) == len(found[1]) == 8
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)


def test_that_what_was_said_is_read_again_and_asked_anew_where_rows_changed(attempt, tmp_path):
    first = attempt(**job(tmp_path, True))
    assert first.run() == 0, first.end
    kept = first.folder.parent.parent / "reference.safetensors"
    before, changed = kept.read_bytes(), kept.stat().st_mtime_ns
    order = json.loads((first.folder / "order.json").read_text())
    again = first.folder.parent / "2"
    again.mkdir()
    (again / "order.json").write_text(json.dumps(order | {"attempt": 2}))
    assert Attempt(again).run() == 0
    assert kept.stat().st_mtime_ns == changed
    assert figures(Attempt(again)) == figures(first)
    order["spec"]["job"]["data"]["max_length"] = 60
    other = first.folder.parent / "3"
    other.mkdir()
    (other / "order.json").write_text(json.dumps(order | {"attempt": 3}))
    kept.write_bytes(before[:-40])  # damaged, and of other settings
    assert Attempt(other).run() == 0
    assert kept.read_bytes() != before


def test_that_no_second_model_is_held(tmp_path, model):
    from engine.compute.inference.base import load_model
    from engine.compute.training.stages import STAGES
    from engine.contract.run_spec import TrainJob

    torch = pytest.importorskip("torch")
    loaded = load_model(model, torch.float32, "auto", torch.device("cpu"))
    usual, before = (
        TrainJob.model_validate({**job(tmp_path, told, "full"), "model": {"path": str(model)}})
        for told in (False, True)
    )
    assert STAGES["dpo"].objective(usual, loaded).held_bytes > 0
    assert STAGES["dpo"].objective(before, loaded).held_bytes == 0


def test_that_it_is_refused_where_nothing_is_asked_or_several_ask():
    from engine.contract.stages import objective_contradictions

    wrong = {"stage": "dpo", "objective": {"precompute_ref_log_probs": True, "reference_free": True}}
    assert [problem.code for problem in objective_contradictions(wrong)] == ["config.no_reference_to_ask"]
    several = {"stage": "dpo", "objective": {"precompute_ref_log_probs": True}, "compute": {"gpus": 2}}
    assert [problem.code for problem in objective_contradictions(several)] == ["config.reference_members"]
    assert UserError("config.reference_members").code
