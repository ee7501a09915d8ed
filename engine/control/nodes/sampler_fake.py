"""GPUs that are not there: one grows hot, one is lost for a while. For tests, and to show the program without any.

`FORGE_FAKE_GPUS=4` (or `4@SEED`) puts them into the readings of every node. The same seed gives the same readings.
"""

from __future__ import annotations

import os
import random
import zlib

from engine.control.nodes.sampler import Reading, Sampler

VARIABLE = "FORGE_FAKE_GPUS"
NAME = "Pretended GPU 80 GB"
GIB = float(1 << 30)
MEMORY = 80 * GIB
POWER_LIMIT = 400.0
ROUND = 240
"""Readings until everything begins anew."""
HEATING, COOLING = (20, 90), (90, 130)
LOST = (150, 180)
COOL, HOT = 58.0, 93.0
SLOWED = 90.0
MOST = 16


class FakeSampler:
    """Reading number n of a seed is always the same."""

    def __init__(self, gpus: int = 4, seed: int = 0, name: str = "") -> None:
        self._gpus = gpus
        self._seed = seed ^ zlib.crc32(name.encode())
        self._number = 0
        self.hot, self.loses = min(1, gpus - 1), gpus - 1
        """Which GPU grows hot, and which is lost (never the only one)."""

    def read(self, gpus: bool = True) -> Reading:  # noqa: ARG002
        """The next reading."""
        number = self._number
        self._number += 1
        return self.reading(number)

    def close(self) -> None:
        """Nothing is anywhere."""

    def reading(self, number: int) -> Reading:
        """The one of this number."""
        chance = random.Random(self._seed * 1_000_003 + number)
        place = number % ROUND
        values: dict[str, float] = {
            "cpu.utilisation": round(35 + 10 * chance.random(), 1),
            "ram.used": 120 * GIB, "ram.total": 512 * GIB,
            "disk.used": 620 * GIB, "disk.total": 1800 * GIB, "disk.free": 1180 * GIB,
        }  # fmt: skip
        names = {"cpu": "Pretended processor"}
        for index in range(self._gpus):
            busy = 80 + 15 * chance.random()
            jitter = chance.random()
            if index == self.loses and self._gpus > 1 and LOST[0] <= place < LOST[1]:
                continue
            names[f"gpu{index}"] = NAME
            values |= _gpu(index, busy, self._heat(index, place) + jitter)
        return Reading(values, names)

    def _heat(self, index: int, place: int) -> float:
        if index != self.hot:
            return COOL + 2 * index
        if HEATING[0] <= place < HEATING[1]:
            return COOL + (HOT - COOL) * (place - HEATING[0]) / (HEATING[1] - HEATING[0])
        if COOLING[0] <= place < COOLING[1]:
            return HOT - (HOT - COOL) * (place - COOLING[0]) / (COOLING[1] - COOLING[0])
        return COOL


class WithFakeGpus:
    """A real sampler whose GPUs are pretended."""

    def __init__(self, real: Sampler, fake: FakeSampler) -> None:
        self._real, self._fake = real, fake

    def read(self, gpus: bool) -> Reading | None:
        """The real computer, the pretended GPUs."""
        found = self._real.read(gpus)
        return None if found is None else found.with_gpus(self._fake.read())

    def close(self) -> None:
        """Leave nothing behind."""
        self._real.close()


def fake_gpus(name: str) -> FakeSampler | None:
    """Those the environment asks for on the node of this name."""
    count, _, seed = os.environ.get(VARIABLE, "").partition("@")
    if not count.isdigit() or not 0 < int(count) <= MOST:
        return None
    return FakeSampler(int(count), int(seed) if seed.isdigit() else 0, name)


def _gpu(index: int, busy: float, temperature: float) -> dict[str, float]:
    values = {
        "utilisation": round(busy, 1),
        "memory_used": (52 + 4 * index) * GIB if index < 6 else 70 * GIB,
        "memory_total": MEMORY,
        "temperature": round(temperature, 1),
        "power": round(POWER_LIMIT * (0.3 + 0.6 * busy / 100), 1),
        "power_limit": POWER_LIMIT,
        "throttle_heat": float(temperature >= SLOWED),
        "throttle_power": 0.0,
    }
    return {f"gpu{index}.{key}": value for key, value in values.items()}
