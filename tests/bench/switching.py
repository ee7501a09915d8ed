"""What adapters cost an engine under load: none, one for all, one a client, and others that come and go meanwhile.

`python -m tests.bench.switching [42] [168]` with the worker's interpreter: four clients, answers of 64 tokens, in
turns; medians of the rounds. The models and adapters (rank 8) are those of `tests.bench.adapters`.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.compute.inference.engine.engine import ArrowEngine, Limits
from engine.compute.inference.engine.requests import Asked, Said
from engine.compute.lora.manager import LoRAManager
from engine.compute.passing import in_passing
from tests.bench.adapters import NAMES, SHAPES, base, make_adapters
from tests.bench.engine import ANSWER, GREEDY, ROUNDS, Words, prompt

CLIENTS, RANK, PAUSE_S = 4, 8, 0.05
WAYS: dict[str, Sequence[str]] = {
    "the base": ("", "", "", ""),
    "one adapter for all": ("one", "one", "one", "one"),
    "three adapters and the base": (*NAMES, ""),
    "the same, while others come and go": (*NAMES, ""),
}


def ask(engine: ArrowEngine, adapter: str, seed: int) -> float:
    """Seconds to the first token of an answer that is heard to its end."""
    begin, first = time.perf_counter(), 0.0
    for one in engine.submit(Asked(prompt(seed), GREEDY, ((adapter, 1.0),) if adapter else ())):
        if isinstance(one, Said) and not first:
            first = time.perf_counter() - begin
    return first


def load(manager: LoRAManager, name: str, path: Path) -> None:
    """As an instance does it."""
    manager.register(name, path)
    with manager.request([name]):
        pass
    manager.unload(name)


@contextlib.contextmanager
def coming_and_going(manager: LoRAManager, path: Path) -> Iterator[list[float]]:
    """Another adapter is loaded, fitted and let go of, again and again: the seconds each took."""
    over, took = threading.Event(), list[float]()

    def work() -> None:
        number = 0
        while not over.wait(PAUSE_S):
            begin, number = time.perf_counter(), number + 1
            in_passing(lambda name=f"passing-{number}": load(manager, name, path))  # type: ignore[misc]
            took.append(time.perf_counter() - begin)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()


def at_once(engine: ArrowEngine, adapters: Sequence[str], seed: int) -> tuple[float, float]:
    """Tokens a second, and the mean time to the first."""
    firsts: list[float] = []
    threads = [
        threading.Thread(target=lambda name=name, place=place: firsts.append(ask(engine, name, seed + place)))  # type: ignore[misc]
        for place, name in enumerate(adapters)
    ]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(adapters) * ANSWER / (time.perf_counter() - begin), statistics.mean(firsts)


def measure(shape: str) -> None:
    """A table for one model."""
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), in_passing(lambda: base(shape))
        model.generation_config.eos_token_id = None
        in_passing(lambda: make_adapters(base(shape), RANK, folder))
        manager = LoRAManager()
        for one in NAMES:
            manager.register(one, folder / f"{one}.lora.arrow")
        found: dict[str, list[tuple[float, float]]] = {}
        loads: list[float] = []
        limits = Limits(blocks=256, context=512)
        with in_passing(lambda: ArrowEngine(model, Words(), limits, manager)) as engine:
            seed = 0
            for turn in range(ROUNDS + 1):
                for way, adapters in WAYS.items():
                    seed += 100
                    if way.endswith("go"):
                        with coming_and_going(manager, folder / "one.lora.arrow") as took:
                            speed = at_once(engine, adapters, seed)
                        loads += took
                    else:
                        speed = at_once(engine, adapters, seed)
                    if turn:
                        found.setdefault(way, []).append(speed)
        print(f"\n### {shape} modules, four clients\n")
        print("| adapters | tokens/s | by the base alone | first token, s |\n|---|---:|---:|---:|")
        alone = statistics.median(one for one, _ in found["the base"])
        for way, runs in found.items():
            speed, first = (statistics.median(each) for each in zip(*runs, strict=True))
            print(f"| {way} | {speed:.1f} | {speed / alone:.2f} | {first:.3f} |")
        print(f"\n{len(loads)} came and went, each within {statistics.median(loads) * 1e3:.1f} ms (median).")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["42"]:
        assert wanted in SHAPES
        measure(wanted)
