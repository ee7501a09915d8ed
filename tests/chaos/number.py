"""What the workers of a chaos run learn: a number whose every step is known, so that a wrong resume shows at once."""

from __future__ import annotations

MASK = (1 << 64) - 1


def step(x: int) -> int:
    """The next number; it depends on every bit of the last."""
    return (x * 6364136223846793005 + 1442695040888963407) & MASK


def loss(x: int) -> float:
    """What the curve shows of it."""
    return x / 2**64


def after(seed: int, steps: int) -> int:
    """The number after so many steps."""
    x = seed
    for _ in range(steps):
        x = step(x)
    return x
