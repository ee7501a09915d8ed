"""A set of prompts: typed one a line, or read from a file, which is refused whole where a line is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from forge_desktop.bridge.preferences import Preferences
from forge_desktop.theme.language import tr

KEPT = "playground.prompts"
MOST = 1000
LARGEST = 8 << 20
TOLD = 8
"""Problems that are named; how many more there are is said."""
BREAK = "⏎"
"""Stands for a new line inside a prompt, where prompts are typed one a line."""


def prompts_in(text: str) -> list[str]:
    """What was typed."""
    return [prompt.replace(BREAK, "\n") for prompt in prompts_of(text)][:MOST]


def prompts_of(text: str) -> list[str]:
    """Each line that is not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def typed(prompts: list[str]) -> str:
    """The same as it is typed, whichever way its lines break."""
    return "\n".join(BREAK.join(prompt.splitlines()) for prompt in prompts)


def kept_prompts(preferences: Preferences) -> list[str]:
    """Those that were used last."""
    stored = preferences.get(KEPT, [])
    return [str(one) for one in stored if isinstance(one, str)][:MOST] if isinstance(stored, list) else []


def read_prompts(file: Path) -> tuple[list[str], list[str]]:
    """The prompts of a .txt (a line each) or .jsonl file, and everything that is wrong with it, in words."""
    try:
        if file.stat().st_size > LARGEST:
            return [], [tr("It is larger than 8 MB.")]
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        return [], [error.strerror or str(error)]
    except UnicodeDecodeError:
        return [], [tr("It is no UTF-8 text.")]
    plain = file.suffix.lower() not in (".jsonl", ".json")
    found, wrong = (prompts_of(text), list[str]()) if plain else _rows(text)
    if not found and not wrong:
        wrong = [tr("There is no prompt in it.")]
    if len(found) > MOST:
        wrong.append(tr("It has {n} prompts; {most} are the most.", n=f"{len(found):,}", most=f"{MOST:,}"))
    return found, wrong


def _rows(text: str) -> tuple[list[str], list[str]]:
    found, wrong = [], []
    for number, line in enumerate(text.split("\n"), 1):  # other signs that break lines may stand in a JSON text
        if not line.strip():
            continue
        try:
            prompt = prompt_of(json.loads(line))
        except (ValueError, RecursionError):
            wrong.append(tr("Line {line}: this is no JSON.", line=number))
            continue
        if prompt:
            found.append(prompt)
        else:
            wrong.append(tr('Line {line}: no prompt; write "text" or an object with prompt or messages.', line=number))
    return found, wrong


def prompt_of(row: Any) -> str:
    """What a row of a dataset asks; empty where that cannot be told."""
    if isinstance(row, str):
        return row.strip()
    if not isinstance(row, dict):
        return ""
    for name in ("prompt", "question", "instruction", "query", "messages", "conversations"):
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, list):
            return _asked(value)
    return ""


def _asked(turns: list[Any]) -> str:
    """The last thing a person says in a conversation."""
    for turn in reversed(turns):
        who = (turn.get("role") or turn.get("from")) if isinstance(turn, dict) else None
        said = (turn.get("content") or turn.get("value")) if isinstance(turn, dict) else None
        if who in ("user", "human") and isinstance(said, str):
            return said.strip()
    return ""


def told(wrong: list[str]) -> str:
    """The first problems, a line each."""
    lines = [f"• {one}" for one in wrong[:TOLD]]
    if len(wrong) > TOLD:
        lines.append(tr("and {n} more", n=f"{len(wrong) - TOLD:,}"))
    return "\n".join(lines)
