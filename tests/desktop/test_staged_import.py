"""Imports in slices: in the order modules need each other; whoever wants a library that is half there ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forge_desktop.theme.staged_import import StagedPackage, import_order, module_slices

PACKAGE = """
from .first import FIRST
BETWEEN = FIRST + 1
from .second import SECOND
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package in a folder of its own."""
    name = f"staged_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "first.py").write_text("FIRST = 1\n")
    (folder / "second.py").write_text(f"from {name} import BETWEEN\nSECOND = BETWEEN + 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_that_a_package_comes_in_slices_and_is_gone_on_with(package: str) -> None:
    one = StagedPackage.of(package)
    one._work(0)
    assert package in sys.modules
    assert not hasattr(sys.modules[package], "SECOND")
    assert StagedPackage.of(package) is one
    StagedPackage.of(package).finish()
    assert sys.modules[package].SECOND == 3
    assert list(one.slices()) == []


def test_that_a_package_that_fails_is_not_left_half(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "second.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(ImportError):
        StagedPackage.of(package).finish()
    assert package not in sys.modules
    (tmp_path / package / "second.py").write_text("SECOND = 3  # mended\n")
    StagedPackage.of(package).finish()
    assert sys.modules[package].SECOND == 3


def test_that_modules_come_after_what_they_import(package: str) -> None:
    order = import_order([f"{package}.second"])
    assert order[-1] == f"{package}.second"
    for work in module_slices(order):
        work()
    assert f"{package}.second" in sys.modules


def test_that_the_window_opens_without_its_later_pages_and_the_order_brings_them_all() -> None:
    code = (
        "import sys; import forge_desktop.app as app\n"
        "assert not set(app.LATER) & set(sys.modules), set(app.LATER) & set(sys.modules)\n"
        "before = set(sys.modules); order = app.import_order(app.LATER)\n"
        "new = set(sys.modules) - before\n"
        "assert all(hasattr(sys.modules[name], '__path__') for name in new), 'reading imports no module'\n"
        "[work() for work in app.module_slices(order)]\n"
        "assert set(app.LATER) <= set(sys.modules)\n"
        "late = [name for name in sys.modules if name.startswith('forge_desktop.')"
        " and name not in {*before, *new, *order}]\n"
        "assert not late, late"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
