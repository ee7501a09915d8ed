"""`python -m tests.helpers.provoked FOLDER NAME…`: let failures happen, each in a process of its own."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

from engine.compute.worker.__main__ import prepare
from engine.compute.worker.failures import explain
from engine.contract import logs

MODULES = ("torch_failures", "model_failures", "adapter_failures", "system_failures", "data_failures")


def happen(name: str, result: Path) -> int:
    """Let it happen; the exit code is a worker's."""
    logs.apply("info", False, [logging.StreamHandler(sys.stdout)], "%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    log = logging.getLogger("worker")
    found = [importlib.import_module(f"tests.helpers.provoked.{module}") for module in MODULES]
    failure = next(getattr(module, name) for module in found if name in vars(module))
    with tempfile.TemporaryDirectory(prefix="provoked-") as folder:
        os.chdir(folder)
        Path(folder).chmod(0o777)
        try:
            failure()
        except Exception as error:
            reason, body = explain(error, 8, Path(folder))
            log.exception("The session ended with an exception")
            result.write_text(json.dumps({"reason": reason, "error": body.model_dump(mode="json")}))
            return 1
        finally:
            os.chdir("/")
    return 0


def alone(name: str, folder: Path) -> int:
    """In a process of its own, so that limits, rights and ends touch nothing else; its exit status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    out = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        code = happen(name, folder / f"{name}.json")
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:  # noqa: BLE001  # whatever it is, the process ends here
        print(f"NOT PROVOKED: {error!r}", flush=True)
        code = 3
    os._exit(code)


def main(folder: Path, names: list[str]) -> int:
    """All of them, one after the other; 0 if each failed as it should."""
    prepare()
    sys.modules.pop("datasets", None), sys.modules.pop("pandas", None)  # trl wants them
    for module in MODULES:
        importlib.import_module(f"tests.helpers.provoked.{module}")
    import peft  # noqa: F401
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    ends = {name: alone(name, folder) for name in names}
    for name, status in ends.items():
        print(name, status, flush=True)
    return 0 if all(ends.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2:]))
