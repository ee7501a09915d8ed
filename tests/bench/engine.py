"""The engine against transformers' `generate` and its continuous batching (`generate_batch`): prints tables.

`python -m tests.bench.engine [42] [168]` with the worker's interpreter; the models are those of `tests.bench.adapters`.
Prompts of 64 tokens, answers of 64, greedy. Each in a process of its own, for threads of several slow each other down
also while they are idle (`engine.compute.passing`); in turns, medians of the rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
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
from engine.compute.passing import in_passing
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


class Stamps:
    """Told of each token by `generate`."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def put(self, _value: Any) -> None:
        """The prompt first, then each token."""
        self.at.append(time.perf_counter())

    def end(self) -> None:
        """No more."""


def one_by_one(model: Any, clients: int, begin: int) -> tuple[float, float]:
    """The same of `generate`, which answers one after another."""
    start, firsts = time.perf_counter(), list[float]()
    with torch.inference_mode():
        for number in range(clients):
            ids, told = torch.tensor([prompt(begin + number)]), Stamps()
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER, min_new_tokens=ANSWER,
                           do_sample=False, streamer=told, pad_token_id=0)  # fmt: skip
            firsts.append(told.at[1] - start)
    return clients * ANSWER / (time.perf_counter() - start), statistics.mean(firsts)


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


def of_llama(model: Any, storage: str, limits: Limits, folder: Path) -> Any:
    """Steps by llama.cpp; None where that is not installed."""
    from engine.compute.inference.llama_cpp import LlamaPasses, Sequences

    try:
        model.save_pretrained(folder / "model")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(resources_folder() / "demo" / "model" / name, folder / "model")
        pool = Sequences(limits.blocks + 1, limits.block)
        work = folder / storage
        return LlamaPasses(folder / "model", work, pool, limits.rows, limits.piece, LoRAManager(), storage)  # type: ignore[arg-type]
    except UserError as error:
        print(f"llama.cpp: {error}", file=sys.stderr)
        return None


def opened(way: str, shape: str, folder: Path) -> Callable[[int, int], tuple[float, float]] | None:
    """A model loaded, and how to ask it; None where a package is missing."""
    model = base(shape)
    model.generation_config.eos_token_id = None
    if way == "generate":
        return lambda clients, begin: one_by_one(model, clients, begin)
    if way == "generate_batch":
        return lambda clients, begin: of_batches(model, clients, begin)
    limits, backend = Limits(blocks=256, context=512), None
    if way == "engine, int8":
        hold_in_int8(model)
    elif way.startswith("engine, llama.cpp"):
        backend = of_llama(model, way.rpartition(" ")[2], limits, folder)
        if backend is None:
            return None
    engine = ArrowEngine(model, Words(), limits, backend=backend)
    return lambda clients, begin: known(engine) if clients == 0 else at_once(of_engine(engine), clients, begin)


def known(engine: ArrowEngine) -> tuple[float, float]:
    """Seconds to the first token of a long prompt, and where it was asked before."""
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        handle = engine.submit(Asked((*prompt(1), *prompt(2), *prompt(3), *prompt(4)), GREEDY))
        next(one for one in handle if isinstance(one, Said))
        times.append(time.perf_counter() - begin)
        handle.whole()
    return times[0], times[1]


def serve(way: str, shape: str) -> None:
    """A process of its own: a line on its input names clients and a seed, a line of its output is what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        ask = in_passing(lambda: opened(way, shape, Path(folder)))
        before = psutil.Process().memory_info().rss
        print(json.dumps(ask is not None), flush=True)
        for line in sys.stdin:
            clients, begin = json.loads(line)
            assert ask is not None
            try:
                found: object = ask(clients, begin)
            except Exception as error:  # noqa: BLE001 - what does not work here is told and left out
                found = f"{type(error).__name__}: {error}"[:300]
            print(json.dumps([found, psutil.Process().memory_info().rss - before]), flush=True)
        os._exit(0)  # threads of other people's engines have no end


class Contender:
    """Such a process."""

    def __init__(self, way: str, shape: str) -> None:
        command = [sys.executable, "-m", "tests.bench.engine", "--way", way, shape]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.grown = 0
        self.there: bool = self._heard()

    def ask(self, clients: int, begin: int) -> tuple[float, float]:
        """Tokens a second, and the mean time to the first token."""
        assert self.process.stdin is not None
        print(json.dumps([clients, begin]), file=self.process.stdin, flush=True)
        found, self.grown = self._heard()
        if isinstance(found, str):
            raise RuntimeError(found)
        return found[0], found[1]

    def close(self) -> None:
        """No more questions."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)

    def _heard(self) -> Any:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            with contextlib.suppress(ValueError):
                return json.loads(line)
        raise RuntimeError("it ended")


def measure(shape: str) -> None:
    """One model, its table."""
    half = SHAPES[shape][1] is torch.bfloat16
    ways = ["engine", "generate", *(["engine, int8"] if half else []), f"engine, llama.cpp {'bf16' if half else 'f32'}",
            "engine, llama.cpp q8_0", "generate_batch"]  # fmt: skip
    contenders = {way: Contender(way, shape) for way in ways}
    contenders = {way: one for way, one in contenders.items() if one.there}
    print(f"\n### {shape} modules\n")
    print("| clients | | tokens/s | by generate | by one client of its own | first token, s |")
    print("|---:|---|---:|---:|---:|---:|")
    seed, alone = 0, dict[str, float]()
    for clients in CLIENTS:
        found: dict[str, list[tuple[float, float]]] = {}
        for turn in range(ROUNDS + 1):
            for way, one in contenders.items():
                seed += 100
                try:
                    took = one.ask(clients, seed)
                except RuntimeError as error:
                    print(f"{way}, {clients} clients: {error}", file=sys.stderr)
                    continue
                if turn:  # the first one warms up
                    found.setdefault(way, []).append(took)
        speed = {way: statistics.median(one for one, _ in runs) for way, runs in found.items()}
        for way, runs in found.items():
            first = statistics.median(one for _, one in runs)
            own = speed[way] / alone.setdefault(way, speed[way])
            ratio = speed[way] / speed["generate"]
            print(f"| {clients} | {way} | {speed[way]:.1f} | {ratio:.2f} × | {own:.2f} × | {first:.3f} |", flush=True)
    first, again = contenders["engine"].ask(0, 0)
    grown = ", ".join(f"{way} {one.grown / 1e6:,.0f} MB" for way, one in contenders.items())
    print(f"\nMemory beside the loaded model: {grown}. ", end="")
    print(f"First token of 256 tokens: {first:.3f} s, and {again:.3f} s where they are known.", flush=True)
    for one in contenders.values():
        one.close()


def main() -> None:
    """The models named, or the small one."""
    if sys.argv[1:2] == ["--way"]:
        serve(*sys.argv[2:4])
        return
    for shape in sys.argv[1:] or ["42"]:
        assert shape in SHAPES
        measure(shape)


if __name__ == "__main__":
    main()
