"""What goes into a worker's environment, and how pip is asked for it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from engine.contract.environments import Build
from engine.contract.paths import code_root

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
QUIET = ("--disable-pip-version-check", "--no-input", "--progress-bar=off")
LOOK = """
import json, platform
found = {"python": platform.python_version(), "versions": {}, "cuda": None, "gpu": False}
for name in ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "safetensors"):
    try:
        found["versions"][name] = str(__import__(name).__version__)
    except ImportError:
        found["versions"][name] = None
if found["versions"]["torch"]:
    import torch
    found["cuda"] = getattr(getattr(torch, "version", None), "cuda", None)
    found["gpu"] = bool(found["cuda"]) and torch.cuda.is_available()
print(json.dumps(found))
"""
"""Asked of an interpreter: `Holds` as JSON on its last line."""


def requirements() -> list[str]:
    """What a worker needs: the extra "worker" of this program, from the checkout or the installed package."""
    source = code_root() / "pyproject.toml"
    if source.is_file():
        import tomllib

        extras = tomllib.loads(source.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        return list(extras["worker"])
    from importlib.metadata import requires

    return of_worker(requires("loraforge-desktop") or [])


def of_worker(lines: Sequence[str]) -> list[str]:
    """Those of the extra "worker" among a package's requirements, with what else they are bound to."""
    found = []
    for line in lines:
        name, _, marker = line.partition(";")
        rest, count = re.subn(r"(^| and )\s*extra == ['\"]worker['\"]\s*$", "", marker.strip())
        if count:
            found.append(f"{name.strip()}; {rest}" if rest else name.strip())
    return found


def sources(build: Build, find_links: str) -> list[str]:
    """Where pip looks for packages."""
    if find_links:
        return ["--no-index", "--find-links", find_links]
    return ["--extra-index-url", CPU_INDEX] if build == "cpu" and "PIP_INDEX_URL" not in os.environ else []


def pinned() -> list[str]:
    """A checkout pins the versions of its packages."""
    constraints = code_root() / "constraints.txt"
    return ["-c", str(constraints)] if constraints.is_file() else []


def pip(python: Path, command: str, *arguments: str) -> list[str]:
    """A pip of that interpreter at work, without questions."""
    return [str(python), "-m", "pip", command, *QUIET, *arguments]
