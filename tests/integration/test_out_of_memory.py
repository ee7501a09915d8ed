"""Memory runs out in a real worker, by the shipped fault and by a real cap of a control group: what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.contract.ids import new_id
from engine.contract.run_spec import RunSpec
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import WORKER
from tests.helpers.waiting import wait_until
from tests.integration.test_real_worker import demo, pytestmark

__all__ = ["pytestmark"]
STEPS, AT = 6, 5
"""Memory runs out at the fifth micro batch a worker learns from; one that begins after step 4 has two."""
GROUPS = Path("/sys/fs/cgroup/memory")
"""Of version 1, which a test may make a group in without asking systemd."""


def order(mode: str, **training: object) -> RunSpec:
    plain = demo(STEPS).model_dump(mode="json")
    plain["limits"] |= {"out_of_memory": mode}
    plain["job"]["checkpoints"] |= {"every_steps": 2}
    plain["job"]["training"] |= training
    return RunSpec.model_validate(plain)


@pytest.fixture
def failing(tmp_path: Path, monkeypatch):
    """A controller whose workers run out of memory."""
    monkeypatch.setenv("FORGE_FAULT", f"training.before_batch:memory:{AT}")
    made = ControllerProcess(tmp_path, WORKER)
    made.start()
    yield made
    made.close()


def notes(detail: object) -> list[str]:
    return [event.body["code"] for event in detail.events if event.kind == "note"]


def test_that_a_run_goes_on_by_itself_with_less_and_its_curve_is_one(failing):
    run = failing.client.create(order("always"))
    detail = failing.until(run.uid, "completed", timeout=240)
    assert [attempt.cause for attempt in detail.attempts] == ["first", "memory"]
    assert (detail.attempts[0].reason, detail.attempts[1].resumed_step) == ("out_of_memory", 4)
    assert [rung.name for rung in detail.lowered] == ["parts"]
    assert detail.lowered[0].saved > 0
    assert "memory.lowered_parts" in notes(detail)
    assert detail.spec.job.training.micro_batch_parts == 1  # what was asked for stands
    carried_out = json.loads(failing.home.attempt(run.uid, 2).order.read_bytes())
    assert carried_out["spec"]["job"]["training"]["micro_batch_parts"] == 2
    series = failing.client.series(run.uid, ["loss"])["loss"]
    assert series.x.tolist() == list(range(1, STEPS + 1))


def test_that_a_run_waits_for_a_choice_and_goes_on_with_it(failing):
    run = failing.client.create(order("ask"))
    detail = failing.until(run.uid, "paused", timeout=240)
    assert (detail.run.reason, detail.run.error.code) == ("out_of_memory", "memory.asks")
    assert [rung.name for rung in detail.rungs] == ["parts", "checkpointing", "length", "4bit"]
    assert all(rung.saved > 0 for rung in detail.rungs)
    assert (
        "Rung     checkpointing: training.gradient_checkpointing = True; saves" in failing.forge("show", run.uid).stdout
    )
    said = failing.forge("resume", run.uid, "--rung", "checkpointing")
    assert said.returncode == 0, said.stderr
    detail = failing.until(run.uid, "completed", timeout=240)
    assert [rung.name for rung in detail.lowered] == ["checkpointing"]
    assert "memory.lowered_checkpointing" in notes(detail)


def test_that_a_run_that_may_not_go_on_fails(failing):
    run = failing.client.create(order("never"))
    detail = failing.until(run.uid, "failed", timeout=240)
    assert (detail.run.reason, len(detail.attempts)) == ("out_of_memory", 1)
    assert detail.lowered == []


@pytest.fixture
def capped(tmp_path: Path):
    """A controller in a memory group of its own, with the group's folder."""
    group = GROUPS / f"forge-test-{new_id()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no memory group of version 1 can be made here")
    made = ControllerProcess(tmp_path, WORKER)
    process = made.spawn()
    (group / "cgroup.procs").write_text(str(process.pid))  # and with it all that it starts
    wait_until(lambda: made._answers(process), what="the controller answers")
    made.client.edit_settings({"spare_workers": 0})
    yield made, group
    made.close()
    wait_until(lambda: not (group / "cgroup.procs").read_text().strip(), what="the group is empty")
    group.rmdir()


def test_that_a_real_cap_is_met_with_less_until_it_fits(capped):
    service, group = capped
    small = service.client.create(order("never", micro_batch_size=8, max_steps=2))
    service.until(small.uid, "completed", timeout=240)
    most = int((group / "memory.max_usage_in_bytes").read_text())
    (group / "memory.limit_in_bytes").write_text(str(most + 64_000_000))
    run = service.client.create(order("always", micro_batch_size=64, max_steps=2))
    detail = service.until(run.uid, "completed", timeout=400)
    assert detail.attempts[0].reason == "out_of_memory"
    assert {rung.name for rung in detail.lowered} <= {"parts", "checkpointing"}  # the mathematics stayed the same
    assert len(detail.attempts) == len(detail.lowered) + 1
    assert detail.run.step == 2
    exits = [json.loads(service.home.attempt(run.uid, one.n).exit.read_bytes()) for one in detail.attempts]
    assert [bool(one.get("out_of_memory")) for one in exits] == [True] * len(detail.lowered) + [False]
