"""Guards: each really provoked in a worker that trains, and what it does as its setting says."""

import json

import pytest
import tiny

from engine.contract import faults
from engine.contract.messages import MESSAGES

TRAINING = {"max_steps": 14, "micro_batch_size": 4, "learning_rate": 1e-3}
SAVED = {"every_steps": 2, "every_minutes": None, "keep_last": 100}


@pytest.fixture(autouse=True)
def no_fault_stays():
    yield
    faults.arm("")


def finished(made, code: int = 0, fault: str = ""):
    faults.arm(fault)
    assert made.run() == code, made.end
    return made


def told(made) -> list:
    """But for slow steps: the machine may be busy."""
    return [line for line in made.of("guard") if line.guard != "slow_step"]


def acted(made) -> list[tuple[str, str, int]]:
    return [(line.guard, line.deed, line.step) for line in told(made)]


def test_that_a_loss_that_is_no_number_ends_the_run_before_the_weights_are_spoilt(attempt):
    """In a process of its own: the fault comes by the variable, as a person would set it."""
    made = attempt(training=TRAINING, checkpoints=SAVED)
    assert made.start(FORGE_FAULT="training.loss:nan:8").wait(150) == 1, made.log
    assert (made.end.state, made.end.reason, made.end.error.code) == (
        *("failed", "loss_not_finite"),
        "training.loss_not_finite",
    )
    assert acted(made) == [("not_finite", "stopped", 8)]
    assert [line.step for line in made.of("step")] == list(range(1, 9))
    (line,) = told(made)
    assert MESSAGES[line.code].why
    assert line.done in MESSAGES


def test_that_a_gradient_that_is_no_number_is_skipped_where_that_is_wanted(attempt):
    made = attempt(training=TRAINING, guards={"not_finite": "skip"})
    finished(made, fault="training.gradient:nan:6")
    assert acted(made) == [("not_finite", "skipped", 6)]
    assert made.end.state == "completed"
    losses = [line.values["loss"] for line in made.of("step")]
    assert len(losses) == 14
    assert losses[-1] < losses[0]  # it learned on


def test_that_a_run_that_skips_on_and_on_stops_and_saves(attempt):
    made = attempt(training=TRAINING, guards={"not_finite": "skip", "max_skips": 3})
    finished(made, 77, fault="training.loss:inf:4+")
    assert acted(made) == [*(("not_finite", "skipped", step) for step in (4, 5, 6)), ("not_finite", "stopped", 7)]
    assert (made.end.state, made.end.reason) == ("stopped", "guard")
    assert made.end.error.code == "guard.loss_not_finite"
    assert [line.cause for line in made.of("checkpoint")] == ["stop"]
    assert made.of("artifact")


def test_that_an_exploding_gradient_turns_the_run_back_a_limited_number_of_times(attempt):
    guards = {"exploding_gradient": "roll_back", "max_rollbacks": 2, "rollback_rate": 0.5}
    made = attempt(training={**TRAINING, "schedule": "constant", "warmup_share": 0}, checkpoints=SAVED, guards=guards)
    finished(made, 77, fault="training.gradient:huge:7+")
    assert acted(made) == [
        ("exploding_gradient", "rolled_back", 7),
        ("exploding_gradient", "rolled_back", 8),
        ("exploding_gradient", "stopped", 9),
    ]
    assert [line.params["back"] for line in told(made)[:2]] == [6, 6]
    rates = [line.values["learning_rate"] for line in made.of("step")]
    assert rates[:7] == [1e-3] * 7
    assert rates[7:9] == [pytest.approx(5e-4), pytest.approx(2.5e-4)]
    assert (made.end.state, made.end.reason) == ("stopped", "guard")


def test_that_a_run_without_a_checkpoint_skips_in_place_of_going_back(attempt):
    saved = {"every_steps": 100, "every_minutes": None}
    made = attempt(training=TRAINING, checkpoints=saved, guards={"not_finite": "roll_back"})
    finished(made, fault="training.loss:nan:3")
    (line,) = told(made)
    assert (line.deed, line.wanted, line.done) == ("skipped", "roll_back", "guard.done.nothing_to_go_back_to")


def test_that_a_gradient_that_vanishes_is_told_once(attempt):
    made = attempt(training=TRAINING, guards={"vanishing_steps": 4})
    finished(made, fault="training.gradient:zero:5+")
    assert acted(made) == [("vanishing_gradient", "warned", 8)]


def test_that_a_step_with_nothing_to_learn_leaves_the_weights(attempt):
    made = finished(attempt(training=TRAINING), fault="training.batch:untrained:5")
    assert acted(made) == [("no_trained_tokens", "skipped", 5)]
    assert made.of("step")[4].values["loss"] == 0


def test_that_strange_rows_are_seen_as_a_spike(tmp_path, attempt):
    """Nothing is faked: many rows alike, then some that look like none of them."""
    same = {"messages": [{"role": "user", "content": "say"}, {"role": "assistant", "content": "aaaaaaaa"}]}
    odd = {"messages": [{"role": "user", "content": "say"}, {"role": "assistant", "content": "q%Z7~x!Jw"}]}
    train = tiny.write_jsonl(tmp_path / "odd.jsonl", [same] * 160 + [odd] * 4 + [same] * 4)
    made = attempt(
        data={"train": [{"path": str(train)}], "order": "kept"},
        tuner={"kind": "full"},
        training={**TRAINING, "max_steps": 42, "learning_rate": 1e-2},
        guards={"loss_spike": "skip", "exploding_gradient": "off", "spike_window": 8},
    )
    finished(made)
    assert acted(made) == [("loss_spike", "skipped", 41)]
    (line,) = told(made)
    assert line.seen["loss"] > line.seen["limit"] > line.seen["usual"]


def test_that_a_disk_that_fills_up_stops_the_run_while_there_is_room(attempt):
    made = finished(attempt(training=TRAINING, guards={"disk_filling": "stop", "disk_free_gb": 1e6}), 77)
    assert acted(made) == [("disk_filling", "stopped", 1)]
    assert (made.end.state, made.end.reason, made.end.step) == ("stopped", "guard", 1)
    assert made.of("artifact")


def test_that_data_that_does_not_come_breaks_the_wait_off_and_saves(attempt):
    made = attempt(training=TRAINING, guards={"stalled_data": "stop", "stalled_seconds": 2})
    finished(made, 77, fault="training.fetch:sleep:4")
    assert acted(made) == [("stalled_data", "stopped", 4)]
    assert (made.end.state, made.end.reason) == ("stopped", "guard")
    assert [(line.step, line.cause) for line in made.of("checkpoint")] == [(3, "stop")]
    assert next(line.step for line in made.of("artifact")) == 3


def test_that_a_slow_step_is_told(attempt):
    made = attempt(training=TRAINING, guards={"slow_factor": 1.5})
    finished(made, fault="training.before_batch:pause:13")
    assert ("slow_step", "warned", 13) in [(line.guard, line.deed, line.step) for line in made.of("guard")]


def test_that_a_resumed_run_goes_by_what_the_guards_knew(attempt):
    made = finished(attempt(training={**TRAINING, "max_steps": 6}, checkpoints=SAVED))
    (progress,) = (made.folder.parent.parent / "checkpoints").glob("a1-s6/progress.json")
    found = json.loads(progress.read_text())["guards"]
    assert len(found["losses"]) == len(found["norms"]) == 6
