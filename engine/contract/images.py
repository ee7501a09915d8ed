"""Worker images: what is asked for when one is built or copied, and how one is described."""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.environments import Build


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class BuildImage(_Body):
    """Build the worker image with this computer's engine."""

    name: str = ""
    """Empty: that of this version."""
    base: str = ""
    """A Debian with Python; empty: the usual one."""
    build: Build = "cuda"
    wheels: str = ""
    """A folder of packages; then nothing is fetched while building."""
    gather: bool = False
    """Fetch the packages with this computer's pip beforehand, into `wheels` or a passing folder."""
    network: str = ""
    """The builder's network, as Docker names it (host, none); empty: the usual one."""


class ImageProgress(_Body):
    """How far a build (steps) or a copy (bytes) is."""

    step: str
    done: int = 0
    total: int = 0


class ImageInfo(_Body):
    """A worker image of an engine."""

    id: str
    names: list[str] = []
    version: str = ""
    commit: str = ""
    protocol: int | None = None
    fits: bool = False
    """Its workers speak as this program's controller does."""
    bytes: int = 0
    created: str = ""


class Images(_Body):
    """The worker images of an engine, and the one that is used where nothing else is chosen."""

    images: list[ImageInfo] = []
    usual: str = ""


class EngineSource(_Body):
    """The engine that images come from, as Docker's own variables name it."""

    host: str = Field(default="", max_length=500)
    """DOCKER_HOST: unix://PATH, tcp://HOST:PORT, ssh://USER@HOST:PORT; empty: this computer's usual socket."""
    verify: str = Field(default="", max_length=20)
    """DOCKER_TLS_VERIFY: anything but nothing asks for TLS."""
    certificates: str = Field(default="", max_length=1000)
    """DOCKER_CERT_PATH: the folder of ca.pem, cert.pem and key.pem; empty: ~/.docker."""

    @classmethod
    def of_environment(cls) -> EngineSource:
        """As the variables of this process say."""
        found = (os.environ.get(name, "") for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"))
        host, verify, certificates = found
        return cls(host=host, verify=verify, certificates=certificates)


class PushImage(_Body):
    """Copy an image of an engine to a node."""

    image: str = Field(default="", max_length=500)
    """Empty: the one the node uses."""
    source: EngineSource | None = None
    """Where it comes from; None: the engine the controller's own variables name."""
