"""A log of any size, read at both ends; and the few lines of it that tell what happened."""

from __future__ import annotations

import re
from pathlib import Path

from engine.contract import logfile
from engine.contract.anonymous import without_secrets

HEAD_BYTES, TAIL_BYTES = 16_384, 196_608
"""What is read of a log: how it began, and how it ended. A log in between is passed over."""
LINE_LETTERS = 1_000
"""Longer lines are cut: rules look for words, not for the numbers of a tensor."""
SHOWN_LINES = 12
SHOWN_LETTERS = 300
FRAMES, LAST_WORDS, EARLIER = 3, 3, 4
CUT = "…"
ANSI = re.compile(r"\x1b\[[0-9;?]{0,16}[ -/]{0,2}[@-~]|\x1b\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
TELLING = re.compile(
    r"\b(?:\w{0,40}error|\w{0,40}exception|killed|fatal|failed|cannot|could not|unable to|can't|not found|no such"
    r"|denied|nan|abort(?:ed|ing)?|out of memory|terminate called|assertion|segmentation fault|core dumped)\b",
    re.IGNORECASE,
)
TRACEBACK = "Traceback (most recent call last)"
CHAINED = ("During handling of the above exception", "was the direct cause of the following exception")
LAST_LINES = 15
FRAME = re.compile(r'\s{2,}File "([^"\n]{1,400})", line \d+')
NOT_OURS = ("site-packages", "dist-packages", "<frozen", "/lib/python3", "\\lib\\python3")


def read_log(path: Path) -> str:
    """The first and the last part of a log; what lies between is never read."""
    whole = logfile.size(path)
    if whole <= HEAD_BYTES + TAIL_BYTES:
        return logfile.read(path, 0, whole)[0].decode(errors="replace")
    head = logfile.read(path, 0, HEAD_BYTES)[0].decode(errors="replace").rpartition("\n")[0]
    tail = logfile.read(path, -TAIL_BYTES, TAIL_BYTES)[0].decode(errors="replace").partition("\n")[2]
    return f"{head}\n{CUT}\n{tail}"


def plain(log: str) -> str:
    """The log as it would look on paper: no colours, of a progress bar its last state, no endless lines."""
    return "\n".join(_plain_lines(log[-(HEAD_BYTES + TAIL_BYTES + 8) :]))


def _plain_lines(log: str) -> list[str]:
    lines = []
    for raw in log.split("\n"):
        line = raw.rstrip("\r").rpartition("\r")[2]
        line = CONTROL.sub("", ANSI.sub("", line)).rstrip()
        if line:
            lines.append(line if len(line) <= LINE_LETTERS else line[:LINE_LETTERS] + CUT)
    return lines


def ending(text: str) -> str:
    """The last words of a log: its last traceback with those it came of, or its last lines."""
    lines = text.split("\n")
    begins = [number for number, line in enumerate(lines) if TRACEBACK in line]
    if not begins:
        return "\n".join(lines[-LAST_LINES:])
    place = len(begins) - 1
    while place and any(sign in line for sign in CHAINED for line in lines[begins[place] - 3 : begins[place]]):
        place -= 1
    return "\n".join(lines[max(0, begins[place] - 1) :])


def telling_lines(log: str) -> list[str]:
    """At most twelve lines: what went wrong before, where in the person's or our code it broke, the last words."""
    lines = _plain_lines(log[-(HEAD_BYTES + TAIL_BYTES + 8) :])
    begins = [number for number, line in enumerate(lines) if TRACEBACK in line]
    if begins:
        frames, words = _traceback(lines[begins[-1] + 1 :])
        found = [*_errors(lines[: begins[-1]], words)[-EARLIER:], *frames, *words]
    else:
        found = _errors(lines, [])[-SHOWN_LINES:] or lines[-SHOWN_LINES:]
    return [_short(without_secrets(line)) for line in found[-SHOWN_LINES:]]


def _traceback(lines: list[str]) -> tuple[list[str], list[str]]:
    """Of the last traceback the frames of the person's or our code, and what it said in the end."""
    frames: list[list[str]] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        if FRAME.match(line):
            frames.append([line])
        elif frames and line[:4].isspace():
            if len(frames[-1]) == 1:  # the line of code; marks below it say nothing by themselves
                frames[-1].append(line)
        elif not line.lstrip().startswith("[Previous line repeated"):
            break
        place += 1
    own = [frame for frame in frames if not any(word in frame[0] for word in NOT_OURS)]
    chosen = (own or frames)[-(FRAMES - 1) :] if own or frames else []
    if own and frames and frames[-1] is not own[-1]:
        chosen = [*own[-(FRAMES - 1) :], frames[-1]]
    return [line for frame in chosen for line in frame], _last_words(lines[place:])


def _last_words(lines: list[str]) -> list[str]:
    """An exception's text: its first line, and the last ones of a long text."""
    text: list[str] = []
    for line in lines:
        if text and not line[0].isspace() and re.match(r"\d\d:\d\d:\d\d ", line):
            break  # the log goes on
        text.append(line)
    return text if len(text) <= LAST_WORDS else [text[0], *text[-(LAST_WORDS - 1) :]]


def _errors(lines: list[str], known: list[str]) -> list[str]:
    """Lines that speak of something wrong, each sort once: the last of those that differ in numbers only."""
    found: dict[str, str] = {}
    said = {_sort(line) for line in known}
    for line in lines:
        if TELLING.search(line) and not FRAME.match(line) and TRACEBACK not in line and not line.startswith("    "):
            kind = _sort(line)
            if kind not in said:
                found.pop(kind, None)
                found[kind] = line
    return list(found.values())


def _sort(line: str) -> str:
    return re.sub(r"0x[0-9a-f]+|\d+", "#", line)[:200]


def _short(line: str) -> str:
    return line if len(line) <= SHOWN_LETTERS else line[:SHOWN_LETTERS] + CUT
