"""Matrices of an adapter in 8 and 4 bits: symmetric, around zero, with scales in fp32.

Both factors are taken by rank: rows of A, columns of B. int8 has one scale a rank, int4 one for each 64 values of it.
"""

from __future__ import annotations

import torch

GROUP = 64
"""Values that share a scale in 4 bits."""


def sizes(form: str, rank: int, length: int) -> tuple[int, int]:
    """Bytes of the numbers and how many scales there are, for `rank` rows of `length` values."""
    if form == "int8":
        return rank * length, rank
    groups = -(-length // GROUP)
    return rank * groups * GROUP // 2, rank * groups


def pack(matrix: torch.Tensor, form: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Bytes (uint8) and scales (fp32) of a [rank, length] matrix."""
    rows = matrix.float()
    if form == "int8":
        scales = _scales(rows, 127)
        numbers = torch.round(rows / scales[:, None]).clamp(-127, 127).to(torch.int8)
        return numbers.view(torch.uint8).reshape(-1), scales
    groups = torch.nn.functional.pad(rows, (0, -rows.shape[1] % GROUP)).reshape(-1, GROUP)
    scales = _scales(groups, 7)
    numbers = (torch.round(groups / scales[:, None]).clamp(-7, 7) + 8).to(torch.uint8).reshape(-1, 2)
    return numbers[:, 0] | (numbers[:, 1] << 4), scales


def unpack(numbers: torch.Tensor, scales: torch.Tensor, form: str, rank: int, length: int) -> torch.Tensor:
    """The [rank, length] matrix in fp32."""
    if form == "int8":
        return numbers.view(torch.int8).reshape(rank, length).float() * scales[:, None]
    halves = torch.stack([numbers & 15, numbers >> 4], dim=-1).reshape(-1, GROUP)
    whole = (halves.float() - 8) * scales[:, None]
    return whole.reshape(rank, -1)[:, :length].contiguous()


def error(matrix: torch.Tensor, again: torch.Tensor) -> float:
    """Relative error in the Frobenius norm."""
    whole = matrix.double()
    size = torch.linalg.norm(whole)
    return float(torch.linalg.norm(again.double() - whole) / size) if size > 0 else 0.0


def compounded(first: float, second: float) -> float:
    """What two relative errors, one upon the other, come to at most."""
    return (1 + first) * (1 + second) - 1 if first and second else first + second


def _scales(rows: torch.Tensor, most: int) -> torch.Tensor:
    scales = rows.abs().amax(dim=1) / most
    return torch.where(scales > 0, scales, torch.ones_like(scales))
