"""Guards, early stop, trackers and the interval of points, from the order to what the history shows."""

import itertools
from pathlib import Path

import pytest

from engine.contract.api import Settings
from engine.contract.errors import UserError
from engine.contract.run_spec import RunSpec
from tests.helpers.waiting import wait_until
from tests.integration.test_real_worker import demo, pytestmark

__all__ = ["pytestmark"]


def order(name: str, max_steps: int = 12, **job) -> RunSpec:
    """The demo with other settings."""
    spec = demo(max_steps).model_dump(mode="json")
    spec["name"] = name
    for group, values in job.items():
        spec["job"][group] |= values
    return RunSpec.model_validate(spec)


def test_that_what_guards_did_and_why_a_run_ended_early_stand_in_the_history(real):
    guarded = order("guarded", guards={"disk_filling": "stop", "disk_free_gb": 1e6})
    early = order(
        "early", 400,
        training={"learning_rate": 1e-9, "validate_every": 1},
        data={"validation_share": 0.2},
        stopping={"patience": 2, "min_delta": 1.0, "result": "best"},
        watching={"prompts": ["2 + 2"], "prompt_tokens": 2},
    )  # fmt: skip
    first, second = real.client.create(guarded), real.client.create(early)
    detail = real.until(first.uid, "stopped", timeout=300)
    assert (detail.run.reason, detail.run.error.code) == ("guard", "guard.disk_filling")
    (event,) = [event for event in detail.events if event.kind == "guard"]
    assert (event.body["guard"], event.body["step"], event.body["deed"]) == ("disk_filling", 1, "stopped")
    assert event.level == 40  # among the errors of the timeline
    assert [artifact.kind for artifact in detail.artifacts] == ["adapter", "adapter_file"]
    detail = real.until(second.uid, "completed", timeout=300)
    assert (detail.run.reason, detail.run.step) == ("early_stop", 3)  # the first is the best, two are not better
    assert [sample.prompt for sample in detail.samples if sample.when == "checkpoint"]
    assert any(one.best for one in detail.checkpoints)


def test_that_the_interval_changes_and_a_tracker_that_is_missing_is_refused(real):
    with pytest.raises(UserError) as refused:
        real.client.create(order("tracked", watching={"trackers": ["swanlab", "wandbb"]}))
    assert [problem.code for problem in refused.value.body().problems] == ["tracking.unknown"]
    with pytest.raises(UserError) as refused:
        real.client.create(order("tracked", watching={"trackers": ["swanlab"]}))
    (problem,) = refused.value.body().problems
    assert (problem.code, problem.params["package"]) == ("tracking.missing", "swanlab")
    run = real.client.create(order("often", 5000))
    wait_until(lambda: real.client.run(run.uid).run.step, 120, "the first step")
    assert real.forge("log-every", run.uid, "25").returncode == 0

    def told() -> bool:
        return any(event.body.get("code") == "training.log_every" for event in real.client.run(run.uid).events)

    wait_until(told, 120, "the worker has heard it")
    begun = real.client.run(run.uid).run.step or 0
    wait_until(lambda: (real.client.run(run.uid).run.step or 0) >= begun + 50, 120, "two more points")
    real.client.stop(run.uid)
    real.until(run.uid, "stopped", timeout=300)
    steps = real.client.series(run.uid, ["loss"])["loss"].x.astype(int).tolist()
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert 25 in gaps
    folder = Path(real.folder)
    assert list(folder.rglob(f"{run.uid}/attempts/1/outputs/tensorboard/events.out.*")) or list(
        folder.rglob("tensorboard/events.out.*")
    )


def test_that_a_run_ends_where_it_has_cost_enough(real):
    real.client.change_settings(Settings(prices={"gpu": 3600.0}))
    spec = demo(5000).model_dump(mode="json")
    spec["limits"]["max_cost"] = 0.01
    run = real.client.create(RunSpec.model_validate(spec))
    detail = real.until(run.uid, "completed", timeout=300)
    assert (detail.run.reason, detail.run.step) == ("cost_limit", 1)
    assert [artifact.kind for artifact in detail.artifacts] == ["adapter", "adapter_file"]
