"""Several processes below a real controller: one curve, and nobody left when their first is killed."""

import os

import psutil
import pytest

from engine.contract.api import Settings
from engine.contract.run_spec import RunSpec
from tests.helpers.real_worker import needs_worker
from tests.helpers.waiting import wait_until

pytestmark = needs_worker


def demo(max_steps: int) -> RunSpec:
    """A few steps of the demo in two processes."""
    bundled = {"path": "demo", "hub": "bundled"}
    data = {"train": [{**bundled, "limit": 64}], "max_length": 128}
    training = {"max_steps": max_steps, "micro_batch_size": 4, "learning_rate": 0.001, "threads": 1}
    job = {"kind": "train", "model": bundled, "data": data, "training": training,
           "checkpoints": {"every_minutes": None, "every_steps": 4}}  # fmt: skip
    compute = {"gpus": 0, "processes": 2}
    return RunSpec.model_validate({"name": "two", "job": job, "compute": compute})


def members_of(pid: int) -> list[psutil.Process]:
    return [one for one in psutil.Process(pid).children() if "engine.compute.worker.member" in one.cmdline()]


@pytest.mark.slow
def test_that_killed_members_are_ended_together_and_the_run_goes_on(real):
    real.client.change_settings(Settings(retry_seconds=0.1))
    run = real.client.create(demo(24))
    wait_until(lambda: (real.client.run(run.uid).run.step or 0) >= 5, 120, "step 5")
    first = next(line for line in real.journal(run.uid) if line["kind"] == "started")["pid"]
    (other,) = members_of(first)
    os.kill(first, 9)
    wait_until(lambda: not other.is_running(), 30, "the other member has gone")
    wait_until(lambda: real.client.run(run.uid).run.attempt == 2, 60, "the second attempt")
    detail = real.until(run.uid, "completed", timeout=300)
    assert [attempt.cause for attempt in detail.attempts] == ["first", "retry"]
    assert detail.attempts[1].resumed_step >= 4
    assert set(real.client.series(run.uid, ["loss"])["loss"].x.tolist()) == set(range(1, 25))


@pytest.mark.slow
def test_that_a_member_that_is_killed_is_named_and_the_run_goes_on(real):
    real.client.change_settings(Settings(retry_seconds=0.1))
    run = real.client.create(demo(24))
    wait_until(lambda: (real.client.run(run.uid).run.step or 0) >= 5, 120, "step 5")
    first = next(line for line in real.journal(run.uid) if line["kind"] == "started")["pid"]
    (other,) = members_of(first)
    other.kill()
    wait_until(lambda: real.client.run(run.uid).run.attempt == 2, 60, "the second attempt")
    ended = next(line for line in real.journal(run.uid) if line["kind"] == "ended")
    assert (ended["error"]["code"], ended["error"]["params"]["member"]) == ("worker.member_lost", 1)
    detail = real.until(run.uid, "completed", timeout=300)
    assert detail.run.step == 24
