"""Which rows a run learns from, and how they become tokens."""

from typing import Literal

from engine.contract.data_format import DataFormat, Mapping
from engine.contract.setting import Settings, setting

DataHub = Literal["local", "bundled", "library", "huggingface", "modelscope", "url"]
READABLE_HUBS = ("local", "bundled", "library")
"""Where the rows of a run may lie; from elsewhere they come into the library first."""
READABLE_FORMATS = (
    "auto", "messages", "prompt_completion", "alpaca", "sharegpt", "query_response", "text", "preference", "kto",
    "pairs", "classification",
    "prompt_only",
)  # fmt: skip
"""Formats a stage of this version can learn from."""


class DataSource(Settings):
    """One dataset: a file, a folder or a hub id."""

    path: str = setting(
        ...,
        "A file on the worker's computer, the name of a dataset of the library or of a bundled one.",
        label="Dataset",
        basic=True,
        min_length=1,
        max_length=4096,
    )
    hub: DataHub = setting(
        "local", "Where the path is looked up.", label="Source", basic=True, executable=READABLE_HUBS
    )
    version: str | None = setting(
        None,
        "Fingerprint of a version of a dataset of the library; empty: the newest when the run is made.",
        label="Version",
        max_length=64,
    )
    format: DataFormat | Literal["auto"] = setting(
        "auto",
        "How a row is read; auto looks at its columns and says what it found.",
        label="Format",
        executable=READABLE_FORMATS,
    )
    mapping: Mapping = setting(
        Mapping, "Which columns play which part of a row, where they are not called as usual.", label="Columns"
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


class SelfCognition(Settings):
    """Who the model says it is: a small built-in set of questions and answers, mixed into the training rows."""

    name: str = setting(
        "", "What the model calls itself; empty: nothing is mixed in.", label="Name of the model", max_length=200
    )
    author: str = setting("", "Who it says made it; needed with a name.", label="Author of the model", max_length=200)
    rows: int = setting(
        80,
        "How many of its rows an epoch takes, half English, half Chinese; of more than 40 some are taken again.",
        label="About itself",
        unit="rows",
        ge=1,
        le=100_000,
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
    validation_by: Literal["row", "group"] = setting(
        "row",
        "What is set aside: single rows, or whole groups, so that no group is learned from and measured.",
        label="Set aside by",
    )
    group_column: str | None = setting(
        None,
        "The column that says which group a row belongs to (a person, a document); every row must have it.",
        label="Group column",
        max_length=200,
    )
    order: Literal["shuffled", "kept"] = setting(
        "shuffled",
        "Shuffled anew each epoch, or kept as the rows stand: one dataset after the other, not grouped by length.",
        label="Order of rows",
    )
    shuffle_buffer: int | None = setting(
        None,
        "Read rows in the order of their files and draw them from a buffer of so many, for slow disks; "
        "empty: all rows are shuffled.",
        label="Shuffle buffer",
        unit="rows",
        ge=1,
        le=10_000_000,
    )
    self_cognition: SelfCognition = setting(
        SelfCognition, "Teach the model its name and who made it.", label="Self-cognition"
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
