"""Putting a result on a hub once it is there: only where a person asked for it, and private unless said otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.contract.errors import Problem
from engine.contract.hubs import HUBS, ID
from engine.contract.setting import Settings, setting

PUSHERS = {"huggingface": "huggingface_hub", "modelscope": "modelscope_hub"}
"""The library that speaks to each hub."""


class PushConfig(Settings):
    """Where the result goes, and who sees it."""

    hub: Literal["none", "huggingface", "modelscope"] = setting(
        "none", "Put the result on this hub when the run is over; its token comes from the settings.", label="Push to"
    )
    repo: str = setting(
        "", "Its name there, as owner/name; made if it is not there.", label="Name there", max_length=200
    )
    private: bool = setting(True, "Only its owner sees it.", label="Private")
    licence: str = setting(
        "", "Licence named in the model card; empty: none is named. The base model's must be kept.",
        label="Licence", max_length=100, pattern=r"^[A-Za-z0-9.+-]*$",
    )  # fmt: skip


class PushAsked(BaseModel):
    """Push the result of a run now; what is empty is taken from its config."""

    model_config = ConfigDict(extra="ignore")

    hub: str = ""
    repo: str = ""
    private: bool | None = None


class Pushed(BaseModel):
    """A result that is on a hub."""

    model_config = ConfigDict(extra="ignore")

    url: str
    commit: str = ""


def is_repo(name: str) -> bool:
    """Whether a hub takes such a name: owner and name."""
    return "/" in name and ID.fullmatch(name) is not None


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What of the push does not go together, in a document that may not validate."""
    outputs = document.get("outputs")
    push = outputs.get("push") if isinstance(outputs, Mapping) else None
    if not isinstance(push, Mapping) or push.get("hub") not in HUBS:
        return
    repo = push.get("repo", "")
    if isinstance(repo, str) and not is_repo(repo):
        yield Problem(code="config.push_repo", field="outputs.push.repo", params={"value": repo[:80]})
    compute = document.get("compute")
    if isinstance(compute, Mapping) and compute.get("network") == "none":
        yield Problem(code="config.push_network", field="compute.network")
