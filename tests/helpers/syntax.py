"""The program's own code as syntax trees, for tests that read it: each file is parsed and walked once."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@cache
def trees(room: str) -> dict[Path, ast.Module]:
    """The syntax tree of every Python file in a room of the program."""
    collects = gc.isenabled()
    gc.disable()  # Python 3.11 cannot build a tree while the collector runs somebody's finaliser that fails
    try:
        return {file: ast.parse(file.read_text("utf-8")) for file in sorted((ROOT / room).rglob("*.py"))}
    finally:
        if collects:
            gc.enable()


@cache
def nodes(room: str) -> dict[Path, list[ast.AST]]:
    """The same, as all the nodes of each file."""
    return {file: list(ast.walk(tree)) for file, tree in trees(room).items()}


@pytest.fixture(scope="module", autouse=True)
def syntax_let_go() -> Iterator[None]:
    """Import it where the trees are used: who comes later need not have a collector look at a million nodes."""
    yield
    for kept in (trees, nodes):
        kept.cache_clear()
