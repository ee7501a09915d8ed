"""Weights read in 8 bits while an answer comes token by token: on a processor, of a model held in bf16.

A token's pass is as long as reading the weights takes, so that half the bytes are nearly half the time. Prompts and
large batches are computed with the weights as they are: there arithmetic counts, not reading.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from engine.contract.errors import UserError

MOST_ROWS = 4
"""Beyond so many tokens at once the weights as they are were as quick or quicker."""
LARGEST = 127.0


class Int8Linear(torch.nn.Linear):  # type: ignore[misc]
    """A linear layer that has its weight a second time, each output's row in 8 bits with a scale."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch names it
        """In 8 bits for few tokens, as it was for many."""
        own = self.__dict__
        rows = input.numel() // self.in_features
        if rows > MOST_ROWS or input.dtype is not torch.bfloat16:
            return functional.linear(input, self.weight, self.bias)
        flat = input.reshape(rows, self.in_features).contiguous()
        out: torch.Tensor = torch.ops.aten._weight_int8pack_mm(flat, own["_packed"], own["_scales"])
        if self.bias is not None:
            out += self.bias
        return out.view(*input.shape[:-1], self.out_features)


def hold_in_int8(model: Any) -> int:
    """Take over every linear layer; how many bytes that took. Raises where it cannot help."""
    weights = [one for one in model.modules() if type(one) is torch.nn.Linear]
    found = {one.weight.dtype for one in weights}, {one.weight.device.type for one in weights}
    if found != ({torch.bfloat16}, {"cpu"}):
        kinds = ", ".join(sorted({str(one).removeprefix("torch.") for one in found[0]})) or "none"
        raise UserError("serve.int8_unfit", dtype=kinds, device=", ".join(sorted(found[1])) or "none")
    size, known = 0, dict[int, tuple[torch.Tensor, torch.Tensor]]()
    for module in weights:
        place = module.weight.data_ptr()
        if place not in known:
            known[place] = packed(module.weight.detach())
            size += known[place][0].numel() + 2 * known[place][1].numel()
        module.__class__ = Int8Linear
        module.__dict__["_packed"], module.__dict__["_scales"] = known[place]
    return size


def packed(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[outputs, inputs] of int8, and a bf16 scale for each output: their product is the weight, nearly."""
    scales = (weight.float().abs().amax(1) / LARGEST).clamp_min(torch.finfo(torch.bfloat16).tiny).to(weight.dtype)
    codes = (weight.float() / scales.float().unsqueeze(1)).round().clamp(-LARGEST, LARGEST)
    return codes.to(torch.int8).contiguous(), scales
