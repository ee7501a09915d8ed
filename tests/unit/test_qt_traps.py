"""Traps of Qt and PySide that others paid for, each with a guard that reads the code."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PySide6.QtCore import QObject

import forge_desktop
from tests.helpers.syntax import ROOT, nodes, syntax_let_go, trees

__all__ = ["syntax_let_go"]
DESKTOP = "forge_desktop"
LONG_LIVED = ("session", "_session", "hints", "preferences", "_preferences", "app")
"""What outlives a page: its signals must not be connected to something that Qt cannot let go with the page."""


@cache
def kinds() -> dict[str, type]:
    """Every class of the desktop by its name."""
    found = {}
    for module in pkgutil.walk_packages(forge_desktop.__path__, "forge_desktop."):
        if not module.name.endswith("__main__"):
            own = vars(importlib.import_module(module.name)).values()
            found |= {v.__name__: v for v in own if isinstance(v, type) and v.__module__ == module.name}
    return found


def where(file: Path, node: ast.AST) -> str:
    """A place in the code."""
    return f"{file.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]


def called(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """Every call of a method of this name."""
    for file, found in nodes(DESKTOP).items():
        for node in found:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                yield file, node


def names_used(module: list[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Every name and attribute of a module."""
    for node in module:
        if isinstance(node, ast.Name):
            yield node.id, node
        elif isinstance(node, ast.Attribute):
            yield node.attr, node
        elif isinstance(node, ast.alias):
            yield node.name, node


def banned(*names: str) -> list[str]:
    """Where any of these names is used."""
    return [
        where(file, node) for file, found in nodes(DESKTOP).items() for name, node in names_used(found) if name in names
    ]


def test_that_no_proxy_sorts_or_filters_the_rows():
    """QSortFilterProxyModel took 30 s to sort 100,000 rows: the controller sorts."""
    assert banned("QSortFilterProxyModel") == []


def test_that_python_work_never_runs_as_a_qrunnable():
    """A QRunnable written in Python dies on the pool's thread while the collector may still know it."""
    assert banned("QRunnable", "QThreadPool") == []


def test_that_nothing_scrolls_to_the_bottom_for_every_batch():
    """QListView.scrollToBottom lays out everything."""
    assert banned("scrollToBottom") == []


def test_that_every_validator_has_a_parent():
    """A validator without one leaks, or goes while its field still asks it."""
    wrong = []
    for file, found in nodes(DESKTOP).items():
        for node in found:
            name = getattr(getattr(node, "func", None), "id", "") if isinstance(node, ast.Call) else ""
            if name.startswith("Q") and name.endswith("Validator") and not node.args:
                wrong.append(where(file, node))
    assert wrong == []


def test_that_signals_are_connected_to_methods_of_qt_objects_only():
    """Connected to a method of a plain object in a reference cycle, PySide calls it after Python took it apart."""
    wrong = []
    for file, tree in trees(DESKTOP).items():
        for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            made = attributes(owner)
            for call in ast.walk(owner):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "connect" and call.args:
                    kind = receiver(call.args[0], owner.name, made)
                    if kind is not None and not issubclass(kind, QObject):
                        wrong.append(f"{where(file, call)}: {ast.unparse(call)}")
    assert wrong == []


def attributes(owner: ast.ClassDef) -> dict[str, str]:
    """Attribute to the name of the class it is made of, where the code says so plainly."""
    return {
        target.attr: node.value.func.id
        for node in ast.walk(owner)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }


def receiver(target: ast.expr, owner: str, made: dict[str, str]) -> type | None:
    """The class whose method is connected: of `self.method` or `self.part.method`; None where it is something else."""
    if not isinstance(target, ast.Attribute):
        return None
    if isinstance(target.value, ast.Name) and target.value.id == "self":
        return kinds().get(owner)
    if isinstance(target.value, ast.Attribute) and getattr(target.value.value, "id", "") == "self":
        return kinds().get(made.get(target.value.attr, ""))
    return None


def test_that_nothing_nameless_is_connected_to_what_outlives_a_page():
    """A lambda has no receiver: it would be called for ever, long after its page is gone."""
    wrong = [
        f"{where(file, call)}: {ast.unparse(call)}"
        for file, call in called("connect")
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Attribute)
        and last_name(call.func.value.value) in LONG_LIVED
        and call.args
        and (
            isinstance(call.args[0], ast.Lambda) or getattr(getattr(call.args[0], "func", None), "id", "") == "partial"
        )
    ]
    assert wrong == []


def last_name(node: ast.expr) -> str:
    """`session` of `self.session`."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def test_that_widgets_are_made_of_controls_that_ignore_the_wheel():
    """Qt's own closed lists and number fields change under a scrolling page's cursor: theirs are in theme/controls."""
    own = ROOT / "forge_desktop" / "theme"
    wrong = [
        where(file, node)
        for file, found in nodes(DESKTOP).items()
        if own not in file.parents
        for node in found
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("QComboBox", "QSpinBox", "QDoubleSpinBox", "QSlider", "QDial")
    ]
    assert wrong == []


def test_that_classes_of_qt_are_never_imported_on_another_thread():
    """Defined there while the window's thread works with widgets they have ended the program."""
    inside = {"forge_desktop.theme.staged_import", "forge_desktop.app"}
    loose = [
        where(file, node)
        for file, node in called("import_module")
        if ".".join(file.relative_to(ROOT).with_suffix("").parts) not in inside
    ]
    assert loose == []
    code = (
        "import sys; import forge_desktop.app as app; before = set(sys.modules); app._read_ahead()\n"
        "print([name for name in set(sys.modules) - before if 'pyqtgraph' in name or 'PySide6' in name\n"
        "       or (name.startswith('forge_desktop') and not hasattr(sys.modules[name], '__path__'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
    libraries = [
        where(file, node)
        for file, found in nodes(DESKTOP).items()
        for node in found
        if isinstance(node, ast.Import) and any(name.name.startswith("pyqtgraph") for name in node.names)
    ]
    assert [place.partition(":")[0] for place in libraries] == ["forge_desktop/panels/scatter_plot.py"]
