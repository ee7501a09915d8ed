"""The forms rows come in, how one is recognised, and how a row becomes a conversation or a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.compute.data.rows import Example, Record, Turn
from engine.contract.errors import Problem, UserError

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}
MAX_TRIED = 100
"""If none of so many first rows has a known form, the file has none."""


@dataclass(frozen=True)
class Detected:
    """A form, and which columns gave it away."""

    format: str
    column: str


class BadRow(Exception):
    """A row that does not fit its form."""

    def __init__(self, code: str, where: str = "", **params: Any) -> None:
        super().__init__(code)
        self.code, self.where, self.params = code, where, params

    def problem(self, line: int) -> Problem:
        """The same as a problem of a line."""
        return Problem(code=self.code, field=self.where, line=line, params=self.params)


def detect(content: Mapping[str, Any]) -> Detected:
    """The form of a row, from its columns."""
    for name in ("messages", "conversations", "conversation"):
        value = content.get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return Detected("sharegpt" if "from" in value[0] else "messages", name)
    if isinstance(content.get("messages"), list):
        return Detected("messages", "messages")
    if "prompt" in content and "completion" in content:
        return Detected("prompt_completion", "prompt")
    if "instruction" in content and "output" in content:
        return Detected("alpaca", "instruction")
    if "text" in content:
        return Detected("text", "text")
    raise UserError("data.unknown_format", columns=_columns(content))


def detect_or_none(record: Record, tried: int) -> Detected | None:
    """The form of a row, or None while so few were tried that a later row may yet tell it."""
    try:
        return detect(record.content)
    except UserError:
        if tried >= MAX_TRIED:
            raise
        return None


def unknown_form(record: Record) -> Problem:
    """A row whose columns say nothing."""
    return Problem(code="data.unknown_format", line=record.line, params={"columns": _columns(record.content)})


def _columns(content: Mapping[str, Any]) -> str:
    return ", ".join(str(name)[:40] for name in list(content)[:12])


def convert(record: Record, form: str, source: int = 0) -> Example:
    """The row as an example; raises BadRow."""
    converted = CONVERTERS[form](record.content)
    if isinstance(converted, str):
        return Example(text=converted, line=record.line, source=source)
    return Example(turns=tuple(converted), line=record.line, source=source)


def _text_of(content: Mapping[str, Any], column: str, required: bool = True) -> str:
    value = content.get(column)
    if value is None:
        if not required:
            return ""
        raise BadRow("data.missing_column" if column not in content else "data.empty_column", column, column=column)
    if not isinstance(value, str):
        raise BadRow("data.not_text", column, column=column, found=type(value).__name__)
    if required and not value.strip():
        raise BadRow("data.empty_column", column, column=column)
    return value


def _turns(items: Any, column: str, role_key: str, content_key: str) -> list[Turn]:
    if not isinstance(items, list) or not items:
        raise BadRow("data.no_turns", column, column=column)
    turns = [_turn(item, f"{column}[{n}]", role_key, content_key) for n, item in enumerate(items)]
    if all(turn["role"] != "assistant" for turn in turns):
        raise BadRow("data.no_answer", column, column=column)
    for index, turn in enumerate(turns[1:], 1):
        if turn["role"] == "system":
            raise BadRow("data.late_system", f"{column}[{index}]", column=column)
    return turns


def _turn(item: Any, where: str, role_key: str, content_key: str) -> Turn:
    if not isinstance(item, dict):
        raise BadRow("data.turn_not_an_object", where, found=type(item).__name__)
    role = item.get(role_key)
    if not isinstance(role, str) or role not in ROLES:
        raise BadRow("data.unknown_role", f"{where}.{role_key}", role=str(role)[:80], known=", ".join(ROLES))
    content = item.get(content_key)
    if isinstance(content, list):
        content = _joined_parts(content, f"{where}.{content_key}")
    if not isinstance(content, str):
        raise BadRow("data.turn_not_text", f"{where}.{content_key}", found=type(content).__name__)
    if ROLES[role] == "assistant" and not content.strip():
        raise BadRow("data.empty_answer", f"{where}.{content_key}")
    return {"role": ROLES[role], "content": content}


def _joined_parts(parts: list[Any], where: str) -> str:
    """Content given as a list of parts: only text can be learned from here."""
    texts = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = part.get("type", "?") if isinstance(part, dict) else type(part).__name__
            raise BadRow("data.not_only_text", where, kind=str(kind)[:80])
        texts.append(part["text"])
    return "".join(texts)


def _from_messages(content: Mapping[str, Any]) -> list[Turn]:
    column = next((name for name in ("messages", "conversations", "conversation") if name in content), "")
    if not column:
        raise BadRow("data.missing_column", "messages", column="messages")
    return _turns(content[column], column, "role", "content")


def _from_sharegpt(content: Mapping[str, Any]) -> list[Turn]:
    column = next((name for name in ("conversations", "conversation", "messages") if name in content), "")
    if not column:
        raise BadRow("data.missing_column", "conversations", column="conversations")
    turns = _turns(content[column], column, "from", "value")
    system = content.get("system")
    if isinstance(system, str) and system.strip() and turns[0]["role"] != "system":
        turns.insert(0, {"role": "system", "content": system})
    return turns


def _from_prompt_completion(content: Mapping[str, Any]) -> list[Turn]:
    prompt, completion = content.get("prompt"), content.get("completion")
    if isinstance(prompt, list) and isinstance(completion, list):
        return _turns([*prompt, *completion], "prompt", "role", "content")
    return [
        {"role": "user", "content": _text_of(content, "prompt")},
        {"role": "assistant", "content": _text_of(content, "completion")},
    ]


def _from_alpaca(content: Mapping[str, Any]) -> list[Turn]:
    question = _text_of(content, "instruction")
    extra = _text_of(content, "input", required=False)
    turns = [{"role": "user", "content": f"{question}\n{extra}" if extra.strip() else question}]
    turns.append({"role": "assistant", "content": _text_of(content, "output")})
    system = _text_of(content, "system", required=False)
    return [{"role": "system", "content": system}, *turns] if system.strip() else turns


def _from_text(content: Mapping[str, Any]) -> str:
    return _text_of(content, "text")


CONVERTERS: dict[str, Callable[[Mapping[str, Any]], list[Turn] | str]] = {
    "messages": _from_messages,
    "sharegpt": _from_sharegpt,
    "prompt_completion": _from_prompt_completion,
    "alpaca": _from_alpaca,
    "text": _from_text,
}
