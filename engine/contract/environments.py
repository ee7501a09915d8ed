"""Worker environments as people see them: which there are, what each holds, and how the making of one gets on."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.errors import ErrorBody

Build = Literal["cpu", "cuda"]
Origin = Literal["variable", "setting", "beside", "made"]
"""Named by FORGE_WORKER_PYTHON, by the setting, found beside the program, or made by it."""
State = Literal["making", "interrupted", "failed", "cancelled", "looking", "works", "broken"]
Step = Literal["venv", "resolving", "downloading", "installing", "checking", "done"]
STEPS: tuple[Step, ...] = ("venv", "resolving", "downloading", "installing", "checking", "done")
NAME = re.compile(r"[A-Za-z][\w.-]{0,59}")
GB = 10**9
DOWNLOAD_BYTES: dict[str, int] = {"cpu": int(0.45 * GB), "cuda": int(3.4 * GB)}
"""About what is fetched; an index that answers is asked for the exact size while it is made."""
DISK_BYTES: dict[str, int] = {"cpu": int(2.1 * GB), "cuda": int(11.5 * GB)}
"""Most that is needed on the disk while it is made: the packages, and what they unpack to."""
NEEDED = ("torch", "transformers", "peft", "safetensors")
"""Without these nothing can be trained."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Holds(_Body):
    """What an interpreter said of itself when it was started."""

    python: str = ""
    versions: dict[str, str | None] = {}
    """Package to version; None: missing."""
    cuda: str | None = None
    """Version of CUDA that PyTorch was built for; None: built for the processor."""
    gpu: bool = False
    """Whether PyTorch finds a GPU here."""

    @property
    def complete(self) -> bool:
        """Whether it can train."""
        return all(self.versions.get(name) for name in NEEDED)


class Progress(_Body):
    """How the making of an environment gets on."""

    step: Step = "venv"
    done: int = 0
    total: int = 0
    """Packages of this step; 0: not known yet."""
    bytes: int = 0
    bytes_total: int = 0
    """Of the download; 0: not known."""
    began: float = 0.0


class Environment(_Body):
    """An interpreter that workers could use, or one that is being made."""

    name: str
    python: str
    origin: Origin
    state: State = "looking"
    in_use: bool = False
    build: Build | None = None
    """Of one that this program made."""
    bytes: int | None = None
    """Of its folder; None: not counted yet."""
    made: float | None = None
    holds: Holds | None = None
    error: ErrorBody | None = None
    progress: Progress | None = None
    log: str = ""
    """The last lines of what its making said."""

    @property
    def unsettled(self) -> bool:
        """Whether it will look different soon."""
        return self.state in ("making", "looking")


class Environments(_Body):
    """All of them, and what a new one would take."""

    environments: list[Environment] = []
    fixed_by: str = ""
    """Name of the variable that decides which is used; empty: the setting does."""
    free_bytes: int = 0
    download_bytes: dict[str, int] = {}
    disk_bytes: dict[str, int] = {}


class MakeEnvironment(_Body):
    """Make one; of a name that is half made, go on."""

    name: str = Field(default="default", max_length=200)
    build: Build = "cpu"
    find_links: str = ""
    """A folder of wheels to install from instead of the network."""
    replace: bool = False
    """Make it anew although one of this name works; the old one is used until the new one is whole."""
