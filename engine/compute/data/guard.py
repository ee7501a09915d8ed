"""What a rendering may use: steps, processor time, size of what it makes, memory; and asking for no more than that."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MAX_SECONDS = 1.5
"""Processor time one conversation may take; by the clock a little more, lest a busy computer refuses what is right."""
MAX_WAIT, BUSY = 2.5, 0.3
HARD = 0.1
"""Before so much work the memory is not looked at: what grows meanwhile is somebody else's, as the model's."""
MAX_STEPS = 5_000_000
MAX_SIZE = 16_000_000
"""Characters or items of one thing a template makes; more where the conversation itself is longer."""
MAX_NUMBER = 1_000_000
"""Widths and counts given to functions."""
MAX_MEMORY = 512 << 20
"""Bytes the process may grow while a conversation is rendered that already took long."""
LOOK_EVERY = 64
SHOWING = frozenset(
    (
        *("string", "tojson", "pprint", "forge_concat", "join", "format", "format_map", "escape", "e", "forceescape"),
        *("upper", "lower", "title", "capitalize", "trim", "center", "indent", "replace", "striptags", "truncate"),
        *("urlencode", "urlize", "wordcount", "wordwrap", "xmlattr", "int", "float", "_raise"),
    )
)
"""Filters and functions that make a text of whatever they are given."""
WIDE = re.compile(r"\d{6,}|\*")
"""In a format: a width past all reason, or one that is given apart."""


class TooMuch(Exception):
    """A limit was passed."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code, self.params = code, params


@dataclass
class Guard:
    """What the rendering in progress has used."""

    size: int = MAX_SIZE
    steps: int = 0
    looked: int = 0
    length: int = 0
    began: float = field(default_factory=time.thread_time)
    since: float = field(default_factory=time.monotonic)
    memory: int = field(default_factory=lambda: _peak_memory())
    marks: list[tuple[int, int, str]] = field(default_factory=list)

    def step(self, cost: int = 1) -> None:
        """Something was done."""
        self.steps += cost
        if self.steps - self.looked >= LOOK_EVERY:
            self.looked = self.steps
            worked, waited = time.thread_time() - self.began, time.monotonic() - self.since
            if self.steps > MAX_STEPS or worked > MAX_SECONDS or (waited > MAX_WAIT and worked > BUSY):
                raise TooMuch("template.endless", seconds=f"{MAX_SECONDS:g}")
            if worked > HARD and _peak_memory() - self.memory > MAX_MEMORY:
                raise TooMuch("template.too_large")

    def made(self, value: Any) -> Any:
        """Something was made; how large it is counts."""
        if isinstance(value, str | bytes | list | tuple | dict):
            self.fits(len(value))
            self.step(1 + len(value) // (4096 if isinstance(value, str) else 16))
        return value

    def shown(self, *values: Any) -> None:
        """Refuse things whose text would be too large, however they are put together."""
        total, open_ = 0, [value for value in values if isinstance(value, str | list | tuple | dict)]
        while open_:
            value = open_.pop()
            total += 2 + len(value)
            self.fits(total)
            if not isinstance(value, str):
                parts = value.items() if isinstance(value, dict) else value
                open_ += [part for part in parts if isinstance(part, str | list | tuple | dict)]
                self.step()

    def fits(self, size: int) -> None:
        """Refuse what would be too large."""
        if size > self.size:
            raise TooMuch("template.too_large")


_now = threading.local()


def present() -> Guard:
    """That of this thread's rendering; a constant that is folded while a template is read has one of its own."""
    found = getattr(_now, "guard", None)
    return found if isinstance(found, Guard) else Guard()


@contextmanager
def guarding() -> Iterator[Guard]:
    """One rendering with a guard of its own."""
    before, made = getattr(_now, "guard", None), Guard()
    _now.guard = made
    try:
        yield made
    finally:
        _now.guard = before


def _peak_memory() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def reasonable(guard: Guard, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that ask for something huge."""
    for value in (*args, *kwargs.values()):
        if type(value) is int and abs(value) > MAX_NUMBER and name not in ("string", "int", "float", "abs", "tojson"):
            raise TooMuch("template.too_large")
    if name in SHOWING:
        guard.shown(*args, *kwargs.values())
    texts = [value for value in args if isinstance(value, str)]
    if name == "replace" and len(texts) >= 3:
        guard.fits(len(texts[0]) + (texts[0].count(texts[1])) * len(texts[2]))
    elif name == "join":
        parts = [value for value in args if isinstance(value, list | tuple)]
        guard.fits(sum(len(part) if isinstance(part, str) else 1 for found in parts for part in found))
        guard.fits(sum(len(found) for found in parts) * max((len(text) for text in texts), default=0))
    elif name in ("format", "format_map") and texts and WIDE.search(texts[0]):
        raise TooMuch("template.too_large")
    elif name in ("indent", "center", "ljust", "rjust", "zfill", "expandtabs", "wordwrap") and texts:
        widths = [abs(value) for value in (*args, *kwargs.values()) if type(value) is int]
        width = max([*widths, *(len(text) for text in texts[1:]), 8])
        guard.fits(len(texts[0]) + width * (1 + texts[0].count("\n") + texts[0].count("\t")))
