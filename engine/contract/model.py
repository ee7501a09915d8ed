"""Which model a run starts from, and how it is loaded."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from engine.contract.acceleration import Rope
from engine.contract.setting import Settings, setting
from engine.contract.templates import template_choices
from engine.contract.tuners import RUNNABLE_QUANTISATION, Quantisation

Hub = Literal["local", "bundled", "huggingface", "modelscope", "url"]
ModelHub = Literal["local", "bundled", "huggingface", "modelscope", "url", "scratch"]
RUNNABLE_HUBS = ("local", "bundled")
"""Where datasets may come from."""


def _known_template(name: str) -> str:
    if name not in template_choices():
        raise PydanticCustomError("unknown_choice", "There is no chat template of this name.")
    return name


def _switch(value: object) -> object:
    """YAML reads on and off as true and false."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class ModelConfig(Settings):
    """The base model."""

    path: str = setting(
        ...,
        "A folder on the worker's computer, a hub id, an address, the name of a bundled model, or what a model from "
        "scratch is called.",
        label="Model",
        basic=True,
        min_length=1,
        max_length=4096,
    )
    hub: ModelHub = setting(
        "local",
        "Where the path is looked up; scratch: nowhere, the model begins with fresh weights.",
        label="Source",
        basic=True,
    )
    revision: str | None = setting(
        None,
        "Branch, tag or commit on the hub; of an address, the sha256 its archive must have.",
        label="Revision",
        max_length=200,
    )
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto", "Number format the weights are held in; auto follows the training precision.", label="Weights held in"
    )
    quantisation: Quantisation = setting(
        "none",
        "Hold the frozen base weights in fewer bits: less memory, slower. QLoRA means 4bit; torchao is for LoRA, "
        "where the worker has it.",
        label="Quantisation",
        executable=RUNNABLE_QUANTISATION,
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = setting(
        "auto",
        "Implementation of attention; auto takes the fastest the worker has. flash_attention_2 needs a GPU and the "
        "package flash-attn.",
        label="Attention",
    )
    rope: Rope = setting(
        "none",
        "Stretch the positions of tokens, for rows longer than the model was made for; the result needs it, too.",
        label="Stretched positions",
    )
    rope_factor: float = setting(
        2.0, "How many times longer rows may be.", label="Stretching factor", gt=1, le=64, usual=(1.5, 8)
    )
    rope_original: int | None = setting(
        None,
        "Tokens the model was made for, as dynamic, yarn and llama3 count them; empty: as its config says.",
        label="Original length",
        unit="tokens",
        ge=16,
        le=16_777_216,
    )
    template: Annotated[str, AfterValidator(_known_template)] = setting(
        "auto",
        "Chat template that turns messages into text; auto takes the tokenizer's own, else ChatML.",
        label="Chat template",
        basic=True,
        known=template_choices(),
    )
    thinking: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = setting(
        "auto",
        "Thinking switch of the chat template, in training and answers alike; auto leaves it as the template has it.",
        label="Thinking",
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
