"""A real run looked into: rows of a step, tokens of a row, rankings, a version without rows; and done again exactly."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.cli.__main__ import main
from engine.client.exclusion import exclude
from engine.contract.data import DataSource
from engine.contract.errors import NotFound, UserError
from engine.contract.forensics_api import TokenLosses, TokenLossesAnswer
from engine.contract.run_spec import RunSpec
from tests.helpers.waiting import wait_until
from tests.integration.test_real_worker import demo, losses, pytestmark

__all__ = ["pytestmark"]

BAD = ("What is 2 + 3?", "zq7 xvw0 kjt4 pfh9 bqz1 mxk8 wvj3 hqd6 tzc2 yfg5 rlx7 nqb4 ucv0 jwz9 dkp3 sxh1")


def rows(count: int = 12) -> list[tuple[str, str]]:
    """Alike and easily learned, besides one that is not, and one question with two answers."""
    made = [(f"Say yes, number {n}.", "yes") for n in range(count)]
    return [*made, BAD, ("Which?", "this"), ("Which?", "that")]


def write(path: Path, content: list[tuple[str, str]]) -> Path:
    lines = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
        for asked, answer in content
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def order(path: Path, max_steps: int = 18) -> RunSpec:
    plain = demo(max_steps).model_dump(mode="json")
    plain["job"]["data"]["train"] = [{"path": str(path), "hub": "local"}]
    plain["job"]["training"] |= {"micro_batch_size": 5, "schedule": "constant", "learning_rate": 0.001}
    return RunSpec.model_validate(plain)


def weighed(real, asked: TokenLosses) -> TokenLossesAnswer:
    """Asked until the helper is warm: on a busy computer its first answer may come too late."""
    found: list[TokenLossesAnswer] = []

    def answered() -> bool:
        try:
            found.append(real.client.token_losses(asked))
        except UserError as error:
            if error.code != "query.too_slow":
                raise
        return bool(found)

    wait_until(answered, 200, "the losses of tokens")
    return found[0]


def test_that_a_run_can_be_looked_into_and_made_again_without_some_rows(real, tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "rows.jsonl", rows())
    spec = order(path)
    run = real.client.create(spec)
    real.until(run.uid, "completed", timeout=300)
    curve = losses(real, run.uid)

    found = real.client.step_rows(run.uid, 7)
    assert (found.step, found.attempt, len(found.rows)) == (7, 1, 5)
    tokens = sum(row.tokens for row in found.rows)
    assert sum(row.loss * row.tokens for row in found.rows) / tokens == pytest.approx(curve[7], rel=1e-4)
    assert {"loss", "learning_rate", "grad_norm"} <= found.values.keys()
    assert found.values["loss"] == curve[7]
    assert real.client.step_rows(run.uid, 5000).step == 18  # the nearest
    assert found.rows == sorted(found.rows, key=lambda row: -row.loss)

    two = real.client.ranking(run.uid, "contradictory")
    assert sorted(row.key.line for row in two.rows if row.why == "two_answers") == [14, 15]
    never = real.client.ranking(run.uid, "never_learned")
    assert 13 in [row.key.line for row in never.rows]
    assert not {row.key.line for row in never.rows} & set(range(1, 13))
    course = real.client.row_history(run.uid, never.rows[0].key)
    assert len(course.meetings) == 6
    assert course.meetings[-1].loss > course.median[-1]

    state = "attempts/1/outputs/adapter"
    asked = TokenLosses(
        model=spec.job.model, source=spec.job.data.train[0], line=1, max_length=128, run=run.uid, state="",
        tuner=spec.job.tuner.model_dump(mode="json"),
    )  # fmt: skip
    base, taught = (weighed(real, asked.model_copy(update={"state": one})) for one in ("", state))
    assert [one.text for one in base.tokens] == [one.text for one in taught.tokens]
    assert "yes" in "".join(one.text for one in base.tokens if one.trained)
    assert base.mean is not None
    assert taught.mean is not None
    assert taught.mean < base.mean / 2

    config = exclude(real.client, run.uid, [row.key for row in two.rows if row.why == "two_answers"])
    (source,) = config.data.train
    assert (source.hub, source.path) == ("library", "rows")
    version = real.client.dataset("rows").versions[0]
    assert (version.rows, version.hash) == (13, source.version)
    fewer = real.client.create(config.to_spec())
    real.until(fewer.uid, "completed", timeout=300)
    assert real.client.ranking(fewer.uid, "contradictory").rows == []
    again = exclude(real.client, fewer.uid, [row.key for row in real.client.ranking(fewer.uid, "never_learned").rows])
    child = next(one for one in real.client.dataset("rows").versions if one.hash == again.data.train[0].version)
    assert child.parent == version.hash  # lineage
    assert child.rows < 13

    monkeypatch.setenv("FORGE_HOME", str(real.home.root))
    assert main(["rows", run.uid, "--step", "7"]) == 0
    assert "Step 7" in capsys.readouterr().out
    assert main(["rows", run.uid, "--contradictory"]) == 0
    assert "two answers" in capsys.readouterr().out
    draft = real.client.create(spec.model_copy(update={"name": "draft"}), start=False)
    with pytest.raises(NotFound):
        real.client.step_rows(draft.uid, 1)


def test_that_a_run_done_again_is_equal_and_what_is_other_is_said_before(real, tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "rows.jsonl", rows())
    run = real.client.create(order(path, 8))
    real.until(run.uid, "completed", timeout=300)
    assert real.client.reproduction(run.uid) is None
    found = real.client.reproduce_check(run.uid)
    assert (found.differences, found.error) == ([], "")
    made = real.client.reproduce(run.uid)
    real.until(made.uid, "completed", timeout=300)
    outcome = real.client.reproduction(made.uid)
    assert outcome is not None
    assert (outcome.verdict, outcome.steps, outcome.first_step, outcome.differences) == ("equal", 8, None, [])
    assert outcome.original is not None
    assert outcome.original.uid == run.uid

    write(path, [*rows()[:-1], ("Which?", "neither")])  # one answer is another now
    pid = real.client.health().pid
    cores = os.sched_getaffinity(pid)
    if len(cores) > 1:  # what a container with fewer cores would do
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {min(cores)})
    found = real.client.reproduce_check(run.uid)
    data = next(one for one in found.differences if one.name.startswith("data."))
    assert data.effect == "other_run"

    monkeypatch.setenv("FORGE_HOME", str(real.home.root))
    assert main(["reproduce", run.uid]) == 1  # nothing is started
    assert "data." in capsys.readouterr().err
    changed = real.client.reproduce(run.uid)
    real.until(changed.uid, "completed", timeout=300)
    outcome = real.client.reproduction(changed.uid)
    assert outcome is not None
    assert outcome.verdict == "differs"
    theirs, ours = losses(real, run.uid), losses(real, changed.uid)
    first = next(step for step in sorted(theirs) if theirs[step] != ours[step])
    assert outcome.first_step == first
    assert 15 in [row.key.line for row in real.client.step_rows(changed.uid, first).rows]  # the row that was changed
    assert main(["reproduce", changed.uid, "--compare"]) == 1
    assert f"first at step {first}" in capsys.readouterr().out
    assert DataSource(path=str(path)) == run_source(real, run.uid)


def run_source(real, uid: str) -> DataSource:
    """Where its rows come from."""
    return real.client.run(uid).spec.job.data.train[0].model_copy(update={"hub": "local"})
