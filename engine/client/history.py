"""Having a history looked through, by the room that knows its form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from engine.contract.errors import ErrorBody, UserError
from engine.contract.paths import Home, code_root

PARTS = ("pages", "references", "journals")


def ask_care(home: Home, what: str) -> dict[str, Any]:
    """What `check` or `salvage` says of a home's history."""
    paths = [str(code_root()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "FORGE_HOME": str(home.root), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "engine.control.store.care", what]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, env=environment)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise UserError("history.care_failed", code=done.returncode) from None
    if "error" in found:
        raise UserError.from_body(ErrorBody.model_validate(found["error"]))
    return found


def check_history(home: Home) -> list[str]:
    """Everything that is wrong with it."""
    found = ask_care(home, "check")
    return [str(one) for part in PARTS for one in found[part]]
