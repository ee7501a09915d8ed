"""Workers of an installed program find the engine's code, and nothing of the desktop's other packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from engine.contract.paths import Home, code_root
from engine.control.executors.code import worker_path


def test_that_a_checkout_is_used_as_it_is(tmp_path):
    assert worker_path(Home(tmp_path)) == code_root()
    assert not (tmp_path / "code").exists()


def test_that_an_installed_engine_is_copied_alone(tmp_path):
    site = tmp_path / "site-packages"
    shutil.copytree(code_root() / "engine", site / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "torch.py").write_text("raise ImportError('the desktop has another torch')")
    home = Home(tmp_path / "home")
    made = worker_path(home, site)
    assert worker_path(home, site) == made
    assert sorted(path.name for path in made.iterdir()) == ["engine", "resources"]
    assert sorted(path.name for path in (made / "engine").iterdir()) == ["__init__.py", "compute", "contract"]
    code = "from engine.contract.paths import resources_folder; import engine.compute; print(resources_folder())"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(made), "PYTHONSAFEPATH": "1"}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == made / "resources"


def test_that_another_version_gets_another_folder(tmp_path):
    site = tmp_path / "site-packages"
    shutil.copytree(code_root() / "engine", site / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    home = Home(tmp_path / "home")
    first = worker_path(home, site)
    with (site / "engine" / "compute" / "__init__.py").open("a") as file:
        file.write("# newer\n")
    assert worker_path(home, site) != first
