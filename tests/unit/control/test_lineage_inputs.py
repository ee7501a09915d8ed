"""What a run is written down to be made from: its teacher too."""

from __future__ import annotations

import sqlite3
from typing import Any

from engine.contract.run_spec import RunSpec
from engine.control.store.lineage import store_inputs
from engine.control.store.schema_1 import TABLES


def test_that_a_teacher_is_an_input_of_the_runs_that_learn_from_it() -> None:
    database: Any = sqlite3.connect(":memory:")
    database.execute(next(one for one in TABLES if one.startswith("CREATE TABLE lineage")))
    job = {
        "kind": "train", "model": {"path": "small", "hub": "huggingface"}, "stage": "gkd",
        "teacher": {"path": "large", "hub": "huggingface"}, "data": {"train": [{"path": "demo", "hub": "bundled"}]},
    }  # fmt: skip

    def inputs(**changes: Any) -> list[tuple[str, str]]:
        store_inputs(database, 1, RunSpec.model_validate({"name": "x", "job": {**job, **changes}}))
        return sorted(database.execute("SELECT kind, name FROM lineage"))

    assert inputs() == [("dataset", "demo"), ("model", "small"), ("teacher", "large")]
    assert inputs(stage="sft") == [("dataset", "demo"), ("model", "small")]
