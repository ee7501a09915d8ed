"""Preferences given to KTO are taken apart as trl does, and are learned from as if they had come so."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import tiny

from engine.compute.data.formats import convert
from engine.compute.data.row_set import HeldRows
from engine.compute.data.rows import Record
from engine.compute.data.unpaired import UnpairedRows, as_verdicts
from engine.compute.worker.queries import answer

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"


def pairs(count: int) -> list[dict]:
    return [{"prompt": f"say {n}", "chosen": f"it is {n}", "rejected": f"no {n % 5}"} for n in range(count)]


def held(rows: list[dict], form: str = "preference") -> HeldRows:
    return HeldRows([convert(Record(n + 1, row), form, 0) for n, row in enumerate(rows)])


@pytest.mark.parametrize("count", [3, 1000, 1203])
def test_that_they_come_apart_as_trl_takes_them_apart(count):
    datasets = pytest.importorskip("datasets")
    trl = pytest.importorskip("trl")
    rows = pairs(count)
    theirs = trl.unpair_preference_dataset(datasets.Dataset.from_list(rows))
    ours = UnpairedRows(held(rows)).examples(range(2 * count))
    assert [(row.turns[0]["content"], row.turns[-1]["content"], row.label) for row in ours] == [
        (row["prompt"], row["completion"], row["label"]) for row in theirs
    ]
    assert {row.teaches for row in ours} == {"verdict"}


def test_that_both_sides_are_of_one_row_and_others_stay_whole():
    rows = UnpairedRows(held(pairs(4)))
    assert [rows.line(place) for place in range(8)] == [1, 2, 3, 4, 1, 2, 3, 4]
    assert rows.row_id(1) == rows.row_id(5)
    assert [row.label for row in rows.take(np.array([1, 5])).examples([0, 1])] == [True, False]
    verdicts = held([{"prompt": "a", "completion": "b", "label": True}], "kto")
    assert as_verdicts(verdicts) is verdicts


def test_that_kto_learns_from_pairs_as_from_verdicts(attempt, tmp_path):
    rows = pairs(12)
    sides = [("chosen", True), ("rejected", False)]
    alone = [{"prompt": row["prompt"], "completion": row[side], "label": good} for side, good in sides for row in rows]
    losses = []
    for name, given in (("pairs", rows), ("verdicts", alone)):
        path = tiny.write_jsonl(tmp_path / f"{name}.jsonl", given)
        made = attempt(
            name=name, stage="kto", data={"train": [{"path": str(path)}], "max_length": 64, "order": "kept"},
            training={"max_steps": 3, "micro_batch_size": 4, "learning_rate": 1e-3, "memory_probe": False},
        )  # fmt: skip
        assert made.run() == 0, made.end
        losses.append([line.values["loss"] for line in made.of("step")])
        notes = [json.dumps(line.params) for line in made.of("note") if line.code == "data.unpaired"]
        assert notes == ([json.dumps({"rows": 24, "pairs": 12})] if name == "pairs" else [])
    assert losses[0] == losses[1]


def test_that_a_look_at_the_rows_shows_both_answers_with_their_verdicts(tmp_path, model):
    rows = tiny.write_jsonl(tmp_path / "rows.jsonl", pairs(3))
    asked = {"model": {"path": str(model)}, "source": {"path": str(rows)}, "stage": "kto", "rows": 4}
    found = answer(json.dumps({"kind": "preview_row", "params": asked}))
    assert found.error is None
    assert [(row["line"], row["side"]) for row in found.result["rows"]] == [
        (1, "good"), (1, "bad"), (2, "good"), (2, "bad"),
    ]  # fmt: skip
