"""Rewards from a process apart: a Python file of the user's, and patterns, which may take for ever as well."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from engine.compute.data.questions import Answer, Asked
from engine.compute.training.rewards.process import Apart, Failed
from engine.contract.errors import UserError
from engine.contract.paths import expanded
from engine.contract.rewards import PATTERNS, option
from engine.contract.rollouts import RewardConfig


class FileReward:
    """A function of a Python file, asked question by question."""

    def __init__(self, config: RewardConfig, check: Callable[[], None]) -> None:
        self._path, self._seconds = str(expanded(config.path)), float(option(config, "seconds"))
        try:
            source = Path(self._path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError("rewards.file_broken", path=self._path, detail=str(error)[:300]) from error
        order = {
            "path": self._path, "source": source, "function": str(option(config, "function")),
            "memory": int(float(option(config, "memory_gb")) * (1 << 30)),
        }  # fmt: skip
        self._apart = Apart(order, self._seconds, check)

    def score(self, asked: Asked, answers: Sequence[Answer]) -> list[float | None]:
        """One number an answer, or None where the file does not judge it."""
        count = len(answers)
        columns: dict[str, Any] = {name: [_plain(value)] * count for name, value in asked.columns.items()}
        if asked.expected is not None:
            columns.setdefault("answer", [asked.expected] * count)
        question = {
            **columns, "completions": [one.text for one in answers], "prompts": [asked.prompt] * count,
            "completion_ids": [one.ids for one in answers],
        }  # fmt: skip
        try:
            found = self._apart.ask(question)
        except Failed as error:
            self._explain(error, asked)
        return self._checked(found, asked, count)

    def _checked(self, found: dict[str, Any], asked: Asked, count: int) -> list[float | None]:
        told: dict[str, Any] = {"path": self._path, "line": asked.line}
        rewards = found.get("rewards")
        if not isinstance(rewards, list):
            raise UserError("rewards.file_wrong_count", found=str(found.get("other", "?"))[:80], wanted=count, **told)
        if len(rewards) != count:
            raise UserError("rewards.file_wrong_count", found=f"{len(rewards)} numbers", wanted=count, **told)
        for place, one in enumerate(rewards, 1):
            if one is not None and not isinstance(one, int | float):
                shown = one.get("is", "?") if isinstance(one, dict) else repr(one)
                raise UserError("rewards.file_no_number", found=str(shown)[:80], answer=place, **told)
        return [None if one is None else float(one) for one in rewards]

    def _explain(self, error: Failed, asked: Asked) -> NoReturn:
        if error.why == "load":
            raise UserError("rewards.file_broken", path=self._path, detail=error.detail) from error
        if error.why == "slow":
            raise UserError("rewards.file_slow", path=self._path, line=asked.line, seconds=error.detail) from error
        if error.why == "prints":
            raise UserError("rewards.file_prints", path=self._path, line=asked.line, bytes=error.detail) from error
        raise UserError("rewards.file_raised", path=self._path, line=asked.line, detail=error.detail) from error

    def close(self) -> None:
        """End its process."""
        self._apart.close()


class FormReward:
    """Whether answers have a form."""

    def __init__(self, config: RewardConfig, check: Callable[[], None]) -> None:
        preset = str(option(config, "preset"))
        seconds = float(option(config, "seconds"))
        self._pattern = PATTERNS.get(preset) or str(option(config, "pattern"))
        self._apart = Apart({"pattern": self._pattern, "memory": 2 << 30}, seconds, check)

    def score(self, asked: Asked, answers: Sequence[Answer]) -> list[float | None]:
        """1 or 0 each."""
        try:
            found = self._apart.ask({"completions": [one.text for one in answers]})
        except Failed as error:
            if error.why != "slow":
                raise UserError(
                    "rewards.file_raised", path=self._pattern, line=asked.line, detail=error.detail
                ) from error
            params: dict[str, Any] = {"pattern": self._pattern, "line": asked.line, "seconds": error.detail}
            raise UserError("rewards.pattern_slow", **params) from error
        return list(found["rewards"])

    def close(self) -> None:
        """End its process."""
        self._apart.close()


def _plain(value: Any) -> Any:
    """As JSON has it, whatever a table held."""
    return json.loads(json.dumps(value, default=str))
