"""Rows and problems of a dataset as files, counted as they come. Runs off the window's thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.client.download import Tell
from engine.contract.errors import UserError
from forge_desktop.bridge.whole_files import aside

Send = Callable[[Callable[[bytes], object]], object]
"""Hands a file piece by piece to whom it is given."""


def write_lines(file: Path, send: Send, total: int, tell: Tell, exact: bool = True) -> int:
    """Write what is sent, and tell how many of `total` lines are there; one that ends early is no file.

    `exact`: a line is one of those counted. A file of other lines (CSV, whose texts may hold line breaks) is told of
    as far as it can be, and the server's end is believed.
    """
    lines = 0
    with aside(file) as made, made.open("wb") as whole:

        def take(piece: bytes) -> None:
            nonlocal lines
            whole.write(piece)
            lines += piece.count(b"\n")
            tell(min(lines, total), total)

        tell(0, total)
        send(take)
        if exact and lines != total:
            raise UserError("dataset.export_short", file=file.name, rows=lines, total=total)
        tell(total, total)
    return lines
