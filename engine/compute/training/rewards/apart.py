"""Run by itself, in a process of its own: loads somebody's Python file, or a pattern, and answers for its function.

Orders come as JSON lines on stdin, answers go as JSON lines to the descriptor that is named first; what the file
prints goes where the parent looks and throws it away. Imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import json
import math
import os
import re
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

NEW_USER, NEW_NET, NEW_IPC, DEATH_SIGNAL = 0x10000000, 0x40000000, 0x08000000, 1
FILE_BYTES = 16 << 20


def confine(memory: int) -> None:
    """Less memory, small files, no core dump, no network where the system allows that, and an end with the parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(OSError, AttributeError):
        libc.prctl(DEATH_SIGNAL, int(signal.SIGKILL))
        if libc.unshare(NEW_USER | NEW_NET | NEW_IPC) != 0:
            libc.unshare(NEW_NET)
    for what, most in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, FILE_BYTES), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):  # fmt: skip
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def loaded(order: dict[str, Any]) -> Callable[..., Any]:
    """The function that is asked."""
    if "pattern" in order:
        form = re.compile(order["pattern"], re.DOTALL)
        return lambda completions, **_rest: [float(form.fullmatch(text.strip()) is not None) for text in completions]
    scope: dict[str, Any] = {"__name__": "reward_file", "__file__": order["path"]}
    exec(compile(order["source"], order["path"], "exec"), scope)
    found: Callable[..., Any] = scope[order["function"]]
    return found


def given(function: Callable[..., Any], named: dict[str, Any]) -> dict[str, Any]:
    """Of the columns those that the function takes."""
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return named
    if any(one.kind is one.VAR_KEYWORD for one in known.values()):
        return named
    return {name: value for name, value in named.items() if name in known}


def plain(value: Any) -> Any:
    """A number, None, or how anything else looks."""
    if value is None:
        return None
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        number = float(value)
        if math.isfinite(number) and not isinstance(value, str):
            return number
    return {"is": repr(value)[:80]}


def failed(path: str) -> str:
    """The error that is on its way, with the line of the file."""
    _kind, error, trace = sys.exc_info()
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == path]
    at = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}"[:300] + at


def main() -> None:
    """Load, say so, and answer until nobody asks any more."""
    answers = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    order = json.loads(sys.stdin.buffer.readline())
    confine(int(order["memory"]))

    def say(found: dict[str, Any]) -> None:
        answers.write(json.dumps(found) + "\n")
        answers.flush()

    path = order.get("path", "")
    try:
        function = loaded(order)
    except BaseException:  # noqa: BLE001 - also SystemExit: whatever it is, it is told
        say({"failed": failed(path)})
        return
    say({"ready": True})
    for line in sys.stdin.buffer:
        try:
            found = function(**given(function, json.loads(line)))
            if hasattr(found, "tolist"):
                found = found.tolist()
            listed = isinstance(found, (list, tuple))
            say({"rewards": [plain(one) for one in found[:100000]]} if listed else {"other": type(found).__name__})
        except BaseException:  # noqa: BLE001
            say({"failed": failed(path)})


if __name__ == "__main__":
    main()
