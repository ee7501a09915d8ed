"""The place where what runs made lies a second time: how it is written in the settings, and how it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from engine.contract.errors import ErrorBody, Problem

S3 = "s3://"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
SCHEMES = ("http", "https")
ARTIFACT_SECRET = "artifacts"
"""`ACCESS_KEY:SECRET_KEY` of the bucket."""


class ArtifactsState(BaseModel):
    """Whether what runs made lies at the place the settings name."""

    model_config = ConfigDict(extra="ignore")

    place: str = ""
    state: Literal["off", "whole", "copying", "failing"] = "off"
    waiting: int = 0
    """Runs of which something is not there yet."""
    error: ErrorBody | None = None
    """What is in the way. Nothing is lost by that: everything is on this computer, and it is tried again."""


def bucket_of(place: str) -> tuple[str, str] | None:
    """Bucket and prefix of `s3://bucket/prefix`; None for anything else."""
    if not place.startswith(S3):
        return None
    bucket, _, prefix = place.removeprefix(S3).partition("/")
    prefix = prefix.strip("/")
    good = BUCKET.fullmatch(bucket) and ".." not in prefix.split("/") and prefix.isprintable()
    return (bucket, prefix) if good else None


def endpoint_of(address: str) -> tuple[str, str] | None:
    """Scheme and `host:port` of an S3 service's address; None if it is none."""
    try:
        found = urlsplit(address)
        good = found.scheme in SCHEMES and found.hostname and found.port != 0 and not (found.username or found.query)
    except ValueError:
        return None
    return (found.scheme, found.netloc) if good and found.path in ("", "/") else None


def check_place(place: str, endpoint: str) -> Iterator[Problem]:
    """What is wrong with them."""
    if place and bucket_of(place) is None and (place.startswith(S3) or not Path(place).is_absolute()):
        yield Problem(code="settings.artifact_place", field="artifact_place", params={"value": place})
    if endpoint and endpoint_of(endpoint) is None:
        yield Problem(code="settings.artifact_endpoint", field="artifact_endpoint", params={"value": endpoint})
