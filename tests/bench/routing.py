"""How long it takes to find the adapter a request wants among 1,000 and 100,000: prints a table.

`python -m tests.bench.routing` with the worker's interpreter. Cards have embeddings of 896 random numbers, as those
of a base of half a billion weights; medians of 50 requests. `exact` looks at all, `index` asks usearch's graph.
"""

from __future__ import annotations

import os
import statistics
import time

import numpy as np

from engine.compute.lora.router import Exact, Indexed, LoRARouter, Nearest, have_index
from engine.contract.lora_card import LoRACard

COUNTS = tuple(int(one) for one in os.environ.get("BENCH_CARDS", "1000,100000").split(","))
WIDTH, ASKED, WANTED = 896, 50, 3


def unit(vectors: np.ndarray) -> np.ndarray:
    """Of length one."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def measure(nearest: Nearest, names: list[str], matrix: np.ndarray, asked: np.ndarray) -> tuple[float, float, float]:
    """Milliseconds of a request and of one more card with the request after it; how often the nearest was found."""
    router = LoRARouter(indexed_from=1 if isinstance(nearest, Indexed) else len(names) + 2)
    router._vectors = {name: row.astype(np.float64) for name, row in zip(names, matrix, strict=True)}
    router._ready = nearest
    took, right = list[float](), 0
    for one in asked:
        begin = time.perf_counter()
        found = router.route(one, WANTED).chosen[0].name
        took.append((time.perf_counter() - begin) * 1e3)
        right += found == names[int(np.argmax(matrix @ one))]
    begin = time.perf_counter()
    router.add(LoRACard(name="one-more", rank=1, alpha=1, embedding=tuple(float(x) for x in asked[0])))
    router.route(asked[0])
    return statistics.median(took), (time.perf_counter() - begin) * 1e3, right / len(asked)


def main() -> None:
    """Both ways, for each number of cards."""
    chance = np.random.default_rng(1)
    print("| cards | | made, s | one more, ms | a request, ms | finds the nearest |\n|---:|---|---:|---:|---:|---:|")
    for count in COUNTS:
        # descriptions of a kind are like each other: a hundred kinds, and a little of their own
        kinds = unit(chance.normal(size=(100, WIDTH)))
        matrix = unit(kinds[chance.integers(0, 100, count)] + 0.5 * unit(chance.normal(size=(count, WIDTH))))
        asked = unit(matrix[chance.integers(0, count, ASKED)] + 0.2 * unit(chance.normal(size=(ASKED, WIDTH))))
        names = [f"a{number:06}" for number in range(count)]
        for way, kind in (("exact", Exact), ("index", Indexed)):
            if way == "index" and not have_index():
                continue
            begin = time.perf_counter()
            nearest = kind(names, matrix)
            made = time.perf_counter() - begin
            took, more, right = measure(nearest, names, matrix, asked)
            print(f"| {count:,} | {way} | {made:.1f} | {more:.1f} | {took:.2f} | {right:.0%} |", flush=True)


if __name__ == "__main__":
    main()
