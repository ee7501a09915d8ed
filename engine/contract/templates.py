"""The chat templates a person can choose by name: resources/templates/<name>.jinja with <name>.json beside it.

Each says which public file its form was taken from; the Jinja text is ours, with the answers marked for training.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.paths import resources_folder

GENERAL = ("auto", "tokenizer", "chatml")
"""Choices that are no file: what is right for the model, the tokenizer's own, ChatML with an end the model knows."""
COMMIT = r"^[0-9a-f]{40}$"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TemplateSource(_Entry):
    """The public file a form was taken from."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    file: str = Field(min_length=1)
    commit: str = Field(pattern=COMMIT)
    licence: str = Field(min_length=1)
    """Of the repository."""
    part: str = ""
    """What of the file, where it holds several."""


class TemplateInfo(_Entry):
    """What is known of a template of the catalogue."""

    title: str = Field(min_length=1)
    families: list[str] = Field(min_length=1)
    """Models that were trained with it."""
    end_of_turn: str = Field(min_length=1)
    """The token an answer ends with; `eos_token`: the tokenizer's own."""
    stop: list[str] = []
    """Other tokens at which an answer ends."""
    special: list[str] = []
    """Tokens a vocabulary must hold for it."""
    source: TemplateSource
    system: bool = True
    """It has a place for a system prompt."""
    tools: bool = False
    thinking: bool = False


def templates_folder() -> Path:
    """Where they lie."""
    return resources_folder() / "templates"


@lru_cache(maxsize=1)
def template_names() -> tuple[str, ...]:
    """Names of the catalogue, in order."""
    return tuple(sorted(path.stem for path in templates_folder().glob("*.json")))


@lru_cache(maxsize=1)
def template_catalogue() -> dict[str, TemplateInfo]:
    """Every template that can be chosen, by name."""
    folder = templates_folder()
    return {name: TemplateInfo.model_validate_json((folder / f"{name}.json").read_bytes()) for name in template_names()}


def template_text(name: str) -> str:
    """The Jinja text of a template of the catalogue."""
    return (templates_folder() / f"{name}.jinja").read_text(encoding="utf-8")


def template_choices() -> tuple[str, ...]:
    """Every value the setting `template` can have."""
    return (*GENERAL, *(name for name in template_names() if name not in GENERAL))


def template_titles() -> dict[str, str]:
    """What the templates of the catalogue are called: names of models, the same in every language."""
    return {name: info.title for name, info in template_catalogue().items() if name not in GENERAL}
