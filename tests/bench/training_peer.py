"""One training run as somebody writes it with plain transformers and peft, or with trl; run by the worker's Python.

`python tests/bench/training_peer.py trainer|trl MODEL ROWS FOLDER BATCH fp32|bf16` prints a line for each step.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments


def main() -> None:
    """Train one epoch."""
    kind, model_folder, rows_file, folder, batch, precision = sys.argv[1:]
    rows = [json.loads(line)["messages"] for line in Path(rows_file).read_text(encoding="utf-8").splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=dtype)
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
    shared: dict[str, Any] = {
        "output_dir": folder, "num_train_epochs": 1, "per_device_train_batch_size": int(batch), "learning_rate": 1e-3,
        "lr_scheduler_type": "cosine", "logging_steps": 1, "save_strategy": "no", "report_to": "none",
        "disable_tqdm": True, "use_cpu": True, "bf16": precision == "bf16", "gradient_checkpointing": False,
    }  # fmt: skip
    (with_trl if kind == "trl" else with_trainer)(model, tokenizer, rows, lora, shared).train()


def with_trainer(model: Any, tokenizer: Any, rows: list[Any], lora: LoraConfig, shared: dict[str, Any]) -> Trainer:
    """Loss of the answers only, batches in random order filled to their longest row."""

    def tokens(messages: list[dict[str, str]]) -> dict[str, list[int]]:
        asked = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=True)["input_ids"]
        whole = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
        return {"input_ids": whole, "labels": [-100] * len(asked) + whole[len(asked) :]}

    return Trainer(
        model=get_peft_model(model, lora),
        args=TrainingArguments(**shared),
        train_dataset=[tokens(row) for row in rows],
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )


def with_trl(model: Any, tokenizer: Any, rows: list[Any], lora: LoraConfig, shared: dict[str, Any]) -> Trainer:
    """trl's SFTTrainer as its documentation has it."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    data = Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in rows])
    return SFTTrainer(
        model=model, args=SFTConfig(max_length=1024, **shared), train_dataset=data, processing_class=tokenizer,
        peft_config=lora,
    )  # fmt: skip


if __name__ == "__main__":
    main()
