"""Settings of the controller, kept in settings.json, and what follows from them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from engine.contract.api import Settings
from engine.contract.durable import write_json
from engine.contract.errors import Refused
from engine.contract.paths import Home
from engine.contract.settings_check import problems_of


def load(home: Home) -> Settings:
    """The settings; the usual ones without a file. A file that cannot be read is refused, not overwritten."""
    try:
        return Settings.model_validate(json.loads(home.settings_file.read_bytes()))
    except FileNotFoundError:
        return Settings()
    except (ValueError, ValidationError) as error:
        raise Refused("settings.unreadable", file=str(home.settings_file), detail=str(error)) from None


def save(home: Home, settings: Settings) -> None:
    """Check and keep."""
    problems = problems_of(settings.model_dump())
    if problems:
        raise Refused("settings.refused", problems=problems)
    write_json(home.settings_file, settings.model_dump(mode="json"))


def worker_python(home: Home, settings: Settings) -> str | None:
    """The interpreter of local workers, in the order the docs name."""
    named = os.environ.get("FORGE_WORKER_PYTHON") or settings.worker_python
    if named:
        return named if Path(named).is_file() else None
    beside = Path(sys.prefix).parent / ".venv-worker" / "bin" / "python"
    if beside.is_file():
        return str(beside)
    whole = [path.parent for path in home.environments.glob("*/ready") if not path.parent.name.startswith(".")]
    made = [path / "bin" / "python" for path in whole if (path / "bin" / "python").exists()]
    return str(max(made, key=lambda path: path.parents[1].stat().st_mtime)) if made else None
