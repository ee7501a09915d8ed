"""The forms rows come in: how one is recognised, and how a row becomes what a stage learns from."""

from engine.compute.data.formats.base import KINDS, BadRow, Columns
from engine.compute.data.formats.convert import AS_USUAL, CONVERTERS, convert
from engine.compute.data.formats.detect import (
    MAX_TRIED,
    Detected,
    detect,
    detect_first,
    detect_format,
    unknown_form,
)
from engine.compute.data.formats.roles import ROLES

__all__ = [
    "AS_USUAL", "CONVERTERS", "KINDS", "MAX_TRIED", "ROLES", "BadRow", "Columns", "Detected", "convert", "detect",
    "detect_first", "detect_format", "unknown_form",
]  # fmt: skip
