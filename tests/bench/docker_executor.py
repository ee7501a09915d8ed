"""`python -m tests.bench.docker_executor`: how quick metrics come from a container, a start, and copies either way.

The worker learns a number (tests/chaos), so that what is measured is ours. Process and container take turns, since
the computer may be busy: their ratio says more than either.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.contract.clock import now
from engine.contract.nodes import NodeProfile
from engine.contract.paths import Home, code_root
from engine.control.executors.base import Launch
from engine.control.executors.docker import names
from engine.control.executors.docker.opening import open_link
from engine.control.executors.process import ProcessExecutor
from tests.helpers.docker_bench import LIGHT, DockerBench
from tests.helpers.docker_engines import Engine, Engines, running_engines
from tests.helpers.docker_image import thin_image, thin_mounts
from tests.helpers.docker_profiles import local_profile, ssh_profile, tls_profile
from tests.helpers.waiting import wait_until

STARTS = 5
LINES = "steps=300 delay=0.02 every=100000 seed=1"
LIGHT_WORKER = code_root() / "tests" / "chaos" / "light_worker.py"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def make_bench(engine: Engine, profile: NodeProfile, folder: Path) -> DockerBench:
    made = profile.model_copy(update={"mounts": [*thin_mounts(), *LIGHT], "mirror_minutes": 10_000.0})
    return DockerBench(engine, thin_image(engine), Home(folder), made, open_link(made))


def latency(bench: DockerBench) -> dict[str, float]:
    """From the moment a line is written over there to the moment it stands in the file here."""
    attempt, waits = bench.attempt(LINES).start(), list[float]()
    journal = bench.executor._followers[attempt.folder.root].mirror.journal
    take = journal.take

    def timed(line: bytes, found: dict[str, Any]) -> bool:
        good = take(line, found)
        if good and found["kind"] == "step":
            waits.append((now() - found["t"]) * 1000)
        return good

    journal.take = timed  # type: ignore[method-assign]
    attempt.ended(120)
    assert len(attempt.lines("step")) == 300
    return {"p50 ms": percentile(waits, 0.5), "p99 ms": percentile(waits, 0.99), "heard live": len(waits)}


def starts(bench: DockerBench) -> dict[str, float]:
    """From the order to the worker's first line here, and from its last word to the end told."""
    taken: dict[str, list[float]] = {"process": [], "container": []}
    for _ in range(STARTS):
        for kind, seconds in (("process", _process_start(bench)), ("container", _container_start(bench))):
            taken[kind].append(seconds)
    medians = {kind: statistics.median(values) for kind, values in taken.items()}
    return {f"{kind} s": value for kind, value in medians.items()} | {
        "overhead s": medians["container"] - medians["process"]
    }


def _process_start(bench: DockerBench) -> float:
    attempt = bench.attempt("steps=1 delay=0 every=5 seed=1")
    executor, begun = ProcessExecutor(), time.perf_counter()
    environment = {"FORGE_HOME": str(bench.home.root), "PYTHONPATH": str(code_root())}
    command = [sys.executable, str(LIGHT_WORKER), "-m", "engine.compute.worker", str(attempt.folder.root)]
    handle = executor.start(Launch(attempt.folder, command, environment))
    wait_until(lambda: attempt.lines("started"), 60)
    seconds = time.perf_counter() - begun
    wait_until(lambda: executor.poll(attempt.folder, handle), 60)
    return seconds


def _container_start(bench: DockerBench) -> float:
    begun = time.perf_counter()
    attempt = bench.attempt("steps=1 delay=0 every=5 seed=1").start()
    wait_until(lambda: attempt.lines("started"), 60)
    seconds = time.perf_counter() - begun
    attempt.ended()
    return seconds


def copies(bench: DockerBench, folder: Path, size: int) -> dict[str, float]:
    """Into the cache of the node (sent, put together and read back there), and its pieces alone."""
    data = folder / "data.bin"
    with data.open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    attempt = bench.attempt("steps=1 delay=0 every=5 seed=1", data={"train": [{"path": str(data)}]}).start()
    marks: list[tuple[float, int]] = []
    bench.executor.cache.told = lambda told: marks.append((time.perf_counter(), told.done))
    attempt.ended(900)
    whole = marks[-1][0] - begun
    sent = next(at for at, done in marks if done == size) - marks[0][0]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    data.unlink()
    return {"sent MB/s": size / sent / 1e6, "whole MB/s": size / whole / 1e6, "memory grown MB": grown}


def back(bench: DockerBench, size: int) -> dict[str, float]:
    """A checkpoint from the node to here, checked."""
    attempt = bench.attempt("steps=100000 delay=0.05 every=1000000 seed=1").start()
    attempt.until_step(1)
    where = names.there(attempt.folder.run / "checkpoints" / "a1-s1", attempt.folder.run)
    script = f"mkdir -p {where} && head -c {size} /dev/urandom > {where}/x && echo '{{}}' > {where}/manifest.json"
    made = bench.engine.api.exec_create(attempt.name, ["sh", "-c", script])
    bench.engine.api.exec_start(made["Id"])
    from engine.control.executors.docker import files

    reader = bench.executor._make_reader(attempt.order.run)
    assert reader is not None
    begun = time.perf_counter()
    bench.link.stream(lambda api: files.receive(api, reader, where, bench.home.root / "fetched"))
    seconds = time.perf_counter() - begun
    bench.engine.api.remove_container(reader, force=True)
    bench.executor.kill(attempt.folder, attempt.handle)
    attempt.ended()
    return {"fetched MB/s": size / seconds / 1e6}


def measure(engines: Engines, megabytes: int) -> dict[str, Any]:
    ways = {
        "local": (engines.local, local_profile(engines.local)), "tls": (engines.remote, tls_profile(engines.remote)),
        "ssh": (engines.remote, ssh_profile(engines.remote)),
    }  # fmt: skip
    found: dict[str, Any] = {}
    for way, (engine, profile) in ways.items():
        with tempfile.TemporaryDirectory() as place:
            bench = make_bench(engine, profile, Path(place) / "home")
            try:
                found[way] = {**latency(bench), **starts(bench), **copies(bench, Path(place), megabytes << 20)}
                found[way] |= back(bench, megabytes << 20)
            finally:
                bench.executor.close()
                bench.link.close()
        print(way, json.dumps({name: round(value, 2) for name, value in found[way].items()}), flush=True)
    return found


if __name__ == "__main__":
    with running_engines(own_local=True) as running:
        measure(running, int(sys.argv[1]) if len(sys.argv) > 1 else 256)
