"""The model as it was before training, asked for comparison."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


class Reference:
    """An adapter that is switched off for a moment, or as it began, or, where the model is trained, a frozen copy."""

    def __init__(self, model: Any, keeps_copy: bool, began: Mapping[str, torch.Tensor] | None = None) -> None:
        self._copy = _frozen(model) if keeps_copy else None
        self._began = dict(began or {})
        """Of an adapter that was trained before: switched off it would be another model than the one that began."""

    @property
    def bytes(self) -> int:
        """Of the copy, where there is one."""
        held = self._copy.parameters() if self._copy is not None else self._began.values()
        return sum(parameter.numel() * parameter.element_size() for parameter in held)

    def __call__(self, model: Any, ask: Any) -> Any:
        """What `ask` gives of the model before training; nothing of it is learned."""
        with torch.no_grad():
            if self._copy is not None:
                return ask(self._copy)
            inner = model.module if hasattr(model, "module") else model
            if self._began:
                with _as_it_was(inner, self._began):
                    return ask(model)
            with inner.disable_adapter():
                return ask(model)


@contextmanager
def _as_it_was(model: Any, began: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Inside, these weights are what they were; nothing is copied."""
    weights = {name: value for name, value in model.named_parameters() if name in began}
    now = {name: value.data for name, value in weights.items()}
    try:
        for name, value in weights.items():
            value.data = began[name]
        yield
    finally:
        for name, value in weights.items():
            value.data = now[name]


def _frozen(model: Any) -> Any:
    made = copy.deepcopy(model).eval()
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    return made
