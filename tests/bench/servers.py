"""An instance beside `transformers serve`, as it comes and with continuous batching: prints a table.

`python -m tests.bench.servers`. One model for all (19 M random weights in fp32, the demo's tokenizer), asked over HTTP
on loopback through /v1/chat/completions as a stream, greedy, 64 tokens an answer. In turns; medians of the rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from engine.contract.paths import resources_folder
from engine.contract.serving import NewKey, ServeJob
from tests.bench.serve_soak import ready, worker
from tests.helpers.controller import ControllerProcess
from tests.helpers.docker_process import free_port
from tests.helpers.real_worker import WORKER
from tests.helpers.waiting import wait_until

ROUNDS, CLIENTS, ANSWER = int(os.environ.get("BENCH_ROUNDS", "3")), (1, 4, 16), 64
START_S = 180.0
OURS = "this program's instance"
MAKE = """
import sys, torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
source, target = sys.argv[1:]
torch.manual_seed(1)
config = AutoConfig.from_pretrained(source, hidden_size=448, intermediate_size=1216, num_hidden_layers=6,
                                    num_attention_heads=7, num_key_value_heads=7, head_dim=64,
                                    layer_types=["full_attention"] * 6, max_position_embeddings=2048)
model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
model.generation_config.eos_token_id = None
model.save_pretrained(target)
AutoTokenizer.from_pretrained(source).save_pretrained(target)
"""
WAYS = {
    "transformers serve": (),
    "transformers serve, continuous batching": (
        "--continuous-batching", "--cb-num-blocks", "64", "--cb-max-batch-tokens", "512",
    ),
}  # fmt: skip
"""With the memory it takes by itself, continuous batching holds 7 GB here."""


@dataclass(frozen=True)
class Server:
    """Somewhere to ask."""

    url: str
    pid: int
    model: str
    key: str = ""
    more: tuple[tuple[str, Any], ...] = ()
    """What only this one understands."""

    def held(self) -> int:
        """Bytes of memory of its process and those below."""
        process = psutil.Process(self.pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


@dataclass
class Answer:
    """How one answer went."""

    tokens: int = 0
    first: float = 0.0


def question(number: int) -> str:
    """About 64 tokens that were not asked before."""
    return f"{number}: " + ", ".join(f"{number * 7 + place * 13} days" for place in range(12))


def ask(server: Server, number: int) -> Answer:
    """One answer as a stream."""
    body = {
        "model": server.model, "messages": [{"role": "user", "content": question(number)}], "stream": True,
        "temperature": 0, "max_tokens": ANSWER, **dict(server.more),
    }  # fmt: skip
    headers = {"authorization": f"Bearer {server.key}"} if server.key else {}
    found, begin = Answer(), time.perf_counter()
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=600) as answer:
        if answer.status_code != 200:
            raise RuntimeError(answer.read().decode()[:500])
        for line in answer.iter_lines():
            data = line.removeprefix("data:").strip()
            if not data.startswith("{"):
                continue
            one = json.loads(data)
            if not found.first and any(choice["delta"].get("content") for choice in one.get("choices") or ()):
                found.first = time.perf_counter() - begin
            found.tokens = (one.get("usage") or {}).get("completion_tokens") or found.tokens
    if not found.tokens:
        raise RuntimeError("no token came")
    return found


def at_once(server: Server, clients: int, begin: int) -> tuple[float, float]:
    """Tokens a second of so many at once, and the mean time to the first of them."""
    answers: list[Answer] = []
    problems: list[Exception] = []

    def work(number: int) -> None:
        try:
            answers.append(ask(server, number))
        except (httpx.HTTPError, RuntimeError) as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(begin + number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise RuntimeError(str(problems[0])[:300])
    tokens = sum(answer.tokens for answer in answers)
    return tokens / (time.perf_counter() - start), statistics.mean(answer.first for answer in answers)


@contextlib.contextmanager
def theirs(model: Path, ways: tuple[str, ...], log: Path) -> Iterator[Server]:
    """`transformers serve` of the worker's environment, on this model."""
    port = free_port()
    command = [str(Path(WORKER).parent / "transformers"), "serve", str(model), "--port", str(port), "--device", "cpu",
               "--host", "127.0.0.1", *ways]  # fmt: skip
    with log.open("wb") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(log.read_text(errors="replace")[-1500:])
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{url}/health", timeout=2).status_code == 200
        return False

    try:
        wait_until(answers, START_S, "transformers serve answers")
        yield Server(url, process.pid, str(model))
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def ours(model: Path, folder: Path) -> Iterator[Server]:
    """An instance as people start it."""
    real = ControllerProcess(folder, WORKER)
    real.start()
    try:
        job = ServeJob.model_validate({"model": {"path": str(model), "hub": "local"}, "context": 512})
        run = real.client.serve(job, start=False)
        key = real.client.make_serve_key(run.uid, NewKey()).key
        real.client.start(run.uid)
        url = ready(real, run.uid)
        more = (("ignore_eos", True), ("stream_options", {"include_usage": True}))
        yield Server(url, worker(real, run.uid), job.base_name, key, more)
        real.client.stop(run.uid)
    finally:
        real.close()


def main() -> None:
    """All of them in turns, a table at the end."""
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        model = folder / "model"
        subprocess.run([WORKER, "-c", MAKE, str(resources_folder() / "demo" / "model"), str(model)], check=True,
                       capture_output=True)  # fmt: skip
        servers = {OURS: stack.enter_context(ours(model, folder / "home"))}
        for name, ways in WAYS.items():
            try:
                servers[name] = stack.enter_context(theirs(model, ways, folder / "their.log"))
            except RuntimeError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
        measure(servers)


def measure(servers: dict[str, Server]) -> None:
    """So many clients at each."""
    print("| clients | | tokens/s | by one client of its own | first token, s | memory, MB |")
    print("|---:|---|---:|---:|---:|---:|")
    number, alone = 1, dict[str, float]()
    for clients in CLIENTS:
        found: dict[str, list[tuple[float, float]]] = {}
        for turn in range(ROUNDS + 1):
            for name, server in servers.items():
                number += 100
                try:
                    took = at_once(server, clients, number)
                except RuntimeError as error:
                    print(f"{name}, {clients} clients: {error}", file=sys.stderr)
                    continue
                if turn:  # the first round warms up
                    found.setdefault(name, []).append(took)
        for name, runs in found.items():
            speed = statistics.median(one for one, _ in runs)
            first = statistics.median(one for _, one in runs)
            ratio = speed / alone.setdefault(name, speed)
            memory = servers[name].held() / 1e6
            print(f"| {clients} | {name} | {speed:.1f} | {ratio:.2f} × | {first:.3f} | {memory:,.0f} |")


if __name__ == "__main__":
    main()
