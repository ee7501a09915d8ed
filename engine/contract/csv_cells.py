"""Cells of tables that people open in a spreadsheet."""

from __future__ import annotations

import re

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula, and may carry it out."""
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?%?")


def harmless(cell: object) -> str:
    """The cell so that no spreadsheet takes it for a formula, or for several cells; a number stays one."""
    text = "" if cell is None else str(cell).replace("\x00", "")
    begins = text.lstrip(" \n\ufeff")
    return f"'{text}" if begins.startswith(FORMULA) and not NUMBER.fullmatch(text) else text
