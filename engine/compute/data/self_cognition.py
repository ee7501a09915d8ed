"""The small set of rows from which a model learns its name and who made it, in English and Chinese."""

from __future__ import annotations

import json
from functools import cache

from engine.compute.data.rows import Example, Turn
from engine.contract.data import SelfCognition
from engine.contract.paths import resources_folder

FILE = "datasets/self_cognition.jsonl"


def self_cognition_rows(asked: SelfCognition) -> list[Example]:
    """Every row of the set, with the names in place."""
    return [
        Example(
            turns=tuple(Turn(role=turn["role"], content=_named(turn["content"], asked)) for turn in turns),
            line=line,
            form="messages",
        )
        for line, turns in enumerate(_rows(), 1)
    ]


def _named(text: str, asked: SelfCognition) -> str:
    """Both names at once: a name may hold the other's placeholder."""
    return asked.author.join(part.replace("{{NAME}}", asked.name) for part in text.split("{{AUTHOR}}"))


@cache
def _rows() -> list[list[Turn]]:
    lines = (resources_folder() / FILE).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines if line.strip()]
