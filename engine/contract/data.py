"""Which rows a run learns from, and how they become tokens."""

from typing import Literal

from engine.contract.model import RUNNABLE_HUBS, Hub
from engine.contract.setting import Settings, setting


class DataSource(Settings):
    """One dataset: a file, a folder or a hub id."""

    path: str = setting(
        ...,
        "A file on the worker's computer, a hub id, an address, or the name of a bundled dataset.",
        label="Dataset",
        basic=True,
        min_length=1,
        max_length=4096,
    )
    hub: Hub = setting("local", "Where the path is looked up.", label="Source", basic=True, executable=RUNNABLE_HUBS)
    format: Literal["auto", "messages", "prompt_completion", "alpaca", "sharegpt", "text"] = setting(
        "auto", "How a row is read; auto looks at its columns and says what it found.", label="Format"
    )
    weight: float = setting(
        1.0,
        "How often its rows are taken in an epoch: 2 takes each twice, 0.5 every second.",
        label="Weight",
        gt=0,
        le=100,
    )
    private: bool = setting(False, "Copies of it on nodes go as soon as the run has ended.", label="Private data")
    limit: int | None = setting(
        None, "Take at most so many rows (a seeded choice).", label="Row limit", unit="rows", ge=1
    )


class DataConfig(Settings):
    """Training and validation rows."""

    train: list[DataSource] = setting(
        ...,
        "The datasets to learn from, mixed by weight.",
        label="Training data",
        basic=True,
        min_length=1,
        max_length=64,
    )
    validation: list[DataSource] = setting(
        list, "Datasets whose loss is measured but never learned from.", label="Validation data", max_length=64
    )
    validation_share: float = setting(
        0.0,
        "Share of the training rows set aside when no validation data is named.",
        label="Set aside for validation",
        ge=0,
        le=0.5,
    )
    max_length: int = setting(
        1024,
        "Longer rows are cut here; the number of cut rows is reported.",
        label="Maximum length",
        unit="tokens",
        basic=True,
        ge=8,
        le=1_048_576,
    )
    packing: bool = setting(False, "Join short rows into one sequence.", label="Packing", executable=(False,))
