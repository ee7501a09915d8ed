"""The thin worker image runs a worker as the full one does: as nobody special, without network, on a read-only root."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from engine.contract.events import journal_line
from engine.contract.hubs import HubAccess
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.control.jobs.queue import Claim
from engine.control.jobs.start import prepare
from tests.helpers.docker_engines import Engine
from tests.helpers.docker_image import USER


def packed(folder: Path) -> bytes:
    """A folder as a tar whose files belong to the worker's user."""
    made = io.BytesIO()

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = int(USER.partition(":")[0])
        return entry

    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(folder, arcname=".", filter=owned)
    return made.getvalue()


def order(folder: Path, steps: int) -> Path:
    """The run's folder, as it is mounted at /job, with the order of its first attempt."""
    home = Home(folder)
    job = {
        "kind": "train", "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo", "hub": "bundled"}], "max_length": 128},
        "training": {"max_steps": steps, "micro_batch_size": 4, "precision": "fp32", "threads": 1},
    }  # fmt: skip
    spec = RunSpec.model_validate({"name": "in a container", "job": job})
    claim = Claim(run_id=1, uid="run", attempt_id=1, n=1, lease="lease", spec=spec, devices=[])
    prepare(home.attempt("run", 1), claim, HubAccess())
    return home.run("run")


def test_a_worker_trains_in_it(local_engine: Engine, worker_image: str, worker_mounts: list[str], tmp_path: Path):
    api = local_engine.api
    volume = api.create_volume(labels={"forge.managed": "test"})["Name"]
    config = api.create_host_config(
        binds=[f"{volume}:/job", *(f"{mount}:ro" for mount in worker_mounts)], network_mode="none", read_only=True,
        tmpfs={"/tmp": "size=256m"}, cap_drop=["ALL"], security_opt=["no-new-privileges"], init=True,
    )  # fmt: skip
    command = ["python", "-m", "engine.compute.worker", "/job/attempts/1"]
    container = api.create_container(worker_image, command, user=USER, host_config=config)["Id"]
    api.put_archive(container, "/job", packed(order(tmp_path, steps=4)))
    api.start(container)
    assert api.wait(container, timeout=300)["StatusCode"] == 0, api.logs(container).decode()
    pieces, _ = api.get_archive(container, "/job/attempts/1")
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        names = tar.getnames()
        journal = tar.extractfile("1/journal.jsonl").read().splitlines()
        assert {entry.uid for entry in tar.getmembers()} == {10001}
    lines = [journal_line.validate_json(line) for line in journal]
    assert [line.step for line in lines if line.kind == "step"] == [1, 2, 3, 4]
    assert [line.state for line in lines if line.kind == "ended"] == ["completed"]
    assert any(name.endswith("adapter_model.safetensors") for name in names)
