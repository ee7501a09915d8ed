"""Checks of the rows of a dataset, and the repairs of what they find."""

from engine.compute.data.checks.checker import Checker
from engine.compute.data.checks.refused import excerpt_of, refused

__all__ = ["Checker", "excerpt_of", "refused"]
