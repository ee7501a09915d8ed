"""Tiny models with random weights and a byte-level tokenizer, made from a seed."""

from __future__ import annotations

import json
from pathlib import Path

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
VOCABULARY = 256 + 4


def make_tokenizer(template: str | None = CHATML):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = template
    return tokenizer


def make_model(kind: str = "qwen3", seed: int = 0):
    import torch
    import transformers as tf

    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "eos_token_id": 256,
        "bos_token_id": None,
        "pad_token_id": 257,
    }
    configs = {
        "qwen3": lambda: tf.Qwen3Config(**sizes, head_dim=8),
        "llama": lambda: tf.LlamaConfig(**sizes),
        "gemma2": lambda: tf.Gemma2Config(**sizes, head_dim=8, sliding_window=16),
        "gpt2": lambda: tf.GPT2Config(
            vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=512, eos_token_id=256, bos_token_id=256
        ),
    }
    torch.manual_seed(seed)
    return tf.AutoModelForCausalLM.from_config(configs[kind]())


def save_model(folder: Path, kind: str = "qwen3", template: str | None = CHATML) -> Path:
    make_model(kind).save_pretrained(folder)
    make_tokenizer(template).save_pretrained(folder)
    return folder


def make_rows(count: int, begin: int = 0) -> list[dict]:
    return [
        {
            "messages": [
                {"role": "user", "content": f"say {n}" + " please" * (n % 4)},
                {"role": "assistant", "content": f"it is {n % 7}"},
            ]
        }
        for n in range(begin, begin + count)
    ]


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_order(folder: Path, job: dict, **spec) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    order = {
        "protocol": 1,
        "run": "r1",
        "attempt": 1,
        "lease": "l1",
        "spec": {"name": "test", "job": {"kind": "train", **job}, **spec},
    }
    (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
    return folder
