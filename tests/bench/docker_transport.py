"""Metrics, starts and copies by each way to a Docker engine, beside a process and scp in the same run."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.contract.nodes import LOCAL, NodeProfile
from tests.bench.docker_executor import copies, latency, make_bench
from tests.chaos import light_worker
from tests.helpers.controller import ControllerProcess, make_spec
from tests.helpers.docker_bench import LIGHT
from tests.helpers.docker_engines import Engine, Engines, running_engines
from tests.helpers.docker_image import OtherPython, thin_image, thin_mounts
from tests.helpers.docker_process import CannotStart
from tests.helpers.docker_profiles import local_profile, ssh_profile, tls_profile
from tests.helpers.docker_ssh import SshServer
from tests.helpers.waiting import wait_until

ROUNDS = 5
MEGABYTES = 200
Ways = dict[str, tuple[Engine, NodeProfile]]


def ways(engines: Engines) -> Ways:
    """Name, engine, and how a controller is told of it."""
    return {
        "local socket": (engines.local, local_profile(engines.local)),
        "SSH tunnel": (engines.remote, ssh_profile(engines.remote)),
        "TLS": (engines.remote, tls_profile(engines.remote)),
    }


def latencies(found: Ways) -> None:
    """A line's time to its place in the file here; all ways in turn."""
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in found}
    for _ in range(3):
        for way, (engine, profile) in found.items():
            taken[way].append(_with_bench(engine, profile, lambda bench, _place: latency(bench)))
    print("| way | p50 ms | p99 ms | p50 ratio | heard live, of 900 |\n|---|---:|---:|---:|---:|")
    base = 0.0
    for way, results in taken.items():
        p50, p99 = (statistics.median(one[name] for one in results) for name in ("p50 ms", "p99 ms"))
        base = base or p50
        heard = sum(one["heard live"] for one in results)
        print(f"| {way} | {p50:.2f} | {p99:.2f} | {p50 / base:.2f} | {heard:.0f} |")
    print()


def starts(found: Ways, folder: Path) -> None:
    """From the order given to a controller to the first step in its history: cold, process and containers in turn."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{light_worker.__file__}" "$@"\n')
    python.chmod(0o755)
    service = ControllerProcess(folder, python)
    service.home.root.mkdir(parents=True)
    service.home.settings_file.write_text(json.dumps({"spare_workers": 0}))
    taken: dict[str, list[float]] = {"process": [], **{way: [] for way in found}}
    try:
        service.start()
        nodes = {"process": LOCAL}
        for way, (engine, profile) in found.items():
            nodes[way] = way.split()[0]
            update = {"name": nodes[way], "image": thin_image(engine), "mounts": [*thin_mounts(), *LIGHT]}
            service.client.add_node(profile.model_copy(update=update))
            wait_until(lambda way=way: service.client.node(nodes[way]).reach == "reachable", what=f"{way} answers")
            service.client.doctor(nodes[way])
        for number in range(ROUNDS):
            for way, node in nodes.items():
                taken[way].append(_first_step(service, f"steps=3 delay=0.01 every=1000 seed={number}", node))
    finally:
        service.close()
    base = statistics.median(taken["process"])
    print(f"| worker | submit → first step, s (median of {ROUNDS}) | more than a process, s | ratio |")
    print("|---|---:|---:|---:|")
    for way, seconds in taken.items():
        median = statistics.median(seconds)
        name = way if way == "process" else f"container, {way}"
        print(f"| {name} | {median:.2f} | {median - base:.2f} | {median / base:.2f} |")
    print()


def _first_step(service: ControllerProcess, name: str, node: str) -> float:
    began = time.perf_counter()
    run = service.client.create(make_spec(service.folder, name, compute={"node": node}))
    wait_until(lambda: (service.client.run(run.uid).run.step or 0) >= 1, what=f"first step on {node}")
    seconds = time.perf_counter() - began
    service.until(run.uid, "completed")
    return seconds


def copying(engines: Engines, found: Ways, folder: Path, megabytes: int) -> None:
    """A file to the node's cache, beside scp to the same machine."""
    size = megabytes << 20
    data = folder / "for_scp.bin"
    with data.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1 << 20))
    scp = statistics.median(size / _scp(engines.remote.ssh, data, folder / "copied.bin") / 1e6 for _ in range(3))
    print(f"| way, {megabytes} MiB | sent MB/s | ratio to scp | sent, put together and read back MB/s | ratio to scp |")
    print(f"|---|---:|---:|---:|---:|\n| scp | {scp:.0f} | 1.00 | | |")
    for way, (engine, profile) in found.items():
        got = _with_bench(engine, profile, lambda bench, place: copies(bench, place, size))
        sent, whole = got["sent MB/s"], got["whole MB/s"]
        print(f"| {way} | {sent:.0f} | {sent / scp:.2f} | {whole:.0f} | {whole / scp:.2f} |")


def _scp(ssh: SshServer, source: Path, target: Path) -> float:
    options = [word if word != "-p" else "-P" for word in ssh.options()]
    began = time.perf_counter()
    subprocess.run(["scp", "-q", *options, str(source), f"{ssh.user}@{ssh.host}:{target}"], check=True)
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


def _with_bench(engine: Engine, profile: NodeProfile, work: Callable[..., dict[str, float]]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        bench = make_bench(engine, profile, Path(place) / "home")
        try:
            return work(bench, Path(place))
        finally:
            bench.executor.close()
            bench.link.close()


def main() -> int:
    """Print three tables."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES
    try:
        with running_engines(own_local=True) as engines, tempfile.TemporaryDirectory() as place:
            found = ways(engines)
            latencies(found)
            starts(found, Path(place))
            copying(engines, found, Path(place), megabytes)
    except (CannotStart, OtherPython) as reason:
        print(f"not measured: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
