"""The import rules hold, and each is proved by an import planted against it."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
PLANTS = {
    "rooms": ("engine/contract", "import engine.client"),
    "client": ("engine/client", "import engine.control"),
    "cli": ("engine/cli", "import engine.compute"),
    "control": ("engine/control", "import engine.compute"),
    "compute": ("engine/compute", "import engine.control"),
    "desktop": ("forge_desktop", "import engine.control"),
    "torch": ("engine/client", "import torch"),
    "qt": ("engine/compute", "import PySide6"),
    "docker": ("engine/client", "import docker"),
    "layers-control": ("engine/control/store", "import engine.control.api"),
    "layers-compute": ("engine/compute/data", "import engine.compute.worker"),
    "layers-desktop": ("forge_desktop/theme", "import forge_desktop.pages"),
}


def lint(folder: Path) -> dict[str, str]:
    """Contract id to KEPT or BROKEN."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", "pyproject.toml"]
    environment = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    verdicts = {}
    for identifier, name in CONTRACTS.items():
        line = next((line for line in done.stdout.splitlines() if line.startswith(f"{name} ")), "")
        verdicts[identifier] = line.removeprefix(name).strip().partition(" ")[0] or done.stdout + done.stderr
    return verdicts


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The packages without what is in them, and the same rules."""
    for package in ("engine", "forge_desktop"):
        for file in (ROOT / package).rglob("__init__.py"):
            target = tmp_path / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("")
    for layer in ("app.py", "window.py"):
        (tmp_path / "forge_desktop" / layer).touch()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return tmp_path


def test_that_every_rule_has_an_import_planted_against_it():
    assert set(PLANTS) == set(CONTRACTS)


def test_that_the_rules_hold():
    assert set(lint(ROOT).values()) == {"KEPT"}


def test_that_each_planted_import_breaks_its_rule(skeleton):
    assert set(lint(skeleton).values()) == {"KEPT"}
    for identifier, (room, statement) in PLANTS.items():
        (skeleton / room / f"planted_{identifier.replace('-', '_')}.py").write_text(statement + "\n")
    assert lint(skeleton) == dict.fromkeys(CONTRACTS, "BROKEN")
