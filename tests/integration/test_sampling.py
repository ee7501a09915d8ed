"""A model makes a dataset with a real controller and a real worker, is killed meanwhile, and a run learns from it."""

from __future__ import annotations

import contextlib
import json
import os
import signal

import pytest

from engine.contract.errors import Refused
from engine.contract.run_spec import RunSpec
from engine.contract.sampling import SampleJob
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker
from tests.helpers.waiting import wait_until

pytestmark = needs_worker
DEMO = {"path": "demo", "hub": "bundled"}


def job(dataset: str, **more: object) -> SampleJob:
    """Of the model and the rows that ship."""
    usual = {"dataset": dataset, "model": DEMO, "source": {**DEMO, "limit": 12}, "max_tokens": 12, "keep_cut": True}
    return SampleJob.model_validate({**usual, **more})


def test_that_answers_become_a_dataset_a_run_learns_from(real: ControllerProcess) -> None:
    rewards = [{"kind": "accuracy"}, {"kind": "length", "options": {"target": 4}}]
    run = real.client.sample_dataset(job("answers", answers=2, rewards=rewards, choose="best_n"), gpus=0)
    assert (run.kind, run.dataset) == ("sample", "answers")
    detail = real.until(run.uid, "completed", "failed", timeout=300)
    assert detail.run.state == "completed", detail.run.error
    found = real.client.dataset("answers")
    assert found.manifest is not None
    assert found.manifest.rows == 12
    assert found.versions[0].run == run.uid
    assert found.manifest.sampled["source"]["name"] == "demo"
    (made,) = [event.body for event in detail.events if event.kind == "dataset"]
    assert (made["name"], made["version"], made["new"]) == ("answers", 1, True)
    data = {"train": [{"hub": "library", "path": "answers"}], "max_length": 256}
    training = {"max_steps": 1, "micro_batch_size": 4, "learning_rate": 0.001, "threads": 1}
    order = {"kind": "train", "model": DEMO, "data": data, "training": training}
    learner = real.client.create(RunSpec.model_validate({"name": "learns", "job": order}))
    assert real.until(learner.uid, "completed", "failed", timeout=300).run.state == "completed"
    questions = {"hub": "library", "path": "answers"}
    again = real.client.sample_dataset(job("answers", source=questions, seed=1), gpus=0)
    assert real.until(again.uid, "completed", "failed", timeout=300).run.state == "completed"
    assert [version.n for version in real.client.dataset("answers").versions] == [2, 1]
    assert {one.run for one in real.client.dataset("answers").runs} == {learner.uid, again.uid}


def test_that_a_killed_worker_doubles_no_row(real: ControllerProcess) -> None:
    real.client.edit_settings({"retry_seconds": 0.1})
    run = real.client.sample_dataset(job("often", source={**DEMO, "limit": 64}, batch_size=1), gpus=0)
    monitor = real.home.attempt(run.uid, 1).monitor
    wait_until(lambda: monitor.is_file() and json.loads(monitor.read_bytes())["worker"], 120, "the worker lives")
    journal = real.home.attempt(run.uid, 1).journal
    wait_until(lambda: journal.is_file() and b'"sampling"' in journal.read_bytes(), what="it samples")
    with contextlib.suppress(ProcessLookupError):  # it was quicker
        os.kill(json.loads(monitor.read_bytes())["worker"]["pid"], signal.SIGKILL)
    detail = real.until(run.uid, "completed", "failed", timeout=300)
    if detail.run.state == "failed":
        real.client.start(run.uid)
        real.until(run.uid, "completed", timeout=300)
    found = real.client.dataset("often")
    assert [(one.n, one.rows, one.present) for one in found.versions] == [(1, 64, True)]
    assert [path.name for path in real.home.datasets.iterdir()] == [found.versions[0].hash]


def test_that_the_command_line_samples_and_says_what_came_of_it(real: ControllerProcess) -> None:
    asked = real.folder / "asked.jsonl"
    asked.write_text("".join(json.dumps({"prompt": f"what is {n}?"}) + "\n" for n in range(4)))
    common = ("data", "sample", str(asked), "--name", "cli", "--keep-cut", "--max-tokens", "8", "--gpus", "0")
    choice = ("--answers", "3", "--choose", "best_worst", "--reward", "length=0.5", "--reward", "repetition")
    done = real.forge(*common, "--model", "demo", *choice, "--follow", "--json", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads(done.stdout)["dataset"]
    assert (made["name"], made["version"]) == ("cli", 1)
    manifest = real.client.dataset("cli").manifest
    assert manifest is not None
    assert manifest.format == "preference"
    assert 0 < manifest.rows <= 4
    for wrong, said in (
        (("--model", "demo", "--choose", "best_n"), "rewards"),
        ((), "--model"),
        (("--model", "demo", "--answers", "0"), "answers"),
        (("--run", "none"), "none"),
    ):
        refused = real.forge(*common, *wrong)
        assert refused.returncode != 0
        assert said in refused.stderr


def test_that_an_order_is_refused_whole(real: ControllerProcess) -> None:
    wrong = job(
        "never", answers=1, choose="best_worst", adapter="/nowhere", max_tokens=4096, model={"path": "/none"},
        source={"hub": "library", "path": "nothing"},
    )  # fmt: skip
    with pytest.raises(Refused) as caught:
        real.client.sample_dataset(wrong)
    found = {problem.field: problem.code for problem in caught.value.problems}
    assert found["answers"] == "sample.one_answer"
    assert found["rewards"] == "sample.no_rewards"
    assert found["max_tokens"] == "sample.no_room"
    assert found["adapter"] == "config.path_missing"
    assert found["model.path"] == "config.path_missing"
    assert found["source.path"] == "config.dataset_unknown"
