"""Early stop, the best result, limits, fixed prompts, the interval of points, and where figures go."""

import json
import struct
import threading
import time
from pathlib import Path

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from test_resume import again

from engine.compute.worker.commands import StopFlag
from engine.compute.worker.trackers import Line
from engine.contract.stopping import improves, stops_at

TRAINING = {"max_steps": 12, "micro_batch_size": 4, "learning_rate": 1e-2}
NO_CLOCK = {"every_minutes": None}


def adapter(made) -> dict:
    return load_file(made.outputs / "adapter" / "adapter_model.safetensors")


@given(
    values=st.lists(st.floats(-50, 50) | st.just(float("nan")), max_size=60),
    patience=st.integers(1, 8),
    min_delta=st.floats(0, 5),
    higher=st.booleans(),
)
def test_that_early_stop_triggers_exactly_when_it_should(values, patience, min_delta, higher):
    """By another way of reckoning: the first measurement with `patience` before and with it that beat nothing."""

    def beats(at: int) -> bool:
        sign = 1 if higher else -1
        best = None
        for value in values[:at]:
            if value == value and (best is None or (value - best) * sign > min_delta):
                best = value
        return values[at] == values[at] and (best is None or (values[at] - best) * sign > min_delta)

    better = [beats(at) for at in range(len(values))]
    expected = next(
        (at for at in range(len(values)) if at + 1 >= patience and not any(better[at + 1 - patience : at + 1])), None
    )
    assert stops_at(values, patience, min_delta, higher) == expected
    if expected is not None:  # what comes later changes nothing, and before it nothing was too early
        assert stops_at(values[: expected + 1], patience, min_delta, higher) == expected
        assert stops_at(values[:expected], patience, min_delta, higher) is None
    assert not improves(float("nan"), None, min_delta, higher)


def test_that_a_run_that_gets_no_better_stops_early_with_its_best_state(tmp_path, attempt):
    """The answers measured are others than those learned, so that the loss falls first and rises then."""
    other = tiny.write_jsonl(
        tmp_path / "other.jsonl",
        [{"messages": [{"role": "user", "content": "say"}, {"role": "assistant", "content": "~~~~~~"}]}] * 4,
    )
    train = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(40))
    made = attempt(
        data={"train": [{"path": str(train)}], "validation": [{"path": str(other)}]},
        training={**TRAINING, "max_steps": 400, "validate_every": 2, "warmup_share": 0},
        checkpoints={**NO_CLOCK, "keep_last": 1, "keep_best": 1},
        stopping={"patience": 2, "result": "best"},
    )
    assert made.run() == 0
    measured = [(line.step, line.values["validation_loss"]) for line in made.of("validation")]
    place = stops_at([value for _, value in measured], 2)
    assert place == len(measured) - 1
    assert (made.end.state, made.end.reason, made.end.step) == ("completed", "early_stop", measured[-1][0])
    best = min(measured, key=lambda found: found[1])[0]
    assert best < measured[-1][0]
    artifact, beside = made.of("artifact")
    assert (artifact.step, beside.artifact, beside.step) == (best, "adapter_file", best)
    kept = made.folder.parent.parent / "checkpoints" / f"a1-s{best}" / "adapter_model.safetensors"
    saved = load_file(kept)
    assert all((adapter(made)[name] == saved[name]).all() for name in saved)
    assert {line.code for line in made.of("note")} >= {"training.early_stop", "training.best_result"}


def test_that_the_score_can_decide(tmp_path, attempt):
    held_out = tiny.write_jsonl(tmp_path / "held_out.jsonl", tiny.make_rows(3, 100))
    train = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(40))
    made = attempt(
        data={"train": [{"path": str(train)}], "validation_share": 0.1},
        training={**TRAINING, "validate_every": 2, "learning_rate": 1e-6},
        evaluation={"data": [{"path": str(held_out)}], "max_new_tokens": 3, "before": False},
        stopping={"patience": 3, "metric": "score"},
        checkpoints=NO_CLOCK,
    )
    assert made.run() == 0
    assert [line.values["score"] for line in made.of("validation")] == [0, 0, 0, 0]  # the first is the best
    assert (made.end.reason, made.end.step) == ("early_stop", 8)


@pytest.mark.parametrize(("limits", "price", "reason"), [
    ({"max_hours": 1e-9}, None, "time_limit"), ({"max_cost": 1e-9}, 2.0, "cost_limit"),
])  # fmt: skip
def test_that_a_limit_ends_the_run_with_its_result(attempt, limits, price, reason):
    made = attempt(training=TRAINING, spec={"limits": limits})
    order = json.loads((made.folder / "order.json").read_text()) | {"price": price}
    (made.folder / "order.json").write_text(json.dumps(order))
    assert made.run() == 0
    assert (made.end.state, made.end.reason, made.end.step) == ("completed", reason, 1)
    assert made.of("artifact")


def test_that_fixed_prompts_change_nothing_that_is_learned(attempt):
    saved = {**NO_CLOCK, "every_steps": 4}
    recipe = {"training": TRAINING, "checkpoints": saved, "tuner": {"kind": "lora", "rank": 4, "dropout": 0.3}}
    plain = attempt(name="plain", **recipe)
    asked = attempt(
        name="asked", **recipe, watching={"prompts": ["say 3", "say 9"], "prompt_tokens": 3, "prompts_every": 2}
    )
    assert plain.run() == asked.run() == 0
    found = [(line.when, line.index, line.step, line.prompt) for line in asked.of("sample")]
    assert found == [("checkpoint", i, s, f"say {n}") for s in (4, 12) for i, n in ((0, 3), (1, 9))]
    losses = [[line.values["loss"] for line in made.of("step")] for made in (plain, asked)]
    assert losses[0] == losses[1]
    one, other = adapter(plain), adapter(asked)
    assert all((one[name] == other[name]).all() for name in one)


def test_that_the_interval_of_points_changes_while_it_trains(attempt):
    made = attempt(training={**TRAINING, "max_steps": 60})
    control = made.folder / "control"
    control.mkdir()
    asked = []

    class AskLater(StopFlag):
        """Asks once at least three points are in the journal; they are written a moment after they are made."""

        def __bool__(self):
            path = made.folder / "journal.jsonl"
            if not asked and path.exists() and path.read_text().count('"kind":"step"') >= 3:
                asked.append(True)
                aside = made.folder / "c1.json"
                aside.write_text(json.dumps({"id": "c1", "verb": "log_every", "params": {"steps": 4}}))
                aside.rename(control / "c1.json")
            return super().__bool__()

    made.run(AskLater())
    (ack,) = made.of("ack")
    assert (ack.command, ack.error) == ("c1", None)
    steps = [line.step for line in made.of("step")]
    told = next(line.seq for line in made.of("note") if line.code == "training.log_every")
    after = [line.step for line in made.of("step") if line.seq > told]
    assert after
    assert all(step % 4 == 0 for step in after)
    assert steps[:3] == [1, 2, 3]


def points(folder: Path) -> list[tuple[int, str, float]]:
    """(step, name, value) of event files by their form: length, its checksum, an Event, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted(folder.iterdir()):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            found += [
                (event.step, one.tag, one.simple_value)
                for one in event.summary.value
                if one.tag != "config/text_summary"
            ]
            at += 16 + length
    return found


def test_that_tensorboard_files_hold_the_curve_also_after_a_resume(attempt):
    made = attempt(training={**TRAINING, "max_steps": 6}, checkpoints={**NO_CLOCK, "every_steps": 3})
    assert made.run() == 0
    second = again(made, 3)
    assert second.run() == 0
    for one, steps in ((made, range(1, 7)), (second, range(4, 7))):
        found = {step: value for step, tag, value in points(one.outputs / "tensorboard") if tag == "train/loss"}
        wanted = {line.step: line.values["loss"] for line in one.of("step")}
        assert list(found) == list(wanted) == list(steps)
        assert all(found[step] == pytest.approx(wanted[step], rel=1e-6) for step in steps)


def test_that_a_tracker_that_is_not_installed_ends_the_run_before_it_loads_anything(attempt):
    made = attempt(watching={"trackers": ["swanlab"]})
    assert made.run() == 1
    assert (made.end.reason, made.end.error.code) == ("worker_environment", "tracking.missing")
    assert made.end.error.params["package"] == "swanlab"
    assert "loading" not in [line.phase.value for line in made.of("phase")]


class Fails:
    def log(self, step, values, at):
        raise RuntimeError("no route")

    def finish(self):
        """Never reached."""


class Hangs:
    def __init__(self):
        self.begun, self.may_end = threading.Event(), threading.Event()

    def log(self, step, values, at):
        self.begun.set()
        self.may_end.wait(60)

    def finish(self):
        """Nothing to do."""


def test_that_a_tracker_that_fails_or_hangs_holds_nobody_up():
    failing, tracker = Line("fails", Fails), Hangs()
    failing.put(1, {"loss": 1.0})
    assert failing.close(time.monotonic() + 60)
    assert failing.failure == "RuntimeError: no route"
    hanging = Line("hangs", lambda: tracker, size=3)
    hanging.put(1, {"loss": 1.0})
    assert tracker.begun.wait(60)
    for step in range(2, 10):
        hanging.put(step, {"loss": 1.0})
    assert not hanging.close(time.monotonic())
    assert (hanging.dropped, hanging.left) == (5, 8)
    tracker.may_end.set()
    assert hanging.close(time.monotonic() + 60)
