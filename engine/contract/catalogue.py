"""The models a person can pick from a list: families with their sizes, as resources/catalogue/*.json has them.

Only what the makers and hubs state stands there; a field nobody is sure of is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.contract.paths import resources_folder

HUB_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"
"""`owner/name`, as both hubs write it."""
BYTES_A_PARAMETER = {"bf16": 2, "fp32": 4}
HUBS = ("huggingface", "modelscope")
FIT_SHARE = 0.7
"""Weights that take more than this share of the memory leave too little for training: a rough rule."""
LicenceClass = Literal["open", "conditions"]
Fit = Literal["fits", "tight", "too_large", "unknown"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSize(_Entry):
    """One model of a family."""

    name: str = Field(min_length=1)
    parameters: int = Field(gt=0)
    """As its maker states it, rounded."""
    active: int | None = Field(default=None, gt=0)
    """Parameters that work on a token; only of a mixture of experts."""
    context: int = Field(gt=0)
    """Longest input in tokens without tricks."""
    huggingface: str = Field(pattern=HUB_ID)
    modelscope: str | None = Field(default=None, pattern=HUB_ID)
    kind: Literal["chat", "base"] = "chat"
    gated: bool | None = None
    """Hugging Face gives it only to accounts that accepted its terms; None: not known."""
    own_code: bool = False
    """It needs Python code that comes with it."""
    images: bool = False
    """It also reads images, which this program cannot train yet."""
    licence: str | None = None
    """Where it differs from its family's."""
    licence_class: LicenceClass | None = None
    languages: list[str] | None = None

    def hub_id(self, hub: str) -> str:
        """Its id on a hub, or an empty text where it is not known there."""
        return (self.modelscope or "") if hub == "modelscope" else self.huggingface

    def weight_bytes(self, precision: str = "bf16") -> int:
        """Size of the weights alone."""
        return self.parameters * BYTES_A_PARAMETER.get(precision, 2)

    def fit(self, memory: float | None, precision: str = "bf16") -> Fit:
        """Whether the weights leave room in a memory: a rough rule, no forecast."""
        if not memory:
            return "unknown"
        share = self.weight_bytes(precision) / memory
        return "fits" if share <= FIT_SHARE else "tight" if share <= 1 else "too_large"


class Family(_Entry):
    """Models that were made alike."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str = Field(min_length=1)
    maker: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    """As the hubs name it."""
    licence_class: LicenceClass
    languages: list[str] = Field(min_length=1)
    """Two-letter codes; the main ones where there are very many."""
    template: str = Field(min_length=1)
    """What its chat template is called; the model's own is used."""
    targets: list[str] = Field(min_length=1)
    """Its linear layers."""
    sizes: list[ModelSize] = Field(min_length=1)

    @model_validator(mode="after")
    def _sorted(self) -> Family:
        found = [size.parameters for size in self.sizes]
        if found != sorted(found):
            raise ValueError("sizes go from small to large")
        return self


class Listed(_Entry):
    """A model with its family: what a list shows and a search finds."""

    family: Family
    size: ModelSize

    @property
    def title(self) -> str:
        """Family and size."""
        return f"{self.family.name} {self.size.name}"

    @property
    def licence(self) -> str:
        """As the hubs name it."""
        return self.size.licence or self.family.licence

    @property
    def licence_class(self) -> LicenceClass:
        """Free to use, or with conditions worth reading."""
        return self.size.licence_class or self.family.licence_class

    @property
    def languages(self) -> list[str]:
        """Two-letter codes."""
        return self.size.languages or self.family.languages

    def matches(self, words: str) -> bool:
        """Every word of a search stands somewhere in its names."""
        names = " ".join((self.title, self.family.maker, self.size.huggingface, self.size.modelscope or "",
                          self.licence, self.size.kind)).lower()  # fmt: skip
        return all(word in names for word in words.lower().split())


class Catalogue(_Entry):
    """Every family."""

    families: list[Family]

    def listed(self) -> list[Listed]:
        """Every model, family by family."""
        return list(self._every)

    def find(self, hub: str, path: str) -> Listed | None:
        """The model of a hub id."""
        return self._by_id.get((hub, path.strip().lower()))

    @cached_property
    def _every(self) -> list[Listed]:
        return [Listed.model_construct(family=family, size=size) for family in self.families for size in family.sizes]

    @cached_property
    def _by_id(self) -> dict[tuple[str, str], Listed]:
        ids = ((hub, one.size.hub_id(hub).lower(), one) for hub in HUBS for one in self._every)
        return {(hub, name): one for hub, name, one in ids if name}


def well_formed(hub_id: str) -> bool:
    """A text that can be the id of a model on a hub."""
    return re.fullmatch(HUB_ID, hub_id) is not None


def read_catalogue(files: Sequence[Path]) -> Catalogue:
    """The families in some files, by name."""
    families = [Family.model_validate_json(file.read_bytes()) for file in files]
    return Catalogue(families=sorted(families, key=lambda family: family.name.lower()))


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The one that ships with the program."""
    return read_catalogue(sorted((resources_folder() / "catalogue").glob("*.json")))
