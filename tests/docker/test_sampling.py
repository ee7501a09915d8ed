"""A container samples a dataset: it becomes a version of the library of this computer, whole, also after a kill."""

from __future__ import annotations

from engine.contract.datasets import MANIFEST, Manifest
from engine.control.executors.docker import whole
from tests.helpers.docker_bench import docker_bench

JOB = {
    "kind": "sample", "dataset": "answers", "source": {"path": "demo", "hub": "bundled", "limit": 6}, "max_tokens": 8,
    "keep_cut": True, "answers": 2, "rewards": [{"kind": "accuracy"}],
}  # fmt: skip


def test_that_a_containers_answers_become_a_version_here(local_engine, worker_image, worker_mounts, tmp_path):
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path, light=False) as bench:
        attempt = bench.attempt("samples", **JOB).start()
        assert attempt.ended(timeout=300).code == 0, attempt.folder.log.read_text()[-3000:]
        (made,) = attempt.lines("dataset")
        folder = bench.home.dataset(made["hash"])
        whole.check_version(folder, made["manifest_sha256"])
        assert Manifest.model_validate_json((folder / MANIFEST).read_bytes()).rows == 12
        assert [path.name for path in bench.home.datasets.iterdir()] == [made["hash"]]
