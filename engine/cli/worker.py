"""`forge worker`: make, list and check the environments that workers run in."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import print_json, say, table
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.paths import Home, code_root

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
READY = "ready"
"""File in an environment that is complete (JSON)."""
PIP_LINES = ("Collecting", "Downloading", "Installing", "Using cached", "Successfully", "ERROR")
LOOK = """
import json, platform
found = {"python": platform.python_version()}
for name in ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "safetensors"):
    try:
        found[name] = __import__(name).__version__
    except ImportError as error:
        found[name] = None
if found["torch"]:
    import torch
    found["cuda"] = torch.version.cuda if torch.cuda.is_available() else None
print(json.dumps(found))
"""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    group = commands.add_parser("worker", parents=[common], help="environments that workers run in")
    inner = group.add_subparsers(metavar="WHAT", required=True)
    make = inner.add_parser("install", parents=[common], help="make an environment with PyTorch and its kin")
    make.add_argument("--name", default="default")
    make.add_argument("--cpu", action="store_true", help="PyTorch for the processor only, a much smaller download")
    make.add_argument("--force", action="store_true", help="make it anew if it is there")
    make.set_defaults(work=install)
    several = inner.add_parser("list", parents=[common], help="list the environments and the one in use")
    several.set_defaults(work=list_environments)
    check = inner.add_parser("check", parents=[common], help="look whether the one in use can train")
    check.set_defaults(work=look)


def requirements() -> list[str]:
    """What a worker needs: the extra "worker" of this program, from the checkout or the installed package."""
    source = code_root() / "pyproject.toml"
    if source.is_file():
        import tomllib

        extras = tomllib.loads(source.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        return list(extras["worker"])
    from importlib.metadata import requires

    found = [re.split(r";\s*", line, maxsplit=1) for line in requires("loraforge-desktop") or []]
    return [line[0].strip() for line in found if len(line) == 2 and re.search(r"extra == ['\"]worker['\"]", line[1])]


def install(options: argparse.Namespace) -> int:
    """Make an environment; it counts only once it is complete."""
    if not re.fullmatch(r"[\w.-]{1,60}", options.name) or options.name.startswith("."):
        raise UserError("worker.bad_name", name=options.name)
    folder = Home.find().environments / options.name
    if (folder / READY).exists() and not options.force:
        raise Conflict("worker.exists", name=options.name, folder=str(folder))
    began = time.monotonic()
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(folder)], options.json)
        _run(pip_command(folder, options.cpu), options.json)
        content = {"made": time.time(), "cpu": options.cpu, "requirements": requirements()}
        (folder / READY).write_text(json.dumps(content))
    except OSError as error:
        raise UserError("file.unwritable", file=str(folder), detail=error.strerror or str(error)) from error
    python = folder / "bin" / "python"
    if options.json:
        print_json({"python": str(python), "seconds": time.monotonic() - began})
    else:
        print(f"Workers can run with {python} now.")
    return OK


def pip_command(folder: Path, cpu: bool) -> list[str]:
    """How the packages are installed; a checkout pins their versions."""
    command = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar=off",
    ]
    constraints = code_root() / "constraints.txt"
    if constraints.is_file():
        command += ["-c", str(constraints)]
    if cpu and "PIP_INDEX_URL" not in os.environ:
        command += ["--extra-index-url", CPU_INDEX]
    return command + requirements()


def _run(command: list[str], quiet: bool) -> None:
    """Run it, showing how it gets on."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    last: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        last = [*last[-19:], line.rstrip()]
        if not quiet and line.startswith(PIP_LINES):
            say(line.rstrip()[:160])
    if process.wait() != 0:
        raise UserError("worker.install_failed", detail="\n".join(last))


def _environments() -> Iterator[tuple[str, Path, bool]]:
    for folder in sorted(Home.find().environments.glob("*")):
        if folder.is_dir():
            yield folder.name, folder / "bin" / "python", (folder / READY).exists()


def list_environments(options: argparse.Namespace) -> int:
    """Those under the home, and the interpreter workers would use now."""
    found, used = list(_environments()), _in_use()
    if options.json:
        rows = [{"name": name, "python": str(python), "ready": ready} for name, python, ready in found]
        print_json({"environments": rows, "in_use": used})
        return OK
    rows_shown = [[name, "ready" if ready else "incomplete", str(python)] for name, python, ready in found]
    if rows_shown:
        print(table(("name", "state", "interpreter"), rows_shown))
    print(f"In use: {used or 'none'}")
    return OK


def look(options: argparse.Namespace) -> int:
    """Ask the interpreter in use what it has."""
    python = _in_use()
    if python is None:
        raise NotFound("worker.no_environment")
    done = subprocess.run([python, "-c", LOOK], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError("worker.check_failed", python=python, detail=done.stderr.strip()[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    if options.json:
        print_json({"interpreter": python, **found})
    else:
        print(python)
        print("\n".join(f"  {name:13} {value or 'missing'}" for name, value in found.items()))
    return OK if all(found[name] for name in ("torch", "transformers", "peft", "safetensors")) else FAILED


def _in_use() -> str | None:
    from engine.cli.session import controller

    with controller() as client:
        return client.health().worker_python
