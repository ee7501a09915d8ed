"""The bundled model in a real worker below a real controller."""

import os

import pytest

from engine.client.download import fingerprint, unpack
from engine.contract.api import Settings
from engine.contract.paths import code_root
from engine.contract.run_spec import RunSpec
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker
from tests.helpers.waiting import wait_until

MODEL = code_root() / "resources" / "demo" / "model" / "config.json"
pytestmark = [
    needs_worker,
    pytest.mark.skipif(not MODEL.exists(), reason="the bundled model is not there"),
]


def demo(max_steps: int) -> RunSpec:
    """A few steps of the demo."""
    bundled = {"path": "demo", "hub": "bundled"}
    data = {"train": [{**bundled, "limit": 64}], "max_length": 128}
    training = {"max_steps": max_steps, "micro_batch_size": 4, "learning_rate": 0.001, "threads": 1}
    job = {"kind": "train", "model": bundled, "data": data, "training": training}
    return RunSpec.model_validate({"name": "a few steps", "job": job})


def test_that_a_real_worker_trains_over_the_death_of_its_controller(real):
    run = real.client.create(demo(12))
    wait_until(lambda: real.client.run(run.uid).run.step, 120, "the first step")
    address = real.client.health().pid
    os.kill(address, 9)
    wait_until(lambda: not real.running(), what="the controller has gone")
    real.start()
    detail = real.until(run.uid, "completed", timeout=300)
    assert real.client.series(run.uid, ["loss"])["loss"].x.tolist() == list(range(1, 13))
    assert (detail.run.step, detail.run.total_steps, len(detail.attempts)) == (12, 12, 1)
    adapter = next(artifact for artifact in detail.artifacts if artifact.kind == "adapter")
    with (real.folder / "a.zip").open("wb") as file:
        real.client.download(run.uid, adapter.id, file.write)
    unpack(real.folder / "a.zip", real.folder / "adapter")
    assert fingerprint(real.folder / "adapter") == adapter.sha256


def test_that_a_real_worker_saves_when_it_is_stopped(real):
    run = real.client.create(demo(5000))
    wait_until(lambda: real.client.run(run.uid).run.step, 120, "the first step")
    real.client.stop(run.uid)
    detail = real.until(run.uid, "stopped", timeout=300)
    assert detail.attempts[0].exit_code == 77
    assert [artifact.kind for artifact in detail.artifacts] == ["adapter", "adapter_file"]


def test_that_helper_queries_reach_the_worker_environment(real):
    answer = real.client.query("inspect_model", path="demo", hub="bundled")
    assert answer.error is None
    assert answer.result["architecture"] == "Qwen3ForCausalLM"


def recoverable(name: str, max_steps: int = 24) -> RunSpec:
    """A run that saves its state every 4 steps; dropout and length groups are on."""
    spec = demo(max_steps).model_dump(mode="json")
    spec["name"] = name
    spec["job"]["tuner"]["dropout"] = 0.1
    spec["job"]["checkpoints"] |= {"every_minutes": None, "every_steps": 4}
    spec["job"]["training"] |= {"threads": None, "schedule": "constant"}
    return RunSpec.model_validate(spec)


def losses(real: ControllerProcess, uid: str) -> dict[int, float]:
    """Step to loss, of each step the latest attempt's."""
    curve = real.client.series(uid, ["loss"])["loss"]
    return dict(zip(curve.x.astype(int).tolist(), curve.value.tolist(), strict=True))


def test_that_a_run_whose_worker_is_killed_or_paused_goes_on_bit_for_bit(real):
    real.client.change_settings(Settings(retry_seconds=0.1))
    whole = real.client.create(recoverable("whole"))
    killed = real.client.create(recoverable("killed"))
    real.until(whole.uid, "completed", timeout=300)
    wait_until(lambda: (real.client.run(killed.uid).run.step or 0) >= 6, 120, "step 6")
    started = next(line for line in real.journal(killed.uid) if line["kind"] == "started")
    os.kill(started["pid"], 9)
    wait_until(
        lambda: (real.client.run(killed.uid).run.attempt, real.client.run(killed.uid).run.state) == (2, "running"), 60
    )
    wait_until(lambda: (real.client.run(killed.uid).run.step or 0) >= 10, 120, "step 10")
    real.client.pause(killed.uid)
    detail = real.until(killed.uid, "paused", timeout=60)
    assert detail.checkpoints[-1].step == detail.run.step
    real.client.resume(killed.uid)
    detail = real.until(killed.uid, "completed", timeout=300)
    assert [attempt.cause for attempt in detail.attempts] == ["first", "retry", "resume"]
    assert detail.attempts[1].resumed_attempt == 1
    assert detail.attempts[1].resumed_step % 4 == 0
    assert losses(real, killed.uid) == losses(real, whole.uid)
    assert set(losses(real, whole.uid)) == set(range(1, 25))
    real.client.resume(killed.uid, max_steps=30)
    detail = real.until(killed.uid, "completed", timeout=300)
    assert (detail.attempts[3].cause, detail.attempts[3].first_step, detail.run.step) == ("extend", 25, 30)
    assert set(losses(real, killed.uid)) == set(range(1, 31))
