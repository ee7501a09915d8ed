"""Whether the files and models that rewards name are there and of the right sort. Nothing of them is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.contract.errors import Problem
from engine.contract.paths import expanded
from engine.contract.rewards import REWARDS, option
from engine.contract.rollouts import RewardConfig, RolloutConfig

MOST_BYTES = 1 << 20


def check_rewards(config: RolloutConfig) -> Iterator[Problem]:
    """Everything that is missing or cannot be used."""
    for place, reward in enumerate(config.rewards):
        field, kind = f"rollouts.rewards.{place}.path", REWARDS[reward.kind].path
        if not kind or not reward.path:
            continue  # that it is needed is said elsewhere
        path, params = expanded(reward.path), {"value": reward.path}
        try:
            there = path.is_file() if kind == "file" else path.is_dir()
            missing = not path.exists()
        except (OSError, ValueError):
            there, missing = False, True
        if not path.is_absolute():
            yield Problem(code="config.absolute_path", field=field, params=params)
        elif missing:
            yield Problem(code="config.path_missing", field=field, params=params)
        elif not there:
            code = "config.not_a_file" if kind == "file" else "rewards.model_unfit"
            yield Problem(code=code, field=field, params=params)
        elif kind == "file":
            yield from _check_python(path, reward, field)
        elif not any((path / name).is_file() for name in ("adapter_config.json", "config.json")):
            yield Problem(code="rewards.model_unfit", field=field, params=params)


def _check_python(path: Path, reward: RewardConfig, field: str) -> Iterator[Problem]:
    params: dict[str, Any] = {"detail": "", "row": 0}
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is larger than 1 MB")
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        params = {"detail": str(error.msg)[:200], "row": error.lineno or 0}
        yield Problem(code="rewards.file_not_python", field=field, params=params)
        return
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        params = {"detail": str(error)[:200] or type(error).__name__, "row": 0}
        yield Problem(code="rewards.file_not_python", field=field, params=params)
        return
    wanted, names = str(option(reward, "function")), list(_names(tree))
    if wanted not in names and "*" not in names:
        known = ", ".join(names) or "—"
        yield Problem(code="rewards.no_function", field=field, params={"function": wanted, "known": known[:300]})


def _names(tree: ast.Module) -> Iterator[str]:
    """What a file defines at its outermost level, wherever that stands."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.ImportFrom(names=found) | ast.Import(names=found):
                yield from (one.asname or one.name for one in found)
