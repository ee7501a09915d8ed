"""Parted weights in the forecast of memory: what one of two members really holds, counted tensor by tensor."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
import transformers
from torch.distributed.tensor import DTensor

from engine.compute.training.ledger import TensorLedger

LOOSE = 0.1


def zero(*case):
    """With DeepSpeed, where it is."""
    absent = find_spec("deepspeed") is None
    reason = "the worker's environment has no deepspeed, which is optional"
    return pytest.param(*case, marks=pytest.mark.skipif(absent, reason=reason))


TWO = {"gpus": 0, "processes": 2}


class PartedLedger(TensorLedger):
    """Counts a parted tensor's own part, and sees storages that are emptied and filled again without an operation."""

    def count(self, found: Any) -> None:
        super().count(found._local_tensor if isinstance(found, DTensor) else found)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = super().__torch_dispatch__(func, types, args, kwargs)
        for reference, _size in list(self._held.values()):
            storage = reference()
            if storage is not None:
                self._add(storage)
        return made


@pytest.fixture
def model(tmp_path):
    """Six layers, so that one of them is a small part of the whole."""
    import tiny

    config = transformers.Qwen3Config(
        vocab_size=tiny.VOCABULARY, hidden_size=128, intermediate_size=384, num_hidden_layers=6,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=512, eos_token_id=256,
        bos_token_id=None, pad_token_id=257, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    folder = tmp_path / "model"
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny.make_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "strategy", "rows"),
    [
        ("full", "ddp", 1), ("full", "fsdp2", 1), ("full", "fsdp2", 6), ("lora", "fsdp2", 6),
        zero("full", "zero1", 1), zero("full", "zero2", 1), zero("full", "zero3", 1),
        zero("full", "zero2", 6), zero("lora", "zero2", 6),
    ],
)  # fmt: skip
def test_that_the_forecast_of_a_member_is_near_what_it_holds(attempt, kind, strategy, rows):
    made = attempt(
        rows=[{"messages": [{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": "ja " * 20}]}
              for n in range(10, 60)],
        tuner={"kind": kind, "rank": 8} if kind == "lora" else {"kind": kind},
        training={"max_steps": 2, "micro_batch_size": 2 * rows, "learning_rate": 1e-3},
        spec={"compute": {**TWO, "strategy": strategy}},
    )  # fmt: skip
    with PartedLedger() as ledger:
        assert made.run() == 0, made.end
    line = made.of("memory_forecast")[0]
    assert abs(line.tensors / ledger.peak - 1) < LOOSE, (line.tensors, ledger.peak, line.parts)
