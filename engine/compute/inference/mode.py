"""A model's mode: it is asked without dropout, and learns as before afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def at_rest(model: Any) -> Iterator[None]:
    """The model as it is asked; afterwards in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
