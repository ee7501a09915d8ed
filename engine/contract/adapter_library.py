"""The library of adapters: what runs made and what was brought in, as the desktop and the command line list it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.lora_card import LoRACard


class AdapterEntry(BaseModel):
    """One adapter."""

    id: str
    """`RUN/ARTIFACT` of a run's, the file's hash of one that was brought in."""
    origin: Literal["run", "import"]
    name: str
    path: str
    """Its file (.lora.arrow), on the controller's computer."""
    folder: str = ""
    """peft's folder of the same adapter, where there is one."""
    bytes: int = 0
    created: float = 0.0
    card: LoRACard
    run: str = ""
    run_name: str = ""
    attempt: int = 0
    step: int | None = None
    score: float | None = None
    """Of the run's held-out rows."""
    loss: float | None = None
    model: str = ""
    """The base model as the run names it."""
    dataset: str = ""
    missing: bool = False
    """The file is not there any more."""


class AdapterShelf(BaseModel):
    """All of them, the newest first."""

    adapters: list[AdapterEntry] = []


class ImportAdapter(BaseModel):
    """Bring one in: a .lora.arrow file or a folder of peft's. What is there already is found by its hash."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=4096)
    name: str = Field(default="", max_length=200)
    description: str = Field(default="", max_length=4000)
    licence: str = Field(default="", max_length=200)
    base: str = Field(default="", max_length=4096)
    """A base model's folder, whose hash goes into the card."""
