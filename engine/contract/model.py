"""Which model a run starts from, and how it is loaded."""

from typing import Literal

from engine.contract.setting import Settings, setting

Hub = Literal["local", "bundled", "huggingface", "modelscope", "url"]
RUNNABLE_HUBS = ("local", "bundled")
"""Where datasets may come from."""


class ModelConfig(Settings):
    """The base model."""

    path: str = setting(
        ...,
        "A folder on the worker's computer, a hub id, an address, or the name of a bundled model.",
        label="Model",
        basic=True,
        min_length=1,
        max_length=4096,
    )
    hub: Hub = setting("local", "Where the path is looked up.", label="Source", basic=True)
    revision: str | None = setting(
        None,
        "Branch, tag or commit on the hub; of an address, the sha256 its archive must have.",
        label="Revision",
        max_length=200,
    )
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto", "Number format the weights are held in; auto follows the training precision.", label="Weights held in"
    )
    quantisation: Literal["none", "8bit", "4bit"] = setting(
        "none", "Compress the frozen base weights to save memory.", label="Quantisation", executable=("none",)
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = setting(
        "auto",
        "Implementation of attention; auto takes the fastest the worker has.",
        label="Attention",
        executable=("auto", "eager", "sdpa"),
    )
    template: Literal["auto", "tokenizer", "chatml"] = setting(
        "auto",
        "Chat template that turns messages into text; auto takes the tokenizer's own, else ChatML.",
        label="Chat template",
        basic=True,
    )
    system: str | None = setting(
        None, "System prompt put before every conversation that has none.", label="System prompt", max_length=20000
    )
    trust_remote_code: bool = setting(
        False,
        "Let Python code that comes with the model run. Off unless you trust it.",
        label="Trust the model's own code",
        executable=(False,),
    )
