"""The engine against transformers' `generate` and its continuous batching (`generate_batch`): prints tables.

`python -m tests.bench.engine [42] [168]` with the worker's interpreter; the models are those of `tests.bench.adapters`.
Prompts of 64 tokens, answers of 64, greedy. In turns in one process; medians of the rounds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.compute.worker.__main__ import WAITING

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", **WAITING} | os.environ)

import psutil
import torch

from engine.compute.inference.engine.engine import ArrowEngine, Limits
from engine.compute.inference.engine.requests import Asked, Said, Sampling
from engine.compute.inference.int8 import hold_in_int8
from engine.compute.lora.manager import LoRAManager
from engine.contract.errors import UserError
from engine.contract.paths import resources_folder
from tests.bench.adapters import SHAPES, base

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PROMPT, ANSWER, CLIENTS = 64, 64, (1, 4, 16)
GREEDY = Sampling(max_tokens=ANSWER, temperature=0, ignore_end=True)


class Words:
    """A tokenizer of a model with random weights: every token is a letter."""

    eos_token_id = None

    def decode(self, tokens: list[int], **_named: Any) -> str:
        """One letter each."""
        return "".join(chr(97 + token % 26) for token in tokens)


def prompt(seed: int) -> tuple[int, ...]:
    """Tokens nobody asked before."""
    made = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(3, 9000, (PROMPT,), generator=made).tolist())


def at_once(ask: Callable[[int], float], clients: int, begin: int) -> tuple[float, float]:
    """Tokens a second of so many at once, and their mean time to the first token."""
    firsts: list[float] = []

    def work(number: int) -> None:
        firsts.append(ask(begin + number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients * ANSWER / (time.perf_counter() - start), statistics.mean(firsts)


def of_engine(engine: ArrowEngine) -> Callable[[int], float]:
    """Seconds to the first token of a request to the engine."""

    def ask(seed: int) -> float:
        begin, first = time.perf_counter(), 0.0
        for one in engine.submit(Asked(prompt(seed), GREEDY)):
            if isinstance(one, Said) and not first:
                first = time.perf_counter() - begin
        return first

    return ask


def of_generate(model: Any, lock: threading.Lock) -> Callable[[int], float]:
    """The same of `generate`, which answers one after another."""

    class First:
        """Told of each token."""

        def __init__(self) -> None:
            self.at: list[float] = []

        def put(self, _value: Any) -> None:
            """The prompt first, then each token."""
            self.at.append(time.perf_counter())

        def end(self) -> None:
            """No more."""

    def ask(seed: int) -> float:
        begin, told = time.perf_counter(), First()
        with lock, torch.inference_mode():
            ids = torch.tensor([prompt(seed)])
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER, min_new_tokens=ANSWER,
                           do_sample=False, streamer=told, pad_token_id=0)  # fmt: skip
        return told.at[1] - begin

    return ask


def of_batches(model: Any, clients: int, begin: int) -> tuple[float, float]:
    """transformers' continuous batching with as little memory as it may have; its first token is not told apart."""
    from transformers import GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    settings = GenerationConfig(max_new_tokens=ANSWER, do_sample=False, eos_token_id=-1, pad_token_id=0)
    small = ContinuousBatchingConfig(num_blocks=256, max_batch_tokens=512)
    start = time.perf_counter()
    asked = [list(prompt(begin + number)) for number in range(clients)]
    model.generate_batch(inputs=asked, generation_config=settings, continuous_batching_config=small, progress_bar=False)
    return clients * ANSWER / (time.perf_counter() - start), float("nan")


def of_llama(model: Any, storage: str, limits: Limits, folder: Path) -> ArrowEngine | None:
    """The engine over llama.cpp; None where that is not installed."""
    from engine.compute.inference.llama_cpp import LlamaPasses, Sequences

    try:
        model.save_pretrained(folder / "model")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(resources_folder() / "demo" / "model" / name, folder / "model")
        pool = Sequences(limits.blocks + 1, limits.block)
        work = folder / storage
        backend = LlamaPasses(
            folder / "model",
            work,
            pool,
            limits.rows,
            limits.piece,
            LoRAManager(),
            storage,  # type: ignore[arg-type]
        )
    except UserError as error:
        print(f"llama.cpp: {error}", file=sys.stderr)
        return None
    return ArrowEngine(model, Words(), limits, backend=backend)


def others(model: Any, shape: str, limits: Limits, folder: Path) -> dict[str, ArrowEngine]:
    """The same engine with other ways to compute."""
    found: dict[str, ArrowEngine] = {}
    if model.dtype is torch.bfloat16:
        quick = base(shape)
        quick.generation_config.eos_token_id = None
        hold_in_int8(quick)
        found["engine, int8"] = ArrowEngine(quick, Words(), limits)
    for storage in ("bf16" if model.dtype is torch.bfloat16 else "f32", "q8_0"):
        made = of_llama(model, storage, limits, folder)
        if made is not None:
            found[f"engine, llama.cpp {storage}"] = made
    return found


def measure(shape: str) -> None:
    """One model, its table."""
    model = base(shape)
    model.generation_config.eos_token_id = None
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    before = psutil.Process().memory_info().rss
    limits = Limits(blocks=256, context=512)
    with (
        tempfile.TemporaryDirectory() as folder, ArrowEngine(model, Words(), limits) as engine,
        contextlib.ExitStack() as open_ones,
    ):  # fmt: skip
        works: dict[str, Callable[[int, int], tuple[float, float]]] = {
            "engine": lambda clients, begin: at_once(of_engine(engine), clients, begin)
        }
        lock = threading.Lock()
        works["generate"] = lambda clients, begin: at_once(of_generate(model, lock), clients, begin)
        for name, other in others(model, shape, limits, Path(folder)).items():
            open_ones.enter_context(other)
            works[name] = lambda clients, begin, one=other: at_once(of_engine(one), clients, begin)  # type: ignore[misc]
        works["generate_batch"] = lambda clients, begin: of_batches(model, clients, begin)
        print(f"\n### {shape} modules: {size / 1e6:,.0f} MB of weights\n")
        print("| clients | | tokens/s | by generate | first token, s |\n|---:|---|---:|---:|---:|")
        seed, alone = 0, 0.0
        for clients in CLIENTS:
            found: dict[str, list[tuple[float, float]]] = {}
            for _ in range(ROUNDS):
                for name, work in works.items():
                    seed += 100
                    try:
                        found.setdefault(name, []).append(work(clients, seed))
                    except Exception as error:  # noqa: BLE001 - what does not work here is told and left out
                        print(f"{name}, {clients} clients: {type(error).__name__}: {error}", file=sys.stderr)
            speed = {name: statistics.median(one for one, _ in runs) for name, runs in found.items()}
            for name, runs in found.items():
                first = statistics.median(one for _, one in runs)
                ratio = speed[name] / speed["generate"]
                print(f"| {clients} | {name} | {speed[name]:.1f} | {ratio:.2f} × | {first:.3f} |")
            alone = alone or speed["engine"]
            print(f"| {clients} | engine by one client | {speed['engine'] / alone:.2f} × | | |")
        held = psutil.Process().memory_info().rss - before
        print(f"\nThe process grew by {held / 1e6:,.0f} MB. ", end="")
        again = prompt(1)
        ask, times = of_engine(engine), []
        for _ in range(2):
            begin = time.perf_counter()
            for one in engine.submit(Asked((*again, *prompt(2), *prompt(3), *prompt(4)), GREEDY)):
                if isinstance(one, Said):
                    times.append(time.perf_counter() - begin)
                    break
        del ask
        print(f"First token of 256 tokens: {times[0]:.3f} s, and {times[1]:.3f} s where they are known.")


def main() -> None:
    """The models named, or the small one."""
    for shape in sys.argv[1:] or ["42"]:
        assert shape in SHAPES
        measure(shape)


if __name__ == "__main__":
    main()
