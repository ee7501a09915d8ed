"""Several processes that train one run: the curve is that of one, whatever each has of the rows."""

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import tiny
from helpers import Attempt
from safetensors.torch import load_file

from engine.compute.training.members import share_of
from engine.compute.worker.commands import StopFlag
from engine.contract import row_losses

TWO = {"compute": {"gpus": 0, "processes": 2}}
DEEPSPEED = pytest.mark.skipif(
    find_spec("deepspeed") is None, reason="the worker's environment has no deepspeed, which is optional"
)


def zero(*case):
    """With DeepSpeed, where it is."""
    return pytest.param(*case, marks=DEEPSPEED)


def shared(strategy: str) -> dict:
    return {"compute": {**TWO["compute"], "strategy": strategy}}


def carried_out(made: Attempt, strategy: str) -> int:
    """Its exit code. DeepSpeed keeps much for the whole process, so it gets one of its own, as in real life."""
    return apart(made) if strategy.startswith("zero") else made.run()


def apart(made: Attempt) -> int:
    """Its exit code, where it is a process of its own: it counts faults from one on."""
    process = made.start()
    try:
        return process.wait(150)
    finally:
        process.kill()


def uneven(count: int) -> list[dict]:
    """Rows in which answers are of very different lengths, so that no two members have as many tokens."""
    return [
        {"messages": [{"role": "user", "content": "say"}, {"role": "assistant", "content": "ja " * (1 + (n * n) % 13)}]}
        for n in range(count)
    ]


def preferences(count: int) -> list[dict]:
    return [{"prompt": f"say {n}", "chosen": "yes " * (1 + n % 5), "rejected": f"no {n % 7}"} for n in range(count)]


def curve(made: Attempt, *names: str) -> list[list[float]]:
    return [[line.values[name] for name in names] for line in made.of("step")]


def near(ours, theirs, relative=2e-4):
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=relative, abs=1e-6)


def adapter(made: Attempt) -> dict:
    return load_file(str(next(made.outputs.rglob("*model.safetensors"))))


@pytest.mark.parametrize(("rows", "count"), [(8, 2), (7, 3), (2, 3), (1, 2)])
def test_that_every_row_is_exactly_one_members(rows, count):
    shares = [range(*share_of(rows, number, count)) for number in range(count)]
    assert [row for share in shares for row in share] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "strategy"), [("lora", "ddp"), ("full", "ddp"), ("dpo", "ddp"), ("lora", "fsdp2"), ("full", "fsdp2"),
                           ("dpo", "fsdp2"), zero("lora", "zero1"), zero("lora", "zero2"), zero("lora", "zero3"),
                           zero("full", "zero2"), zero("full", "zero3"), zero("dpo", "zero3")]
)  # fmt: skip
def test_that_the_curve_is_that_of_one_process(attempt, case, strategy):
    job = {
        "rows": preferences(21) if case == "dpo" else uneven(21),  # the last batch of an epoch has a single row
        "training": {
            "max_steps": 10, "micro_batch_size": 4, "accumulation": 2, "learning_rate": 1e-3, "validate_every": 2,
            "micro_batch_parts": 2 if case == "lora" else 1,
        },
        "tuner": {"kind": "full"} if case == "full" else {"kind": "lora", "rank": 4},
        "stage": "dpo" if case == "dpo" else "sft",
    }  # fmt: skip
    one, both = attempt(**job, name="one"), attempt(**job, name="two", spec=shared(strategy))
    assert (one.run(), carried_out(both, strategy)) == (0, 0), both.end
    told = ["loss", "grad_norm", "learning_rate", "tokens_seen"]
    near(curve(both, *told), curve(one, *told))
    if case == "dpo":
        names = ["rewards/margins", "rewards/accuracies", "logps/chosen"]
        near(curve(both, *names), curve(one, *names))
    ours, theirs = adapter(both), adapter(one)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].numpy() == pytest.approx(theirs[name].numpy(), rel=1e-3, abs=1e-4)
    assert (both.folder / "worker-1.log").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "objective"), [("orpo", {}), ("cpo", {}), ("dpo", {"rpo_alpha": 0.5})])
def test_that_means_over_the_tokens_of_better_answers_are_those_of_one_process(attempt, stage, objective):
    job = {
        "rows": preferences(21), "stage": stage, "objective": objective, "tuner": {"kind": "lora", "rank": 4},
        "training": {"max_steps": 4, "micro_batch_size": 4, "accumulation": 2, "learning_rate": 1e-3},
    }  # fmt: skip
    parts = {**job, "training": {**job["training"], "micro_batch_parts": 2}}
    one, two, cut = attempt(**job, name="one"), attempt(**job, name="two", spec=TWO), attempt(**parts, name="cut")
    assert (one.run(), two.run(), cut.run()) == (0, 0, 0), two.end
    told = ["loss", "grad_norm", "rewards/margins", *([] if stage == "dpo" else ["nll_loss"])]
    near(curve(two, *told), curve(one, *told))
    near(curve(cut, *told), curve(one, *told))  # parts of a micro batch are the same sums as well


# Everything around.


def recipe(**more) -> dict:
    """Dropout is on: each member draws for itself."""
    return {
        "rows": uneven(24),
        "tuner": {"kind": "lora", "rank": 4, "dropout": 0.3},
        "training": {"max_steps": 6, "micro_batch_size": 4, "learning_rate": 1e-2, "seed": 7},
        "checkpoints": {"every_minutes": None, "every_steps": 2, "keep_last": 100},
        **more,
    }


def again(made: Attempt, step: int, number: int, **compute) -> Attempt:
    """The next attempt of the same run, from a checkpoint of this one, with so many processes."""
    folder = made.folder.parent / str(number)
    folder.mkdir()
    order = json.loads((made.folder / "order.json").read_text())
    point = {"attempt": order["attempt"], "step": step, "path": f"checkpoints/a{order['attempt']}-s{step}"}
    order |= {"attempt": number, "lease": f"l{number}", "resume_required": True, "resume": [point]}
    order["spec"]["compute"] = {"gpus": 0} | compute
    (folder / "order.json").write_text(json.dumps(order))
    return Attempt(folder)


def rows_file(rows: list[dict], folder: Path) -> str:
    return str(tiny.write_jsonl(folder / "rows.jsonl", rows))


def after(made: Attempt, step: int) -> list[list[float]]:
    return [[line.values["loss"], line.values["grad_norm"]] for line in made.of("step") if line.step > step]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", zero("zero2"), zero("zero3")])
def test_that_two_go_on_bit_for_bit_where_they_were(attempt, strategy):
    whole = attempt(**recipe(), spec=shared(strategy))
    assert carried_out(whole, strategy) == 0, whole.end
    assert (whole.folder.parent.parent / "checkpoints" / "a1-s2" / "chance-1.pt").is_file()
    resumed = again(whole, 2, 2, **shared(strategy)["compute"])
    assert carried_out(resumed, strategy) == 0, resumed.end
    assert after(resumed, 2) == after(whole, 2) != []
    assert not [note for note in resumed.of("note") if note.code == "checkpoint.not_exact"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "strategy"), [
    ("lora", "ddp"), ("lora", "fsdp2"), ("full", "fsdp2"), zero("lora", "zero2"), zero("lora", "zero3"),
    zero("full", "zero3"),
])  # fmt: skip
def test_that_a_run_goes_on_with_another_number_of_members(attempt, tmp_path, kind, strategy):
    watching = {"prompts": ["say 1"], "prompt_tokens": 4}
    job = recipe(tuner={"kind": kind, **({"rank": 4} if kind == "lora" else {})}, watching=watching)
    job["training"] |= {"validate_every": 2, **({"learning_rate": 1e-3} if kind == "full" else {})}
    job["data"] = {"train": [{"path": rows_file(job["rows"], tmp_path)}], "validation_share": 0.2}
    one = attempt(**job)
    assert one.run() == 0
    two = again(one, 2, 2, processes=2, strategy=strategy)
    assert carried_out(two, strategy) == 0, two.end
    near(after(two, 2), after(one, 2))
    back = again(two, 4, 3)
    assert back.run() == 0, back.end
    found, expected = ([line.values["validation_loss"] for line in made.of("validation")] for made in (two, one))
    assert len(found) == 2
    assert found == pytest.approx(expected[1:], rel=1e-4)
    near(after(back, 4), after(one, 4))
    assert [line.answer for line in two.of("sample")] == [line.answer for line in one.of("sample")][1:]
    (note,) = [note for note in two.of("note") if note.code == "checkpoint.not_exact"]
    assert "members 1 → 2" in note.params["differences"]


class AtStep(StopFlag):
    """Does something to the attempt as soon as a step is in the journal."""

    def __init__(self, made: Attempt, step: int, deed) -> None:
        super().__init__()
        self._journal, self._step, self._deed = made.folder / "journal.jsonl", step, deed

    def __bool__(self) -> bool:
        done = self._journal.read_bytes().count(b'"kind":"step"') if self._journal.exists() else 0
        if self._deed is not None and done >= self._step:
            deed, self._deed = self._deed, None
            deed()
        return super().__bool__()


def command(made: Attempt, verb: str) -> None:
    (made.folder / "control").mkdir(exist_ok=True)
    (made.folder / "control" / f"c-{verb}.json").write_text(json.dumps({"id": f"c-{verb}", "verb": verb}))


@pytest.mark.slow
def test_that_a_pause_saves_what_all_members_need(attempt, monkeypatch):
    monkeypatch.setattr("engine.compute.worker.worker.POLL_SECONDS", 0.0)
    whole = attempt(**recipe(), name="whole", spec=TWO)
    assert whole.run() == 0, whole.end
    paused = attempt(**recipe(checkpoints={"every_minutes": None}), name="paused", spec=TWO)
    assert paused.run(AtStep(paused, 3, lambda: command(paused, "pause"))) == 77
    assert paused.end.state == "paused"
    (saved,) = paused.of("checkpoint")
    resumed = again(paused, saved.step, 2, processes=2)
    assert resumed.run() == 0, resumed.end
    assert after(resumed, saved.step) == after(whole, saved.step) != []


@pytest.mark.slow
def test_that_losses_of_rows_are_those_of_all_members(attempt):
    one, two = (attempt(**recipe(tuner={"kind": "lora", "rank": 4}), name=name, spec=spec)
                for name, spec in (("one", {}), ("two", TWO)))  # fmt: skip
    assert (one.run(), two.run()) == (0, 0)
    ours, theirs = rows_of(two), rows_of(one)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 24
    for key, loss in ours.items():
        assert loss == pytest.approx(theirs[key], rel=1e-3, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2", zero("zero3")])
def test_that_an_early_stop_ends_all_members_where_one_process_ends(attempt, tmp_path, strategy):
    job = recipe(stopping={"patience": 1, "min_delta": 100.0, "result": "best"}, tuner={"kind": "lora", "rank": 4})
    job["training"] |= {"max_steps": 40, "validate_every": 2}
    job["data"] = {"train": [{"path": rows_file(job["rows"], tmp_path)}], "validation_share": 0.2}
    one, two = (attempt(**job, name=name, spec={"compute": {"gpus": 0, **compute}})
                for name, compute in (("one", {}), ("two", {"processes": 2, "strategy": strategy})))  # fmt: skip
    assert (one.run(), carried_out(two, strategy)) == (0, 0), two.end
    assert (two.end.state, two.end.reason, two.end.step) == ("completed", "early_stop", one.end.step)
    near(curve(two, "loss"), curve(one, "loss"))
    found, expected = ([line.values["validation_loss"] for line in made.of("validation")] for made in (two, one))
    assert found == pytest.approx(expected, rel=1e-4)
    assert adapter(two).keys() == adapter(one).keys()
    assert not members_of(os.getpid())


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2", zero("zero1")])
def test_that_a_finished_run_of_two_is_extended_on_one_curve(attempt, strategy):
    job = recipe(tuner={"kind": "lora", "rank": 4})
    job["training"]["schedule"] = "constant"
    spec = shared(strategy)
    longer = {**job, "training": {**job["training"], "max_steps": 10}}
    short, long = attempt(**job, name="short", spec=spec), attempt(**longer, name="long", spec=spec)
    assert (carried_out(short, strategy), carried_out(long, strategy)) == (0, 0), long.end
    folder = short.folder.parent / "2"
    order = json.loads((short.folder / "order.json").read_text())
    point = {"attempt": 1, "step": 6, "path": "checkpoints/a1-s6"}
    order |= {"attempt": 2, "lease": "l2", "resume_required": True, "resume": [point]}
    order["spec"]["job"]["training"]["max_steps"] = 10
    folder.mkdir()
    (folder / "order.json").write_text(json.dumps(order))
    extended = Attempt(folder)
    assert carried_out(extended, strategy) == 0, extended.end
    assert [line.step for line in extended.of("step")] == [7, 8, 9, 10]
    near(after(extended, 6), after(long, 6))


def rows_of(made: Attempt) -> dict[tuple[int, int], float]:
    _rows, losses = row_losses.read(made.outputs / row_losses.FOLDER)
    return {(int(one["step"]), int(one["place"])): float(one["loss"]) for one in losses}


@pytest.mark.slow
def test_that_a_figure_that_is_none_on_one_member_is_seen_by_all(attempt, monkeypatch):
    monkeypatch.setenv("FORGE_FAULT", "training.loss:nan:3@1")
    job = recipe(guards={"not_finite": "roll_back"})
    made = attempt(**job, spec=TWO)
    assert made.run() == 0, made.end
    (guard,) = made.of("guard")
    assert (guard.step, guard.deed) == (3, "rolled_back")
    assert guard.params["back"] == 2
    assert len(made.of("step")) == 6


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [zero("zero1"), zero("zero2"), zero("zero3")])
@pytest.mark.parametrize(("what", "step"), [("training.loss:nan:3@1", 3), ("training.gradient:huge:7", 7)])
def test_that_a_step_that_is_left_out_changes_nothing_however_it_is_shared(attempt, monkeypatch, what, step, strategy):
    monkeypatch.setenv("FORGE_FAULT", what)
    job = recipe(tuner={"kind": "lora", "rank": 4}, guards={"not_finite": "skip", "exploding_gradient": "skip"})
    job["training"] |= {"max_steps": 9, "learning_rate": 1e-3}
    plain, parted = (attempt(**job, name=name, spec=shared(name)) for name in ("ddp", strategy))
    assert (apart(plain), apart(parted)) == (0, 0), parted.end
    ours, theirs = ([(guard.step, guard.deed) for guard in made.of("guard")] for made in (parted, plain))
    assert ours == theirs == [(step, "skipped")]
    norms, expected = ([[norm] for _loss, norm in after(made, step)] for made in (parted, plain))
    near(norms, expected)
    left, kept = adapter(parted), adapter(plain)
    for name in left:
        assert left[name].numpy() == pytest.approx(kept[name].numpy(), rel=1e-3, abs=1e-4)


@pytest.mark.slow
@DEEPSPEED
def test_that_a_checkpoint_goes_on_under_every_strategy(attempt):
    job = recipe(tuner={"kind": "lora", "rank": 4})
    made = attempt(**job, spec=shared("zero3"))
    assert carried_out(made, "zero3") == 0, made.end
    expected = after(made, 0)
    for number, strategy in enumerate(("fsdp2", "zero1", "ddp"), 2):
        other = again(made, 2, number, **shared(strategy)["compute"])
        assert carried_out(other, strategy) == 0, other.end
        near(after(other, 2), expected[2:])
        assert not [note for note in other.of("note") if note.code == "checkpoint.not_exact"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "strategy"), [("kill", "ddp"), ("memory", "ddp"), ("sleep", "ddp"), zero("kill", "zero3"),
                          zero("memory", "zero2"), zero("sleep", "zero3")]
)  # fmt: skip
def test_that_a_member_that_is_lost_ends_the_attempt_by_its_name(attempt, monkeypatch, how, strategy):
    monkeypatch.setenv("FORGE_FAULT", f"training.before_batch:{how}:3@1")
    spec = {"compute": {**shared(strategy)["compute"], "wait_minutes": 0.05 if how == "sleep" else 10}}
    made = attempt(**recipe(), spec=spec)
    assert carried_out(made, strategy) == 1
    reason, code = {
        "kill": ("worker_killed", "worker.member_lost"),
        "memory": ("out_of_memory", "memory.exhausted"),
        "sleep": ("hang", "worker.member_hung"),
    }[how]
    assert (made.end.reason, made.end.error.code) == (reason, code)
    if how != "memory":
        assert made.end.error.params["member"] == 1
    assert len(made.of("step")) == 2
    assert not members_of(os.getpid())


def members_of(parent: int) -> list[psutil.Process]:
    """Members that live."""
    return [one for one in psutil.Process(parent).children(recursive=True)
            if "engine.compute.worker.member" in one.cmdline()]  # fmt: skip


@pytest.mark.slow
def test_that_no_member_outlives_the_first(attempt):
    made = attempt(**recipe(training={"max_steps": 5000, "micro_batch_size": 4}), spec=TWO)
    process = made.start()
    try:
        made.wait_for("step", process, 2)
        others = members_of(process.pid)
        assert len(others) == 1
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert psutil.wait_procs(others, 30)[1] == []
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_that_sigterm_saves_and_ends_all_members(attempt):
    made = attempt(**recipe(training={"max_steps": 5000, "micro_batch_size": 4}), spec=TWO)
    process = made.start()
    try:
        made.wait_for("step", process, 2)
        others = members_of(process.pid)
        for one in (process, *others):  # a service manager tells every process of the group
            one.send_signal(signal.SIGTERM)
        assert process.wait(60) == 77
        assert psutil.wait_procs(others, 30)[1] == []
        assert made.of("checkpoint")
        assert made.end.state == "stopped"
    finally:
        process.kill()
        process.wait()
