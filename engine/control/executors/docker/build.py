"""Builds the worker image: gathers what goes into it, and asks an engine to build it with the classic builder."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException

from engine.contract import PROTOCOL_VERSION
from engine.contract.environments import Build
from engine.contract.errors import UserError
from engine.contract.paths import code_root, resources_folder
from engine.control.executors import packages
from engine.control.executors.code import PARTS
from engine.control.executors.docker.images import Progress, Tell, WorkerImage, find_image
from engine.control.executors.docker.labels import program_version

BASE = "python:3.11-slim"
BASE_PYTHON = (3, 11)
RESOURCES = ("demo",)
"""What a worker reads of the resources; fonts, icons and translations stay here."""
STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
SILENCE_S = 1800.0
"""A step of a build may say nothing for long: pip resolves, large layers are written."""


@dataclass(frozen=True)
class Plan:
    """What is to be built."""

    name: str
    base: str = BASE
    build: Build = "cuda"
    wheels: Path | None = None
    """A folder of wheels; then nothing is asked of the network."""
    network: str | None = None
    """The builder's network, as docker names it."""


def build(api: Any, plan: Plan, tell: Tell = lambda _: None) -> WorkerImage:
    """Build it; the engine's own words are told line by line."""
    try:
        _follow(api, plan, tell)
    except DockerException as error:
        raise UserError("image.build_failed", name=plan.name, detail=str(error)) from error
    made = find_image(api, plan.name)
    if made is None:
        raise UserError("image.build_failed", name=plan.name, detail="")
    return made


def _follow(api: Any, plan: Plan, tell: Tell) -> None:
    with tempfile.TemporaryFile() as file:
        tell(Progress("gathering"))
        write_context(file, plan.wheels)
        file.seek(0)
        lines = api.build(
            fileobj=file, custom_context=True, tag=plan.name, decode=True, rm=True, forcerm=True,
            buildargs=arguments(plan), network_mode=plan.network, timeout=SILENCE_S,
        )  # fmt: skip
        last: list[str] = []
        for line in lines:
            if "error" in line:
                said = "\n".join([*last[-5:], str(line["error"])])
                raise UserError("image.build_failed", name=plan.name, detail=said)
            text = str(line.get("stream", "")).strip()
            if text:
                last = [*last[-20:], text]
                found = STEP.match(text)
                tell(Progress(text, int(found[1]), int(found[2])) if found else Progress(text))


def arguments(plan: Plan) -> dict[str, str]:
    """The build's arguments."""
    return {
        "BASE_IMAGE": plan.base,
        "PIP_ARGS": " ".join(packages.sources(plan.build, "/build/wheels" if plan.wheels else "")),
        "PROTOCOL": str(PROTOCOL_VERSION),
        "VERSION": program_version(),
        "COMMIT": commit(),
    }


def write_context(file: Any, wheels: Path | None) -> None:
    """The build's context: the Dockerfile, lists of packages, wheels, our code and the resources, as a tar."""
    root = code_root()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(dockerfile(), "Dockerfile")
        _text(tar, "requirements.txt", "\n".join(packages.requirements()) + "\n")
        pins = root / "constraints.txt"
        _text(tar, "constraints.txt", pins.read_text(encoding="utf-8") if pins.is_file() else "")
        _folder(tar, "wheels")
        for wheel in sorted(wheels.glob("*.whl")) if wheels else []:
            tar.add(wheel, f"wheels/{wheel.name}")
        tar.add(root / "engine" / "__init__.py", "engine/__init__.py", filter=_plain)
        for part in PARTS:
            tar.add(root / "engine" / part, f"engine/{part}", filter=_plain)
        for part in RESOURCES:
            tar.add(resources_folder() / part, f"resources/{part}", filter=_plain)


def dockerfile() -> Path:
    """The recipe: in a checkout, or beside an installed program."""
    places = [code_root() / "installer" / "worker_image", code_root() / "loraforge_worker_image"]
    for place in places:
        if (place / "Dockerfile").is_file():
            return place / "Dockerfile"
    raise UserError("image.no_recipe", path=str(places[0]))


def gather_wheels(folder: Path, build: Build) -> None:
    """Fetch all packages into the folder with this computer's pip, for builders that have no network."""
    folder.mkdir(parents=True, exist_ok=True)
    other = ["--python-version", ".".join(map(str, BASE_PYTHON)), "--only-binary=:all:"]
    chosen = [*packages.pip(Path(sys.executable), "download", "--dest", str(folder))]
    chosen += [] if sys.version_info[:2] == BASE_PYTHON else other
    done = subprocess.run(
        [*chosen, *packages.sources(build, ""), *packages.pinned(), *packages.requirements()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UserError("image.build_failed", name=str(folder), detail=done.stderr.strip()[-1000:])


def commit() -> str:
    """The commit this code is from, where it is a checkout."""
    if not (code_root() / ".git").exists():
        return os.environ.get("FORGE_COMMIT", "unknown")
    asked = ["git", "-C", str(code_root()), "rev-parse", "HEAD"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without compiled files, and the same whoever checked the code out."""
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def _text(tar: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _folder(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(entry)
