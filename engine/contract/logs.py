"""How controller and workers write their logs: level, plain or JSON, errors with their code and fix."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from engine.contract.errors import ErrorBody, UserError

LEVEL_VARIABLE = "FORGE_LOG_LEVEL"
JSON_VARIABLE = "FORGE_LOG_JSON"
PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_ours: list[logging.Handler] = []
_hidden: set[str] = set()
SHORTEST_HIDDEN = 4
DOTS = "•••"


def hide(*secrets: str) -> None:
    """From now on these never stand in a log of this process."""
    _hidden.update(secret for secret in secrets if len(secret) >= SHORTEST_HIDDEN)


def scrubbed(text: str) -> str:
    """The text without what must be hidden."""
    for secret in _hidden:
        text = text.replace(secret, DOTS)
    return text


class PlainFormatter(logging.Formatter):
    """Lines for people, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return scrubbed(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: t (UTC), level, logger, message, and for errors code, what, why, fix, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        content: dict[str, Any] = {
            "t": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        error = _error_of(record)
        if error is not None:
            content["error"] = {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}
            if error.problems:
                content["error"]["problems"] = [str(problem) for problem in error.problems]
        if record.exc_info and record.exc_info[0] is not None:
            content["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return scrubbed(json.dumps(content, ensure_ascii=False))


def _error_of(record: logging.LogRecord) -> ErrorBody | None:
    """The error a record is about: given as `extra={"error": body}`, or the exception it was logged with."""
    given = getattr(record, "error", None)
    if isinstance(given, ErrorBody):
        return given
    exception = record.exc_info[1] if record.exc_info else None
    return exception.body() if isinstance(exception, UserError) else None


def level_from_environment() -> str:
    """The level the environment names; info without one, or with one that is none."""
    named = os.environ.get(LEVEL_VARIABLE, "info").lower()
    return named if named in ("debug", "info", "warning", "error") else "info"


def json_from_environment() -> bool:
    """Whether the environment asks for JSON."""
    return os.environ.get(JSON_VARIABLE, "") not in ("", "0", "false", "no")


def environment(level: str, as_json: bool) -> dict[str, str]:
    """The variables by which a process that is started learns both."""
    return {LEVEL_VARIABLE: level, JSON_VARIABLE: "1" if as_json else "0"}


def apply(
    level: str,
    as_json: bool,
    handlers: Iterable[logging.Handler] | None = None,
    plain: str = PLAIN,
    dates: str | None = None,
) -> None:
    """Set level and form of this program's handlers; those given become the root logger's only ones.

    Handlers that somebody else put there are left alone.
    """
    root = logging.getLogger()
    if handlers is not None:
        root.handlers[:] = _ours[:] = list(handlers)
    if not _ours:
        return
    root.setLevel(level.upper())
    for handler in _ours:
        handler.setFormatter(JsonFormatter() if as_json else PlainFormatter(plain, dates))
