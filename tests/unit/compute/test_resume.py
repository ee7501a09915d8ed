"""Going on from a checkpoint: the curve after it is the uninterrupted run's, bit for bit."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import tiny
from helpers import Attempt

from engine.compute.training.checkpoint import CHANCE, OPTIMISER, Chance
from engine.compute.worker.checkpoints import Damaged, verified
from engine.compute.worker.commands import StopFlag
from engine.contract.checkpoints import MANIFEST

STEPS = 14


@pytest.fixture
def recipe(tmp_path):
    """A run in which everything a resume can get wrong plays a part: dropout, length groups, accumulation, epochs."""
    train = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(40))
    return {
        "data": {"train": [{"path": str(train)}], "validation_share": 0.1},
        "tuner": {"kind": "lora", "rank": 4, "dropout": 0.3},
        "training": {
            "max_steps": STEPS, "micro_batch_size": 4, "accumulation": 2, "learning_rate": 1e-2, "validate_every": 5,
            "group_by_length": True,
        },
        "checkpoints": {"every_minutes": None, "every_steps": 3, "keep_last": 100},
    }  # fmt: skip


def losses(made: Attempt) -> dict[int, tuple[float, float]]:
    return {line.step: (line.values["loss"], line.values["grad_norm"]) for line in made.of("step")}


def validations(made: Attempt) -> dict[int, float]:
    return {line.step: line.values["validation_loss"] for line in made.of("validation")}


def again(made: Attempt, step: int, number: int = 2, required: bool = True, **training) -> Attempt:
    """The next attempt of the same run, from a checkpoint of the attempt given."""
    folder = made.folder.parent / str(number)
    folder.mkdir()
    order = json.loads((made.folder / "order.json").read_text())
    first = order["attempt"]
    order |= {"attempt": number, "lease": f"l{number}", "resume_required": required}
    order["resume"] = [{"attempt": first, "step": step, "path": f"checkpoints/a{first}-s{step}"}]
    order["spec"]["job"]["training"] |= training
    (folder / "order.json").write_text(json.dumps(order))
    return Attempt(folder)


def checkpoints(made: Attempt) -> Path:
    return made.folder.parent.parent / "checkpoints"


def tensors(folder: Path) -> dict[str, bytes]:
    names = ("adapter_model.safetensors", "model.safetensors")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


@pytest.mark.parametrize("case", ["lora", "full", "log_every", "no_accumulation", "lazy"])
@pytest.mark.parametrize("step", [3, 6, 12])
def test_that_the_losses_after_a_resume_are_those_of_the_uninterrupted_run(attempt, recipe, case, step, monkeypatch):
    if case == "full":
        recipe["tuner"] = {"kind": "full"}
        recipe["training"]["learning_rate"] = 1e-3
    elif case == "log_every":
        recipe["training"]["log_every"] = 4
    elif case == "no_accumulation":
        recipe["training"]["accumulation"] = 1
    elif case == "lazy":  # rows tokenised ahead by a thread
        monkeypatch.setattr("engine.compute.data.pool.EAGER_ROWS", 10)
        monkeypatch.setattr("engine.compute.data.pool.PROBE_ROWS", 5)
    whole = attempt(**recipe)
    assert whole.run() == 0
    resumed = again(whole, step)
    assert resumed.run() == 0
    (line,) = resumed.of("resumed")
    assert (line.attempt, line.step) == (1, step)
    expected, found = losses(whole), losses(resumed)
    assert min(found) > step
    assert found == {at: values for at, values in expected.items() if at > step}
    assert validations(resumed) == {at: value for at, value in validations(whole).items() if at > step}
    last = f"s{STEPS}"
    assert tensors(checkpoints(whole) / f"a2-{last}") == tensors(checkpoints(whole) / f"a1-{last}") != {}
    assert not [score for score in resumed.of("score") if score.when == "before"]


class AtStep(StopFlag):
    """Writes a command as soon as a step is in the journal."""

    def __init__(self, made: Attempt, *commands: tuple[int, dict]) -> None:
        super().__init__()
        self._journal, self._control = made.folder / "journal.jsonl", made.folder / "control"
        self._control.mkdir(exist_ok=True)
        self._commands = list(commands)

    def __bool__(self) -> bool:
        done = self._journal.read_bytes().count(b'"kind":"step"') if self._journal.exists() else 0
        while self._commands and done >= self._commands[0][0]:
            step, command = self._commands.pop(0)
            path = self._control / f"c{step}{command['verb']}.json"
            path.write_text(json.dumps({"id": path.stem, **command}))
        return super().__bool__()


@pytest.fixture
def attentive(monkeypatch):
    """A worker that looks for commands at every step, so that a test knows at which one they are carried out."""
    monkeypatch.setattr("engine.compute.worker.worker.POLL_SECONDS", 0.0)


def test_that_pausing_and_going_on_changes_nothing(attempt, recipe, attentive):
    recipe["checkpoints"] = {"every_minutes": None, "keep_best": 0}
    whole = attempt(**recipe, name="whole")
    assert whole.run() == 0
    paused = attempt(**recipe, name="paused")
    assert paused.run(AtStep(paused, (5, {"verb": "pause"}))) == 77
    assert (paused.end.state, paused.end.reason) == ("paused", "paused_by_person")
    (saved,) = paused.of("checkpoint")
    assert saved.cause == "pause"
    assert saved.step == paused.of("step")[-1].step < STEPS
    assert not paused.of("artifact")
    resumed = again(paused, saved.step)
    assert resumed.run() == 0
    assert losses(paused) | losses(resumed) == losses(whole)
    assert validations(paused) | validations(resumed) == validations(whole)


def test_that_answers_and_checkpoints_on_command_change_nothing(attempt, recipe, attentive):
    plain = attempt(**recipe, name="plain")
    assert plain.run() == 0
    asked = attempt(**recipe, name="asked")
    question = {"verb": "sample", "params": {"prompts": ["say 3", "说 4"], "max_new_tokens": 5}}
    assert asked.run(AtStep(asked, (2, question), (4, {"verb": "save"}), (7, question))) == 0
    assert [ack.error for ack in asked.of("ack")] == [None, None, None]
    now = [sample for sample in asked.of("sample") if sample.when == "now"]
    assert [(sample.index, sample.prompt) for sample in now] == [(0, "say 3"), (1, "说 4")] * 2
    assert all(2 <= sample.step < STEPS for sample in now)
    assert "person" in [line.cause for line in asked.of("checkpoint")]
    assert losses(asked) == losses(plain)


def test_that_a_kill_in_the_middle_of_saving_costs_only_that_checkpoint(attempt, recipe):
    recipe["checkpoints"]["keep_best"] = 0
    whole = attempt(**recipe, name="whole")
    assert whole.run() == 0
    killed = attempt(**recipe, name="killed")
    pid = os.fork()
    if pid == 0:  # a worker of its own, killed by the system between two files of its third checkpoint
        import engine.compute.training.checkpoint as checkpoint

        saves = []
        original = checkpoint.torch.save

        def dying_save(content, path, **rest):
            saves.append(path)
            if Path(path).name == CHANCE and sum(Path(one).name == OPTIMISER for one in saves) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            original(content, path, **rest)

        checkpoint.torch.save = dying_save
        killed.run()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert sorted(path.name for path in checkpoints(killed).iterdir()) == [".a1-s9.partial", "a1-s3", "a1-s6"]
    resumed = again(killed, 6)
    assert resumed.run() == 0
    assert {at: values for at, values in losses(killed).items() if at <= 6} | losses(resumed) == losses(whole)
    assert not [path for path in checkpoints(killed).iterdir() if path.name.startswith(".")]


def damage_bytes(folder: Path) -> None:
    path = folder / OPTIMISER
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage_torn(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


DAMAGES = {
    "one bit": damage_bytes,
    "torn file": damage_torn,
    "missing file": lambda folder: (folder / CHANCE).unlink(),
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "torn manifest": lambda folder: (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:200]),
    "gone": shutil.rmtree,
    "a link in place of a file": lambda folder: (
        (folder / CHANCE).rename(folder.parent / "elsewhere"),
        (folder / CHANCE).symlink_to(folder.parent / "elsewhere"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_that_a_damaged_checkpoint_is_passed_over_for_an_older_one(attempt, recipe, damage):
    recipe["checkpoints"]["at_end"] = False
    made = attempt(**recipe)
    assert made.run() == 0
    DAMAGES[damage](checkpoints(made) / "a1-s9")
    resumed = again(made, 9, required=False)
    order = json.loads((resumed.folder / "order.json").read_text())
    order["resume"].append({"attempt": 1, "step": 6, "path": "checkpoints/a1-s6"})
    (resumed.folder / "order.json").write_text(json.dumps(order))
    assert resumed.run() == 0
    notes = [note.code for note in resumed.of("note")]
    assert "checkpoint.skipped" in notes
    assert resumed.of("resumed")[0].step == 6
    assert losses(resumed) == {at: values for at, values in losses(made).items() if at > 6}
    chosen = again(made, 9, number=3)
    assert chosen.run() == 1
    assert chosen.end.error.code == "checkpoint.none_good"
    fresh = again(made, 9, number=4, required=False)
    assert fresh.run() == 0
    assert "checkpoint.from_start" in [note.code for note in fresh.of("note")]
    assert losses(fresh) == losses(made)


def test_that_another_model_other_rows_or_another_tuner_are_refused(attempt, recipe, tmp_path):
    made = attempt(**recipe)
    assert made.run() == 0
    rows = tiny.make_rows(40)
    tiny.write_jsonl(tmp_path / "rows.jsonl", [rows[1], rows[0], *rows[2:]])
    other_rows = again(made, 6)
    assert other_rows.run() == 1
    assert (other_rows.end.error.code, other_rows.end.reason) == ("checkpoint.data_changed", "bad_data")
    tiny.write_jsonl(tmp_path / "rows.jsonl", rows)
    other_model = again(made, 6, number=3)
    order = json.loads((other_model.folder / "order.json").read_text())
    order["spec"]["job"]["model"]["path"] = str(tiny.save_model(tmp_path / "other", template=None))
    order["spec"]["job"]["model"]["template"] = "chatml"
    (other_model.folder / "order.json").write_text(json.dumps(order))
    assert other_model.run() == 1
    assert (other_model.end.error.code, other_model.end.reason) == ("checkpoint.model_changed", "bad_model")
    other_tuner = again(made, 6, number=4)
    order = json.loads((other_tuner.folder / "order.json").read_text())
    order["spec"]["job"]["tuner"] = {"kind": "full"}
    (other_tuner.folder / "order.json").write_text(json.dumps(order))
    assert other_tuner.run() == 1
    assert other_tuner.end.error.code == "checkpoint.tuner_changed"
    assert not other_rows.of("step") + other_model.of("step") + other_tuner.of("step")


def test_that_a_finished_run_is_extended_on_one_curve(attempt, recipe):
    recipe["training"]["schedule"] = "constant"
    longer = attempt(**recipe | {"training": recipe["training"] | {"max_steps": 20}}, name="longer")
    assert longer.run() == 0
    made = attempt(**recipe, name="made")
    assert made.run() == 0
    extended = again(made, STEPS, max_steps=20)
    assert extended.run() == 0
    warm = {at for at in losses(longer) if at > STEPS}
    assert set(losses(extended)) == warm == set(range(STEPS + 1, 21))
    assert losses(extended) == {at: losses(longer)[at] for at in warm}  # a constant rate has no memory of the end


def test_that_a_run_whose_training_is_done_only_measures(attempt, recipe, tmp_path):
    held_out = tiny.write_jsonl(tmp_path / "held_out.jsonl", tiny.make_rows(4, 100))
    recipe["evaluation"] = {"data": [{"path": str(held_out)}], "max_new_tokens": 3}
    made = attempt(**recipe)
    assert made.run() == 0
    done = again(made, STEPS)
    assert done.run() == 0
    assert not done.of("step")
    assert [score.when for score in done.of("score")] == ["after"]
    assert (done.outputs / "answers_after.jsonl").read_bytes() == (made.outputs / "answers_after.jsonl").read_bytes()
    assert tensors(done.outputs / "adapter") == tensors(made.outputs / "adapter")


def test_that_the_newest_the_best_and_those_a_person_asked_for_are_kept(attempt, recipe, attentive):
    recipe["checkpoints"] |= {"keep_last": 2, "every_steps": 2}
    made = attempt(**recipe)
    assert made.run(AtStep(made, (3, {"verb": "save"}))) == 0
    lines = made.of("checkpoint")
    removed = {line.path for line in made.of("checkpoint_removed")}
    there = {f"checkpoints/{path.name}" for path in checkpoints(made).iterdir()}
    assert there == {line.path for line in lines} - removed
    newest = {line.path for line in lines[-2:]}
    by_person = {line.path for line in lines if line.cause == "person"}
    best = min((line for line in lines if line.validation_loss is not None), key=lambda line: line.validation_loss)
    assert there == newest | by_person | {best.path}
    assert by_person
    for path in checkpoints(made).iterdir():
        manifest = verified(path)
        assert f"a{manifest.attempt}-s{manifest.step}" == path.name
        assert manifest.files.keys() == {file.name for file in path.iterdir()} - {MANIFEST}


def test_that_a_checkpoint_is_made_by_the_clock(attempt, recipe):
    recipe["checkpoints"] = {"every_minutes": 1e-9, "at_end": False}
    made = attempt(**recipe)
    assert made.run() == 0
    assert [line.step for line in made.of("checkpoint")] == list(range(1, STEPS + 1))
    assert {line.cause for line in made.of("checkpoint")} == {"minutes"}


def test_that_chance_goes_on_where_it_was(tmp_path):
    import random

    import numpy as np
    import torch

    Chance.now().save(tmp_path / "chance")
    drawn = (random.gauss(0, 1), np.random.normal(size=3).tolist(), torch.rand(3).tolist(), random.random())
    Chance.load(tmp_path / "chance").restore()
    assert (random.gauss(0, 1), np.random.normal(size=3).tolist(), torch.rand(3).tolist(), random.random()) == drawn


def test_that_nothing_outside_the_run_is_loaded(attempt, recipe, tmp_path):
    made = attempt(**recipe)
    assert made.run() == 0
    shutil.copytree(checkpoints(made) / "a1-s6", tmp_path / "a1-s6")
    for number, path in ((2, "../a1-s6"), (3, str(tmp_path / "a1-s6"))):
        outside = again(made, 6, number=number)
        order = json.loads((outside.folder / "order.json").read_text())
        order["resume"][0]["path"] = path
        (outside.folder / "order.json").write_text(json.dumps(order))
        assert outside.run() == 1
        assert outside.end.error.code == "checkpoint.none_good"


def test_that_a_manifest_cannot_name_files_elsewhere(attempt, recipe):
    made = attempt(**recipe)
    assert made.run() == 0
    folder = checkpoints(made) / "a1-s6"
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["../a1-s3/manifest.json"] = {"bytes": 1, "sha256": ""}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(Damaged):
        verified(folder)
