"""Asking a helper of the worker's environment, without a controller: checking a file of rows, helper queries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from engine.contract.api import QueryRequest
from engine.contract.errors import ErrorBody, UserError, error_of
from engine.contract.paths import Home, code_root


def check_file(
    home: Home, file: Path, form: str = "auto", mapping: BaseModel | None = None, encoding: str = "auto"
) -> dict[str, Any]:
    """What a file of rows is and what is wrong with it; as long as its size needs."""
    arguments = ["data_check", str(file.absolute()), "--format", form, "--encoding", encoding]
    if mapping is not None:
        arguments += ["--mapping", mapping.model_dump_json()]
    return _ask(home, arguments, b"", str(file))


def ask(home: Home, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer to a helper query."""
    order = QueryRequest(kind=kind, params=params).model_dump_json().encode()
    found: dict[str, Any] = _ask(home, ["query"], order, kind).get("result", {})
    return found


def _ask(home: Home, arguments: list[str], order: bytes, what: str) -> dict[str, Any]:
    paths = [str(code_root()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "FORGE_HOME": str(home.root), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "engine.control.helper", *arguments]
    done = subprocess.run(command, input=order, stdout=subprocess.PIPE, check=False, env=environment)
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().rpartition(b"\n")[2])
    except ValueError:
        raise UserError("data.check_failed", file=what, detail=f"Exit code {done.returncode}.") from None
    if found.get("error"):
        raise error_of(ErrorBody.model_validate(found["error"]), found.get("status"))
    return found
