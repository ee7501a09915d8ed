"""A file of more than 5 GB goes to a node: its sum is right over there, and nothing of it stays in memory here."""

from __future__ import annotations

import os
import resource
import time

import pytest

from engine.contract.states import EXIT_COMPLETED
from engine.control.executors.base import Exit
from tests.helpers.docker_bench import docker_bench

SIZE = 5 * (1 << 30) + 12_345


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not os.environ.get("FORGE_TEST_LARGE"), reason="10 GB of disk; FORGE_TEST_LARGE=1 asks for it")
def test_a_file_of_more_than_five_gigabytes(local_engine, worker_image, worker_mounts, tmp_path):
    data = tmp_path / "large.bin"
    with data.open("wb") as file:
        for place in range(0, SIZE, 1 << 30):  # mostly holes
            file.seek(place)
            file.write(os.urandom(1 << 16))
        file.truncate(SIZE)
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path) as bench:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.monotonic()
        attempt = bench.attempt("steps=3 delay=0 every=5 seed=1", data={"train": [{"path": str(data)}]}).start()
        assert attempt.ended(850) == Exit(EXIT_COMPLETED)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        print(f"{SIZE / 1e9:.1f} GB there in {time.monotonic() - begun:.0f} s, {grown} MB more memory at most")
        assert grown < 64
        assert bench.told[-1].state == "done"
        assert max(told.done for told in bench.told) == SIZE
