"""Gathering diagnostics, by the room that knows the history; works with and without a controller that runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

from pydantic import ValidationError

from engine.contract.diagnostics import Bundle
from engine.contract.durable import write_durably
from engine.contract.errors import UserError
from engine.contract.paths import Home, code_root

LIMIT_S = 300.0
EPOCH = (1980, 1, 1, 0, 0, 0)


def gather(home: Home, hide_names: bool = False) -> Bundle:
    """Everything a report needs, made anonymous."""
    paths = [str(code_root()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "FORGE_HOME": str(home.root), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "engine.control.diagnostics", *(["--hide-names"] if hide_names else [])]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=LIMIT_S)
        return Bundle.model_validate_json(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise UserError("diagnostics.failed", detail=f"It took longer than {LIMIT_S:.0f} s.") from error
    except (OSError, ValidationError) as error:
        said = done.stderr.decode(errors="replace").strip()[-500:] if isinstance(error, ValidationError) else str(error)
        raise UserError("diagnostics.failed", detail=said) from error


def save(bundle: Bundle, file: Path) -> None:
    """As a zip that holds no time and no owner."""
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in bundle.files:
            archive.writestr(zipfile.ZipInfo(part.name, EPOCH), part.text.encode(), zipfile.ZIP_DEFLATED)
    try:
        write_durably(file, memory.getvalue(), 0o600)
    except OSError as error:
        raise UserError("diagnostics.unwritable", file=str(file), detail=error.strerror or str(error)) from error
