"""A model makes a dataset: which answers are kept, whose chance each has, and that no row is ever doubled."""

from __future__ import annotations

import json

import pytest
import tiny
from helpers import Attempt

from engine.compute.data.store import open_version
from engine.compute.worker.commands import StopFlag
from engine.contract.paths import HOME_VARIABLE, Home
from engine.contract.sampling import SampleJob

ROWS = 6


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return Home.find()


@pytest.fixture
def asked(tmp_path):
    rows = [{"prompt": f"say {n}", "answer": str(n % 7)} for n in range(ROWS)]
    return tiny.write_jsonl(tmp_path / "asked.jsonl", rows)


def write(home: Home, model, source, attempt: int = 1, run: str = "r1", **more) -> Attempt:
    """An attempt of a run that samples, as the controller writes its order."""
    plain = {
        "dataset": "answers", "model": {"path": str(model)}, "source": {"path": str(source)}, "answers": 2,
        "max_tokens": 6, "max_length": 64, "seed": 3, "keep_cut": True, "batch_size": 4, **more,
    }  # fmt: skip
    job = SampleJob.model_validate(plain)
    folder = home.attempt(run, attempt).root
    folder.mkdir(parents=True)
    spec = {"name": "sample", "job": job.model_dump(mode="json")}
    content = {"protocol": 1, "run": run, "attempt": attempt, "lease": "l", "spec": spec}
    (folder / "order.json").write_text(json.dumps(content), encoding="utf-8")
    return Attempt(folder)


def rows_of(attempt: Attempt) -> list[dict]:
    (line,) = attempt.of("dataset")
    return [record.content for record in open_version(Home.find().dataset(line.hash)).records()]


def test_that_answers_become_a_version_whose_rows_know_where_they_come_from(home, model, asked):
    attempt = write(home, model, asked, rewards=[{"kind": "length", "options": {"target": 4}}])
    assert attempt.run() == 0, attempt.end
    rows = rows_of(attempt)
    assert len(rows) == 2 * ROWS
    assert [(row["sampled"]["row"], row["sampled"]["answer"]) for row in rows[:4]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [turn["role"] for turn in rows[0]["messages"]] == ["user", "assistant"]
    assert rows[0]["messages"][0]["content"] == "say 0"
    assert len({row["sampled"]["seed"] for row in rows}) == len(rows)
    assert all(0 <= row["sampled"]["reward"] <= 1 for row in rows)
    (line,) = attempt.of("dataset")
    sampled = open_version(home.dataset(line.hash)).manifest.sampled
    assert sampled["model"]["path"] == str(model)
    assert sampled["counts"]["answers"] == 2 * ROWS
    phases = list(dict.fromkeys(one.phase.value for one in attempt.of("phase")))
    assert phases == ["starting", "loading", "sampling", "checking"]


REWARDS = [{"kind": "format", "options": {"pattern": "[^a-m]*"}}, {"kind": "repetition", "weight": 0.5}]


def by_question(rows: list[dict]) -> dict[int, list[dict]]:
    found: dict[int, list[dict]] = {}
    for row in rows:
        found.setdefault(row["sampled"]["row"], []).append(row)
    return found


def test_that_answers_do_not_depend_on_what_stands_beside_them(home, model, asked):
    alone = write(home, model, asked, run="r1", batch_size=1)
    together = write(home, model, asked, run="r2", batch_size=12)
    other = write(home, model, asked, run="r3", seed=4)
    assert [one.run() for one in (alone, together, other)] == [0, 0, 0]
    assert rows_of(alone) == rows_of(together)
    assert [row["messages"] for row in rows_of(alone)] != [row["messages"] for row in rows_of(other)]
    assert len({row["messages"][1]["content"] for row in rows_of(alone)}) > 2


def test_that_the_best_answers_and_those_worth_enough_are_kept(home, model, asked):
    usual = {"answers": 4, "rewards": REWARDS}
    every = write(home, model, asked, run="r1", **usual)
    best = write(home, model, asked, run="r2", choose="best_n", keep=2, **usual)
    enough = write(home, model, asked, run="r3", choose="threshold", threshold=0.5, **usual)
    assert [one.run() for one in (every, best, enough)] == [0, 0, 0]
    for number, rows in by_question(rows_of(best)).items():
        all_of_it = sorted((row["sampled"]["reward"] for row in by_question(rows_of(every))[number]), reverse=True)
        assert [row["sampled"]["reward"] for row in rows] == all_of_it[:2]
    worth = [row for row in rows_of(every) if row["sampled"]["reward"] >= 0.5]
    assert rows_of(enough) == worth
    assert 0 < len(worth) < 4 * ROWS


def test_that_the_best_and_the_worst_make_a_pair_that_dpo_learns_from(home, model, asked, attempt):
    made = write(home, model, asked, answers=4, rewards=REWARDS, choose="best_worst", margin=0.2)
    assert made.run() == 0, made.end
    rows = rows_of(made)
    assert rows
    for row in rows:
        better, worse = row["sampled"]["chosen"], row["sampled"]["rejected"]
        assert better["reward"] - worse["reward"] >= 0.2
        assert row["chosen"] != row["rejected"]
    (line,) = made.of("dataset")
    source = {"path": str(home.dataset(line.hash))}
    training = {"max_steps": 2, "micro_batch_size": 2, "memory_probe": False}
    taught = attempt(stage="dpo", data={"train": [source], "max_length": 64}, training=training)
    assert taught.run() == 0, taught.end
    adapter = write(home, model, asked, run="r2", adapter=str(taught.outputs / "adapter"))
    assert adapter.run() == 0, adapter.end


class Countdown(StopFlag):
    """Asks for the end after so many looks, or dies there as a kill does."""

    def __init__(self, looks: int, kills: bool = False) -> None:
        super().__init__()
        self.looks, self.kills = looks, kills

    def raise_if_set(self) -> None:
        self.looks -= 1
        if self.looks <= 0 and self.kills:
            raise Killed
        if self.looks == 0:
            self.ask()
        super().raise_if_set()


class Killed(BaseException):
    """In place of a SIGKILL."""


@pytest.mark.parametrize("kills", [False, True])
def test_that_another_attempt_goes_on_without_a_row_that_is_there_twice(home, model, asked, monkeypatch, kills):
    whole = write(home, model, asked, run="whole", answers=3)
    assert whole.run() == 0, whole.end
    monkeypatch.setattr("engine.compute.worker.sample_job.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("engine.compute.worker.sample_job.SAVE_SHARE", 1e12)
    first = write(home, model, asked, run="cut", answers=3)
    if kills:
        with pytest.raises(Killed):
            first.run(Countdown(26, kills=True))
    else:
        assert first.run(Countdown(26)) == 77
    assert not [path for path in home.datasets.iterdir() if path.name != whole.of("dataset")[0].hash
                and not path.name.startswith(".making-")]  # fmt: skip
    second = write(home, model, asked, run="cut", attempt=2, answers=3)
    assert second.run() == 0, second.end
    (note,) = [line for line in second.of("note") if line.code == "sample.goes_on"]
    assert 0 < note.params["rows"] < 3 * ROWS
    assert rows_of(second) == rows_of(whole)
    assert second.of("dataset")[0].hash == whole.of("dataset")[0].hash


@pytest.mark.slow
@pytest.mark.parametrize("point", ["import.after_progress", "import.before_rename"])
def test_that_a_worker_that_was_killed_at_its_last_steps_leaves_nothing_to_ask_again(home, model, asked, point):
    assert write(home, model, asked, run="cut").start(FORGE_FAULT=point).wait(120) == -9
    second = write(home, model, asked, run="cut", attempt=2)
    assert second.run() == 0, second.end
    (note,) = [line for line in second.of("note") if line.code == "sample.goes_on"]
    assert note.params["rows"] == 2 * ROWS  # not one was sampled again
    whole = write(home, model, asked, run="whole")
    assert whole.run() == 0, whole.end
    assert [path.name for path in home.datasets.iterdir()] == [whole.of("dataset")[0].hash]


def test_that_a_reward_file_that_fails_says_where_and_another_one_begins_anew(
    home, model, asked, tmp_path, monkeypatch
):
    monkeypatch.setattr("engine.compute.worker.sample_job.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("engine.compute.worker.sample_job.SAVE_SHARE", 1e12)
    file = tmp_path / "reward.py"
    file.write_text(
        "def reward(completions, prompts, **columns):\n"
        "    if '4' in prompts[0]:\n        raise ValueError('not this one')\n"
        "    return [1.0] * len(completions)\n"
    )
    rewards = [{"kind": "file", "path": str(file)}]
    first = write(home, model, asked, rewards=rewards)
    assert first.run() == 1
    assert (first.end.error.code, first.end.error.params["line"]) == ("rewards.file_raised", 5)
    file.write_text("def reward(completions, **columns):\n    return [0.25] * len(completions)\n")
    second = write(home, model, asked, attempt=2, rewards=rewards)
    assert second.run() == 0, second.end
    assert "sample.begins_anew" in {line.code for line in second.of("note")}
    assert {row["sampled"]["reward"] for row in rows_of(second)} == {0.25}


def test_that_a_version_that_was_not_told_of_is_not_made_again(home, model, asked):
    first = write(home, model, asked)
    assert first.run() == 0
    second = write(home, model, asked, attempt=2)
    assert second.run() == 0
    assert "sampling" not in {line.phase.value for line in second.of("phase")}
    assert second.of("dataset")[0].hash == first.of("dataset")[0].hash


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"max_length": 8, "max_tokens": 7}, "data.questions_too_long"),
        ({"rewards": REWARDS, "choose": "threshold", "threshold": 9.0}, "data.nothing_sampled"),
        ({"adapter": "/nowhere"}, "model.adapter_failed"),
    ],
)
def test_that_what_cannot_be_made_is_said_and_leaves_nothing(home, model, asked, more, code):
    attempt = write(home, model, asked, **more)
    assert attempt.run() == 1
    assert attempt.end.error.code == code
    assert not home.datasets.exists() or not list(home.datasets.iterdir())


def test_that_texts_ask_nothing(home, model, tmp_path):
    path = tiny.write_jsonl(tmp_path / "texts.jsonl", [{"text": "once upon a time"}] * 3)
    attempt = write(home, model, path)
    assert attempt.run() == 1
    assert attempt.end.error.code == "data.asks_nothing"
