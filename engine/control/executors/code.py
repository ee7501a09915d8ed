"""The engine's code as a worker gets it on its PYTHONPATH.

A checkout holds nothing else, so workers use it as it is. An installed program lies among the desktop's packages,
which must not hide the worker's own (other versions, another Python): then `engine` is copied into the home.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from pathlib import Path

from engine.contract.paths import Home, code_root, resources_folder

PARTS = ("contract", "compute")
WORKER_PATH = "FORGE_WORKER_PATH"
"""Variable by which a monitor learns its worker's PYTHONPATH; its own is the controller's."""


def worker_path(home: Home, root: Path | None = None) -> Path:
    """The folder to put on a worker's PYTHONPATH; made if need be, safe when two ask at once."""
    root = root or code_root()
    if (root / "pyproject.toml").is_file():
        return root
    made = home.worker_code / fingerprint(root)
    if not made.is_dir():
        aside = home.worker_code / f".{made.name}.{secrets.token_hex(4)}"
        engine = aside / "engine"
        engine.mkdir(parents=True)
        shutil.copy2(root / "engine" / "__init__.py", engine)
        for part in PARTS:
            shutil.copytree(root / "engine" / part, engine / part, ignore=shutil.ignore_patterns("__pycache__"))
        (aside / "resources").symlink_to(resources_folder())
        try:
            aside.rename(made)
        except OSError:  # another was quicker
            shutil.rmtree(aside)
    return made


def fingerprint(root: Path) -> str:
    """Of names, sizes and times: another version of the code gets another folder."""
    files = sorted(file for part in PARTS for file in (root / "engine" / part).rglob("*.py"))
    facts = [f"{file.relative_to(root)} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join([str(resources_folder()), *facts]).encode()).hexdigest()[:16]
