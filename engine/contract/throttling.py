"""Why a GPU runs slower than it could, out of the bits NVIDIA's driver says it with."""

from __future__ import annotations

POWER = 0x4 | 0x80
"""The power limit, by software or by the board's own brake."""
HARDWARE = 0x8
HEAT = 0x20 | 0x40


def throttling(bits: int) -> dict[str, float]:
    """`throttle_heat` and `throttle_power`, 1 while it is so; a slowdown that names no reason counts as heat."""
    heat, power = bool(bits & HEAT), bool(bits & POWER)
    return {
        "throttle_heat": float(heat or (bool(bits & HARDWARE) and not power)),
        "throttle_power": float(power),
    }
