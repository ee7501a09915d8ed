"""llama.cpp behind the engine: the model's own answers, adapters row by row, sequences that come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.compute.inference.base import load_model, load_tokenizer
from engine.compute.inference.engine.engine import ArrowEngine, Limits
from engine.compute.inference.engine.requests import Asked, Sampling
from engine.compute.inference.llama_cpp import LlamaPasses, Sequences, library
from engine.compute.lora.manager import LoRAManager
from engine.contract.errors import UserError
from engine.contract.paths import resources_folder
from tests.unit.compute.test_gguf import adapter_of

FOLDER = resources_folder() / "demo" / "model"
TEXT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


def test_that_its_absence_is_told(monkeypatch: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "llama_cpp", None)
    with pytest.raises(UserError) as caught:
        library()
    assert caught.value.code == "llama.missing"


def test_that_sequences_share_and_keep_nothing() -> None:
    pool, gone = Sequences(9, 16), list[int]()
    pool.gone = gone.append
    table = pool.take([], 3)
    assert table is not None
    pool.keep(b"a", table[0])
    assert pool.beginning([b"a"]) == 0
    pool.give_back(table)
    assert (gone, pool.room, pool.kept) == ([table[0]], 8, 0)


@pytest.fixture
def there() -> None:
    """The package."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not in the worker's environment")


@pytest.mark.usefixtures("there")
def test_that_it_answers_as_the_model_does_with_adapters_side_by_side(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(FOLDER)
    model = load_model(FOLDER, torch.float32, "auto", torch.device("cpu")).eval().requires_grad_(False)
    manager = LoRAManager()
    manager.register("one", adapter_of(tmp_path / "one", FOLDER, 0.5))
    manager.register("other", adapter_of(tmp_path / "other", FOLDER, 0.4, use_rslora=True))
    asked = [
        Asked(tuple(tokenizer(TEXT.format(text), add_special_tokens=False)["input_ids"]),
              Sampling(max_tokens=8, temperature=0), (((name, 1.0),) if name else ()))
        for text in ("Hello", "Convert to an ISO date: 3 May 2021", "Hi there") for name in ("", "one", "other")
    ]  # fmt: skip
    limits = Limits(context=128, blocks=64, rows=4, piece=64)
    with ArrowEngine(model, tokenizer, limits, manager) as engine:
        theirs = [handle.whole().tokens for handle in [engine.submit(one) for one in asked]]
    pool = Sequences(limits.blocks + 1, limits.block)
    backend = LlamaPasses(FOLDER, tmp_path / "work", pool, limits.rows, limits.piece, manager, "f32")
    with ArrowEngine(model, tokenizer, limits, manager, backend=backend) as engine:
        for _ in range(3):  # sequences are given back and taken again
            ours = [handle.whole().tokens for handle in [engine.submit(one) for one in asked]]
            assert ours == theirs
        assert pool.room == limits.blocks
        cancelled = engine.submit(asked[0])
        cancelled.cancel()
        assert engine.submit(asked[1]).whole().tokens == theirs[1]
    assert len(set(theirs)) > 6  # adapters change what is said
    assert list((tmp_path / "work").iterdir()) == []
