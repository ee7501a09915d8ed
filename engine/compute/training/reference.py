"""The model as it was before training, asked for comparison."""

from __future__ import annotations

import copy
from typing import Any

import torch


class Reference:
    """An adapter that is switched off for a moment, or, where the model itself is trained, a frozen copy."""

    def __init__(self, model: Any, keeps_copy: bool) -> None:
        self._copy = _frozen(model) if keeps_copy else None

    @property
    def bytes(self) -> int:
        """Of the copy, where there is one."""
        held = self._copy.parameters() if self._copy is not None else ()
        return sum(parameter.numel() * parameter.element_size() for parameter in held)

    def __call__(self, model: Any, ask: Any) -> Any:
        """What `ask` gives of the model before training; nothing of it is learned."""
        with torch.no_grad():
            if self._copy is not None:
                return ask(self._copy)
            inner = model.module if hasattr(model, "module") else model
            with inner.disable_adapter():
                return ask(model)


def _frozen(model: Any) -> Any:
    made = copy.deepcopy(model).eval()
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    return made
