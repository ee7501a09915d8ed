"""What peft and trl say when an adapter or a recipe does not fit."""

from __future__ import annotations

import json
from pathlib import Path

from tests.helpers.provoked.model_failures import DEMO, _load, _tokenizer


def targets_not_found() -> None:
    """Target modules the model does not have."""
    from peft import LoraConfig, get_peft_model

    get_peft_model(_load(str(DEMO)), LoraConfig(target_modules=["query_key_value", "c_attn"]))


def target_unsupported() -> None:
    """A target that is no layer LoRA knows."""
    from peft import LoraConfig, get_peft_model

    get_peft_model(_load(str(DEMO)), LoraConfig(target_modules=["mlp"]))


def _adapter(rank: int = 4) -> Path:
    from peft import LoraConfig, get_peft_model

    get_peft_model(_load(str(DEMO)), LoraConfig(r=rank, target_modules="all-linear")).save_pretrained("adapter")
    return Path("adapter")


def _attach(folder: Path) -> None:
    from peft import PeftModel

    PeftModel.from_pretrained(_load(str(DEMO)), str(folder))


def adapter_of_another_shape() -> None:
    """An adapter whose config tells another rank than its weights have, as of another base."""
    folder = _adapter()
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"r": 8}))
    _attach(folder)


def adapter_without_config() -> None:
    """A folder that holds no adapter."""
    folder = _adapter()
    (folder / "adapter_config.json").unlink()
    _attach(folder)


def generations_do_not_divide() -> None:
    """A batch that cannot be shared out to the answers of each question."""
    from trl import GRPOConfig

    GRPOConfig("out", use_cpu=True, per_device_train_batch_size=3, num_generations=8, bf16=False)


def trainer_of_another_version() -> None:
    """A setting of another version of trl."""
    from trl import SFTConfig

    SFTConfig("out", max_seq_length=1024)


def preference_columns_missing() -> None:
    """Rows without the two answers a preference stage compares."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    rows = Dataset.from_list([{"prompt": "a", "completion": "b"}] * 4)
    arguments = DPOConfig("out", use_cpu=True, bf16=False, report_to="none")
    DPOTrainer(model=_load(str(DEMO)), args=arguments, train_dataset=rows, processing_class=_tokenizer())
