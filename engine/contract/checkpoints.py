"""Checkpoints: how often they are made, which are kept, and what the manifest in each says."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.contract.setting import Settings, setting

MANIFEST = "manifest.json"
CHECKPOINT_VERSION = 1
SaveCause = Literal["minutes", "steps", "best", "person", "pause", "move", "stop", "end"]


class CheckpointConfig(Settings):
    """When the whole state of training is saved, and how much of it stays."""

    every_minutes: float | None = setting(
        10.0,
        "Minutes of training between two checkpoints; empty: not by time.",
        label="Checkpoint every",
        unit="min",
        gt=0,
        le=100_000,
    )
    every_steps: int | None = setting(
        None, "Steps between two checkpoints; empty: not by steps.", label="Checkpoint every", unit="steps", ge=1
    )
    keep_last: int = setting(2, "Newest checkpoints that are kept.", label="Keep the newest", ge=1, le=1000)
    keep_best: int = setting(
        1, "Checkpoints with the lowest validation loss that are kept as well.", label="Keep the best", ge=0, le=1000
    )
    at_end: bool = setting(
        True, "Save one more at the end, so that training can be extended later.", label="Checkpoint at the end"
    )


class FileMark(BaseModel):
    """Size and fingerprint of one file of a checkpoint."""

    bytes: int
    sha256: str


class Identity(BaseModel):
    """What a checkpoint belongs to; going on with another model or other rows is refused."""

    model: str = ""
    """sha256 over the base model's files."""
    data: str = ""
    """Fingerprint of the training rows in their order."""
    teacher: str = ""
    """Of the files of the model it learns from, and of its adapter; empty: there is none, or nobody looked."""


class Manifest(BaseModel):
    """`manifest.json`, the last file written into a checkpoint. One that does not agree with it is not used."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    version: int = CHECKPOINT_VERSION
    run: str
    attempt: int
    step: int
    epoch: float
    total_steps: int
    loss: float | None = None
    validation_loss: float | None = None
    score: float | None = None
    """Of the held-out rows, where it was measured at this step."""
    cause: SaveCause
    created: float
    trained_seconds: float = 0.0
    """Time spent on training up to here, earlier attempts included."""
    tuner: str = ""
    identity: Identity = Identity()
    environment: dict[str, Any] = {}
    """torch, transformers, peft, processor, device, threads: what an exact repetition needs to agree."""
    files: dict[str, FileMark] = {}
    checksum: str = ""
    """sha256 of this very document with this field empty."""

    def sealed(self) -> Manifest:
        """The same with its checksum."""
        return self.model_copy(update={"checksum": self._digest()})

    @property
    def intact(self) -> bool:
        """It reads as it was written."""
        return self.checksum == self._digest()

    def _digest(self) -> str:
        bare = self.model_copy(update={"checksum": ""})
        return hashlib.sha256(bare.model_dump_json().encode()).hexdigest()


class ResumePoint(BaseModel):
    """A checkpoint a new attempt may go on from."""

    attempt: int
    step: int
    path: str
    """Relative to the run's folder."""
