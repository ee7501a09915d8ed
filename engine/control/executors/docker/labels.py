"""The names by which images of ours are known, whoever built them."""

from __future__ import annotations

import importlib.metadata

from engine.contract import PROTOCOL_VERSION

PROTOCOL = "forge.protocol"
"""Version of the agreement between controller and worker; an image that carries it is a worker image."""
VERSION = "org.opencontainers.image.version"
COMMIT = "org.opencontainers.image.revision"
TITLE = "org.opencontainers.image.title"
WORKER_TITLE = "LoRAForge worker"
REPOSITORY = "loraforge-worker"


def program_version() -> str:
    """This program's version; 0 where it was never installed."""
    try:
        return importlib.metadata.version("loraforge-desktop")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def default_image() -> str:
    """The worker image of this version: what the settings mean when they name none."""
    return f"{REPOSITORY}:{program_version()}"


def image_labels(version: str, commit: str) -> dict[str, str]:
    """What a worker image made from this code carries."""
    return {PROTOCOL: str(PROTOCOL_VERSION), VERSION: version, COMMIT: commit, TITLE: WORKER_TITLE}
