"""Many clients ask an instance for minutes: adapters switch, answers are given up, workers die. Prints a table.

`python -m tests.bench.serve_soak`. Each adapter answers a fixed question in its own way, its fingerprint; an answer
that is another adapter's would be a request that was mixed up. `BENCH_SECONDS`, `BENCH_CLIENTS`, `BENCH_KILLS`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from engine.contract.serving import NewKey, ServeJob
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import WORKER
from tests.helpers.waiting import wait_until

SECONDS, CLIENTS = float(os.environ.get("BENCH_SECONDS", "300")), int(os.environ.get("BENCH_CLIENTS", "64"))
KILLS, ADAPTERS, TOKENS = int(os.environ.get("BENCH_KILLS", "2")), 6, 12
TRIED = 24
"""Adapters that are made; of those that answer alike one is asked."""
DEMO = {"path": "demo", "hub": "bundled"}
ASKED = [{"role": "user", "content": "Convert to an ISO date: 3 May 2021"}]
AFTER_START_S = 15.0
"""Memory still grows with the first requests: caches fill."""
MAKE = """
import sys, torch
from pathlib import Path
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
folder, base, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(count):
    torch.manual_seed(number)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4 + number % 5, target_modules="all-linear"))
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    peft.save_pretrained(folder / f"a{number}")
"""


@dataclass
class Tally:
    """What happened."""

    counts: Counter[str] = field(default_factory=Counter)
    firsts: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str) -> None:
        """One more."""
        with self.lock:
            self.counts[what] += 1


def body(model: str) -> dict[str, Any]:
    """The question."""
    return {"model": model, "messages": ASKED, "temperature": 0, "max_tokens": TOKENS, "ignore_eos": True}


def once(client: httpx.Client, url: str, model: str) -> str:
    """A whole answer."""
    found = client.post(f"{url}/v1/chat/completions", json=body(model), timeout=60)
    found.raise_for_status()
    return str(found.json()["choices"][0]["message"]["content"])


class Asking(threading.Thread):
    """One client."""

    def __init__(self, number: int, real: ControllerProcess, uid: str, key: str, known: dict[str, str], tally: Tally,
                 until: float) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self._chance, self._real, self._uid, self._known = random.Random(number), real, uid, known
        self._tally, self._until = tally, until
        self._http = httpx.Client(headers={"authorization": f"Bearer {key}"}, trust_env=False)

    def run(self) -> None:
        """Until time is up."""
        while time.monotonic() < self._until:
            url = self._real.client.instance(self._uid).address
            if not url:
                self._tally.add("waits for a start")
                time.sleep(0.5)
                continue
            for _ in range(20):
                try:
                    self._ask(url)
                except httpx.HTTPStatusError as error:
                    self._tally.add(f"status {error.response.status_code}")
                except httpx.HTTPError as error:
                    self._tally.add(f"connection lost: {type(error).__name__} {error}")
                    time.sleep(0.2)
                    break

    def _ask(self, url: str) -> None:
        model = self._chance.choice(list(self._known))
        deed = self._chance.random()
        if deed < 0.15:
            self._give_up(url, model)
        elif deed < 0.2:
            self._load(url)
        else:
            begun = time.monotonic()
            self._judge(model, once(self._http, url, model))
            with self._tally.lock:
                self._tally.firsts.append(time.monotonic() - begun)

    def _judge(self, model: str, answer: str) -> None:
        if answer == self._known[model]:
            self._tally.add("right")
        elif answer in self._known.values():
            self._tally.wrong.append(f"{model}: {answer!r}")
        else:
            self._tally.add("neither its own nor another's")

    def _give_up(self, url: str, model: str) -> None:
        with self._http.stream("POST", f"{url}/v1/chat/completions", json={**body(model), "stream": True}) as answer:
            for _ in zip(range(self._chance.randint(0, 4)), answer.iter_lines(), strict=False):
                pass
        self._tally.add("given up")

    def _load(self, url: str) -> None:
        """The same file under a name of its own, asked, and let go."""
        source, name = (
            self._chance.choice([one for one in self._known if one != "demo"]),
            f"own-{self._chance.getrandbits(60)}",
        )
        path = str(self._real.folder / "adapters" / source)
        self._http.post(f"{url}/v1/adapters", json={"name": name, "path": path}).raise_for_status()
        try:
            answer = once(self._http, url, name)
        finally:
            self._http.delete(f"{url}/v1/adapters/{name}")
        self._judge(source, answer)
        self._tally.add("loaded and let go")


def ready(real: ControllerProcess, uid: str) -> str:
    """Where it answers."""
    return str(wait_until(lambda: real.client.instance(uid).address, 180, "it answers"))


def worker(real: ControllerProcess, uid: str) -> int:
    """The process of the last attempt."""
    attempt = real.client.run(uid).run.attempt
    return int(json.loads(real.home.attempt(uid, attempt).monitor.read_bytes())["worker"]["pid"])


def main() -> int:
    """Serve, ask, kill, and say what came of it."""
    with tempfile.TemporaryDirectory() as text:
        real = ControllerProcess(Path(text), WORKER)
        real.start()
        try:
            return soak(real)
        finally:
            real.close()


def soak(real: ControllerProcess) -> int:
    """All of it."""
    from engine.contract.paths import resources_folder

    base, folder = resources_folder() / "demo" / "model", real.folder / "adapters"
    subprocess.run([WORKER, "-c", MAKE, folder, base, str(TRIED)], check=True, capture_output=True)
    names = [f"a{number}" for number in range(TRIED)]
    adapters = [{"name": name, "path": str(folder / name)} for name in names]
    job = {
        "model": DEMO,
        "context": 128,
        "adapters": adapters,
        "restarts": KILLS + 1,
        "waiting": 4 * CLIENTS,
        "cache_mb": 16,  # a larger one would fill for minutes, and its filling look like a leak
    }
    real.client.edit_settings({"retry_seconds": 0.1})
    run = real.client.serve(ServeJob.model_validate(job), start=False)
    key = real.client.make_serve_key(run.uid, NewKey(scopes=("inference", "adapters"))).key
    real.client.start(run.uid)
    url = ready(real, run.uid)
    with httpx.Client(headers={"authorization": f"Bearer {key}"}, trust_env=False) as alone:
        told = {once(alone, url, name): name for name in (*reversed(names), "demo")}
    known = {name: answer for answer, name in list(told.items())[-ADAPTERS - 1 :] if answer.strip()}
    assert "demo" in known
    assert len(known) > ADAPTERS // 2, f"too many answer alike: {told}"
    tally, begun = Tally(), time.monotonic()
    clients = [Asking(number, real, run.uid, key, known, tally, begun + SECONDS) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    memory: list[list[tuple[float, int]]] = [[]]
    kills = [begun + SECONDS * (number + 1) / (KILLS + 1) for number in range(KILLS)]
    while time.monotonic() < begun + SECONDS:
        try:
            process = psutil.Process(worker(real, run.uid))
            memory[-1].append((time.monotonic(), process.memory_info().rss))
            if kills and time.monotonic() > kills[0]:
                kills.pop(0)
                os.kill(process.pid, signal.SIGKILL)
                memory.append([])
        except (psutil.Error, OSError, KeyError, TypeError, ValueError):
            pass
        time.sleep(0.5)
    for client in clients:
        client.join(120)
    report(tally, memory, real.client.instance(run.uid).restarts, len(known))
    real.client.stop(run.uid)
    return bool(tally.wrong)


def report(tally: Tally, memory: list[list[tuple[float, int]]], restarts: int, known: int) -> None:
    """A table."""
    print(f"{CLIENTS} clients, {SECONDS:.0f} s, {known - 1} adapters and the base, {restarts} starts again\n")
    print("| | |\n|---|---:|")
    print(f"| answers of another adapter | {len(tally.wrong)} |")
    for what, count in sorted(tally.counts.items()):
        print(f"| {what} | {count:,} |")
    if tally.firsts:
        cuts = statistics.quantiles(tally.firsts, n=100)
        print(f"| seconds of an answer, p50 / p95 / p99 | {cuts[49]:.2f} / {cuts[94]:.2f} / {cuts[98]:.2f} |")
    for number, points in enumerate(memory, start=1):
        later = [(at, held) for at, held in points if at > points[0][0] + AFTER_START_S] if points else []
        if len(later) > 20:
            at, held = np.array(later).T
            slope = np.polyfit((at - at[0]) / 60, held / 1e6, 1)[0]
            print(f"| worker {number}: memory, MB; its slope, MB a minute | {held.mean() / 1e6:.0f}; {slope:+.1f} |")
    for one in tally.wrong[:5]:
        print(f"\nWRONG {one}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
