"""Large imports a slice a turn of the event loop.

They stay on the window's thread: a class of Qt that is defined on another while that one works with widgets has ended
the program. They are sliced because a page or a library takes a fifth of a second.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import ModuleType
from typing import ClassVar

SLICE_S = 0.008
"""A slice goes on until so much time has passed; a single statement can take longer."""
_IMPORT = re.compile(r"^(?:from (\S+) import (\([^)]*\)|.*)|import (\S+))", re.MULTILINE)


def import_order(names: Iterable[str]) -> list[str]:
    """These modules of ours and all they import of ours that is not there yet, each after what it imports itself.

    Reads text only, so that any thread may do it.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen or name in sys.modules:
            return
        seen.add(name)
        for needed in _imported(name):
            visit(needed)
        found[name] = None

    for name in names:
        visit(name)
    return list(found)


def module_slices(names: Iterable[str]) -> Iterator[Callable[[], object]]:
    """A module a slice."""
    for name in names:
        if name not in sys.modules:
            yield partial(importlib.import_module, name)


def name_slices(module: str, at_once: int = 50) -> Iterator[Callable[[], object]]:
    """All names of a module of Qt, whose classes are made when first asked for: `import *` would make all at once."""
    made = importlib.import_module(module)
    names = dir(made)
    for first in range(0, len(names), at_once):
        yield partial(_touch, made, names[first : first + at_once])


def _touch(module: ModuleType, names: Iterable[str]) -> None:
    for name in names:
        getattr(module, name, None)


def _imported(name: str) -> Iterator[str]:
    """Modules of the same top level that a module imports at its own."""
    ours = f"{name.partition('.')[0]}."
    for source, parts, plain in _IMPORT.findall(_source(name)):
        module = plain or source
        if module.startswith(ours):
            yield module
            for part in re.findall(r"\w+", parts) if _is_package(module) else ():
                if importlib.util.find_spec(f"{module}.{part}") is not None:
                    yield f"{module}.{part}"


def _is_package(name: str) -> bool:
    """Asked of a package, `find_spec` imports nothing but packages."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None


def _source(name: str) -> str:
    """Empty where there is none, as in an installed program: then a module is imported with all it needs at once."""
    spec = importlib.util.find_spec(name)
    read = getattr(spec.loader, "get_source", None) if spec is not None else None
    try:
        return (read(name) if read is not None else None) or ""
    except (ImportError, OSError):
        return ""


class StagedPackage:
    """A package whose `__init__` is carried out a few statements at a time; there is one for each name."""

    _known: ClassVar[dict[str, StagedPackage]] = {}

    def __init__(self, name: str) -> None:
        self.name = name
        self._left: Iterator[None] | None = self._statements()

    @classmethod
    def of(cls, name: str) -> StagedPackage:
        """The one of this name: what was begun before is gone on with."""
        return cls._known.setdefault(name, cls(name))

    def slices(self) -> Iterator[Callable[[], object]]:
        """What is left to do."""
        while self._left is not None:
            yield self._work

    def finish(self) -> None:
        """Somebody needs it now."""
        while self._left is not None:
            self._work(float("inf"))

    def _work(self, seconds: float = SLICE_S) -> None:
        until = time.perf_counter() + seconds
        for _statement in self._left or ():
            if time.perf_counter() > until:
                return
        self._left = None

    def _statements(self) -> Iterator[None]:
        text = _source(self.name)
        if self.name in sys.modules or not text:
            importlib.import_module(self.name)
            return
        spec = importlib.util.find_spec(self.name)
        assert spec is not None, "it has a text"
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = module
        try:
            yield from _carried_out(module, ast.parse(text), str(spec.origin))
        except BaseException:
            sys.modules.pop(self.name, None)
            self._known.pop(self.name, None)
            raise


def _carried_out(module: ModuleType, tree: ast.Module, origin: str) -> Iterator[None]:
    for statement in tree.body:
        exec(compile(ast.Module([statement], []), origin, "exec"), module.__dict__)
        yield
