"""What a bundle of diagnostics holds, shown before it is saved."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class BundleFile(BaseModel):
    """A file of the bundle, with all its text, as it will be handed out."""

    model_config = ConfigDict(extra="ignore")

    name: str
    text: str


class Bundle(BaseModel):
    """Everything that would be saved."""

    model_config = ConfigDict(extra="ignore")

    files: list[BundleFile] = []
    replaced: dict[str, int] = {}
    """What was replaced (home, user, host, token, mail, address, name) and how often."""
