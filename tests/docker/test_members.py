"""Several processes of one run in a container: they train together, and the container's end is theirs."""

from __future__ import annotations

from tests.helpers.docker_bench import BUNDLED, docker_bench

STEPS = 4


def test_that_two_processes_train_in_a_container(local_engine, worker_image, worker_mounts, tmp_path):
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path, light=False) as bench:
        attempt = bench.attempt(
            "two", compute={"gpus": 0, "processes": 2}, data={"train": [{**BUNDLED, "limit": 32}], "max_length": 128},
            training={"max_steps": STEPS, "micro_batch_size": 4, "precision": "fp32", "threads": 1},
        ).start()  # fmt: skip
        assert attempt.ended(timeout=300).code == 0, attempt.folder.log.read_text()[-3000:]
        attempt.prove_copied()
        assert [line["step"] for line in attempt.lines("step")] == list(range(1, STEPS + 1))
        assert [line["state"] for line in attempt.lines("ended")] == ["completed"]
        assert b"Phase: training" in attempt.folder.log.read_bytes()
        assert b"Members: 2 processes" in attempt.folder.log.read_bytes()
