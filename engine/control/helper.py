"""`python -m engine.control.helper WHAT ARGUMENTS…`: a helper of the worker's environment, without a controller.

Finds the interpreter and the code as a controller would, and becomes the helper. What is in the way is one JSON object
on stdout, as the helper's own answer would be.
"""

from __future__ import annotations

import json
import os
import sys

from engine.contract.errors import Conflict, UserError
from engine.contract.paths import Home
from engine.control.executors.code import worker_path
from engine.control.jobs import settings

HELPERS = {"data_check": "engine.compute.worker.data_check", "query": "engine.compute.worker.queries"}


def main() -> int:
    """Become the helper; returns only where that is not possible."""
    try:
        command, variables = _found(sys.argv[1:])
    except UserError as error:
        told = {"error": error.body().model_dump(mode="json"), "status": error.status}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        os.execve(command[0], command, variables)
    return 1


def _found(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """The helper's command and its variables."""
    home = Home.find()
    if not arguments or arguments[0] not in HELPERS:
        raise UserError("request.invalid", detail=f"Helpers are: {', '.join(HELPERS)}.")
    python = settings.worker_python(home, settings.load(home))
    if python is None:
        raise Conflict("worker.no_environment")
    code = worker_path(home)
    variables = {**os.environ, "PYTHONPATH": str(code), "PYTHONSAFEPATH": "1", "FORGE_HOME": str(home.root)}
    return [python, "-m", HELPERS[arguments[0]], *arguments[1:]], variables


if __name__ == "__main__":
    sys.exit(main())
