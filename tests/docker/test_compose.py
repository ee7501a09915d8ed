"""The compose file: what it starts is as closed as what the executor starts, and docker compose can read it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from engine.control.executors.docker.labels import default_image, program_version
from tests.helpers.docker_engines import Engine

FILE = Path(__file__).parents[2] / "installer" / "worker_image" / "compose.yaml"


def test_its_workers_are_closed_in():
    services = yaml.safe_load(FILE.read_text())["services"]
    for name in ("check", "develop"):
        service = services[name]
        assert (service["user"], service["network_mode"], service["read_only"]) == ("10001:10001", "none", True)
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert service["init"] is True
        assert default_image() in service["image"], "it names another version than this one"
    assert f":{program_version()}}}" in services["controller"]["image"]
    assert Path(FILE.parents[2] / services["controller"]["build"]["dockerfile"]).is_file()


def test_docker_compose_runs_a_worker_of_it(local_engine: Engine, worker_image: str, worker_mounts: list[str]):
    """The service `check`, with the thin image and its mounts."""
    compose = shutil.which("docker-compose", path="/usr/bin:/usr/local/bin")
    if compose is None:
        pytest.skip("docker-compose is not installed")
    environment = {**os.environ, **local_engine.environment, "FORGE_IMAGE": worker_image}
    begin = [compose, "-p", "forge-test", "-f", str(FILE)]
    mounts = [word for mount in worker_mounts for word in ("-v", f"{mount}:ro")]
    command = [*begin, "run", "--rm", *mounts, "-T", "check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    subprocess.run([*begin, "down", "-v"], env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2."), done.stdout
