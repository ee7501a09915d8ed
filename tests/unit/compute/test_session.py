"""The worker as a process: from an order to its last word."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from engine.contract.events import journal_line

ROOT = Path(__file__).resolve().parents[3]


def run_worker(folder: Path, timeout: float = 120) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "engine.compute.worker", str(folder)]
        return subprocess.run(command, stdout=log, stderr=log, env=environment, timeout=timeout).returncode


def journal_of(folder: Path) -> list:
    return [journal_line.validate_json(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return tiny.save_model(tmp_path_factory.mktemp("model"))


def test_that_a_run_goes_through_to_its_end_with_a_gapless_journal(tmp_path, model):
    train = tiny.write_jsonl(tmp_path / "train.jsonl", tiny.make_rows(60))
    held_out = tiny.write_jsonl(tmp_path / "held_out.jsonl", tiny.make_rows(6, 60))
    folder = tiny.write_order(
        tmp_path / "attempt",
        {
            "model": {"path": str(model)},
            "data": {"train": [{"path": str(train)}], "validation_share": 0.1},
            "training": {"max_steps": 6, "learning_rate": 1e-2, "validate_every": 3},
            "evaluation": {"data": [{"path": str(held_out)}], "max_new_tokens": 4},
        },
    )
    assert run_worker(folder) == 0, (folder / "worker.log").read_text()
    lines = journal_of(folder)
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    kinds = [line.kind for line in lines if line.kind not in ("device", "note")]
    assert kinds[0] == "started"
    assert kinds[-1] == "ended"
    assert [line.step for line in lines if line.kind == "step"] == [1, 2, 3, 4, 5, 6]
    assert [line.step for line in lines if line.kind == "validation"] == [3, 6]
    assert [line.when for line in lines if line.kind == "score"] == ["before", "after"]
    losses = [line.values["loss"] for line in lines if line.kind == "step"]
    assert losses[-1] < losses[0]
    assert lines[-1].state == "completed"
    adapter = json.loads((folder / "outputs" / "adapter" / "adapter_config.json").read_text())
    assert adapter["peft_type"] == "LORA"
