"""A file is imported by the real worker, and a container trains on the version: each row and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from engine.contract import PROTOCOL_VERSION
from engine.contract.datasets import ImportJob
from engine.contract.durable import write_json
from engine.contract.paths import Home, code_root
from engine.contract.run_spec import AttemptOrder, RunSpec
from tests.helpers.docker_bench import docker_bench

PYTHON = os.environ.get("FORGE_WORKER_PYTHON", "")
ROWS, STEPS = 24, 4


def imported(home: Home, folder: Path) -> str:
    """The fingerprint of a version made of a file, with one row that is none."""
    rows = [
        {"messages": [{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": f"it is {n}"}]}
        for n in range(ROWS)
    ]
    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"broken": \n')
    job = ImportJob.model_validate({"kind": "import", "dataset": "rows", "source": {"place": str(source)}})
    attempt = home.attempt("animport", 1)
    attempt.control.mkdir(parents=True)
    attempt.outputs.mkdir()
    spec = RunSpec.model_validate({"name": "import", "job": job.model_dump(mode="json")})
    order = AttemptOrder(protocol=PROTOCOL_VERSION, run="animport", attempt=1, lease="l", spec=spec)
    write_json(attempt.order, order.model_dump(mode="json"))
    subprocess.run(
        [PYTHON, "-m", "engine.compute.worker", str(attempt.root)],
        env={**os.environ, "FORGE_HOME": str(home.root), "PYTHONPATH": str(code_root())},
        check=True,
        timeout=300,
    )
    lines = [json.loads(line) for line in attempt.journal.read_text().splitlines()]
    (made,) = [line for line in lines if line["kind"] == "dataset"]
    assert (made["rows"], made["refused"]) == (ROWS, 1)
    return str(made["hash"])


@pytest.mark.skipif(not PYTHON, reason="needs a worker's environment, to import with")
def test_that_a_container_trains_on_a_version_of_the_library(local_engine, worker_image, worker_mounts, tmp_path):
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path, light=False) as bench:
        version = imported(bench.home, tmp_path)
        attempt = bench.attempt(
            "on a version",
            data={
                "train": [{"hub": "library", "path": "rows", "version": version}],
                "validation": [{"hub": "library", "path": "rows", "version": version, "limit": 4}],
                "max_length": 128,
            },
            training={"max_steps": STEPS, "micro_batch_size": 4, "precision": "fp32", "threads": 1},
        ).start()
        assert attempt.ended(timeout=300).code == 0, attempt.folder.log.read_text()[-3000:]
        attempt.prove_copied()
        assert [line["step"] for line in attempt.lines("step")] == list(range(1, STEPS + 1))
        assert [line["state"] for line in attempt.lines("ended")] == ["completed"]
        read = [line for line in attempt.lines("note") if line["code"] == "data.read_version"]
        assert next((note["params"]["rows"], note["params"]["version"]) for note in read) == (ROWS, version[:12])
        assert bench.home.dataset(version).is_dir()
