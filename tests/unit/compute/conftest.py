"""Shared by the worker's tests: one thread, no hub, a tiny model, and a worker in this process."""

import os

os.environ.update({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})

from pathlib import Path

import pytest
import tiny
from helpers import Attempt


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """The folder of a tiny Qwen3."""
    return tiny.save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def tokenizer():
    return tiny.make_tokenizer()


@pytest.fixture
def attempt(tmp_path, model):
    """Makes an attempt of a small run; keywords change the job."""

    def make(rows=None, name="attempt", spec=None, **job) -> Attempt:
        train = tiny.write_jsonl(tmp_path / "train.jsonl", tiny.make_rows(40) if rows is None else rows)
        usual = {
            "model": {"path": str(model)},
            "data": {"train": [{"path": str(train)}]},
            "training": {"max_steps": 4, "micro_batch_size": 8, "learning_rate": 1e-2},
        }
        return Attempt(tiny.write_order(tmp_path / name / "attempts" / "1", {**usual, **job}, **(spec or {})))

    return make
