"""The worker image's recipe builds with the classic builder, and what comes out of it is as the executor expects."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contract import PROTOCOL_VERSION
from engine.contract.errors import UserError
from engine.control.executors.docker import build, labels
from engine.control.executors.docker.images import Progress, WorkerImage, find_image, require_image
from tests.helpers.docker_engines import Engine
from tests.helpers.docker_image import DOCKERFILE, base_image
from tests.helpers.wheels import make_wheels

NAME = "loraforge-test-worker:1"
LOOK = """
import glob, importlib.metadata, json, os, sys
print(json.dumps({
    "uid": os.getuid(), "python": sys.executable, "path": sys.path[:1], "folder": os.getcwd(),
    "job": [os.stat("/job").st_uid, os.access("/job", os.W_OK)], "root": os.access("/opt/forge", os.W_OK),
    "torch": importlib.metadata.version("torch"), "engine": sorted(os.listdir("/opt/forge/engine")),
    "compiled": len(glob.glob("/opt/forge/engine/contract/__pycache__/*.pyc")),
    "demo": os.listdir("/opt/forge/resources"),
}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands in for torch and its kin: the recipe is the real one, the packages are empty."""
    return make_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def built(local_engine: Engine, wheels: Path) -> Iterator[tuple[WorkerImage, list[Progress]]]:
    """The image, and what was told while it was built."""
    told: list[Progress] = []
    plan = build.Plan(NAME, base=base_image(local_engine.api), wheels=wheels, network="none")
    try:
        yield build.build(local_engine.api, plan, told.append), told
    finally:
        if find_image(local_engine.api, NAME):
            local_engine.api.remove_image(NAME, force=True)


def test_the_recipe_builds(local_engine: Engine, built: tuple[WorkerImage, list[Progress]]):
    image, told = built
    assert image == require_image(local_engine.api, NAME)
    assert (image.version, image.protocol) == (labels.program_version(), PROTOCOL_VERSION)
    assert re.fullmatch(r"[0-9a-f]{40}", image.commit)
    steps = [(progress.done, progress.total) for progress in told if progress.total]
    assert steps == [(n, len(steps)) for n in range(1, len(steps) + 1)]
    found = seen(local_engine)
    assert (found["uid"], found["job"], found["folder"]) == (10001, [10001, True], "/job")
    assert found["root"] is False
    assert found["python"] == "/opt/venv/bin/python"
    assert (found["path"], found["engine"]) == (["/opt/forge"], ["__init__.py", "__pycache__", "compute", "contract"])
    assert found["compiled"] > 10
    assert found["demo"] == ["demo"]
    pinned = re.search(r"^torch==(\S+)", (build.code_root() / "constraints.txt").read_text(), re.MULTILINE)
    assert found["torch"] == pinned[1]


def test_a_build_that_fails_says_what_the_builder_said(local_engine: Engine, tmp_path: Path):
    wheels = make_wheels(tmp_path, without=("peft",))
    plan = build.Plan(NAME, base=base_image(local_engine.api), wheels=wheels, network="none")
    before = local_engine.api.containers(all=True)
    with pytest.raises(UserError) as refused:
        build.build(local_engine.api, plan)
    assert refused.value.code == "image.build_failed"
    assert "peft" in refused.value.why
    assert find_image(local_engine.api, NAME) is None
    assert local_engine.api.containers(all=True) == before


def test_the_command_builds_and_lists(local_engine: Engine, wheels: Path):
    environment = {**os.environ, **local_engine.environment}

    def forge(*arguments: str) -> dict:
        command = [sys.executable, "-m", "engine.cli", "image", *arguments, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    try:
        base = base_image(local_engine.api)
        made = forge("build", "--name", NAME, "--base", base, "--wheels", str(wheels), "--network", "none")
        assert made["names"] == [NAME]
        listed = forge("list")
        assert [one["fits"] for one in listed["images"] if one["id"] == made["id"]] == [True]
        assert listed["usual"] == labels.default_image()
    finally:
        local_engine.api.remove_image(NAME, force=True)


def test_without_an_engine_the_command_says_so(tmp_path: Path):
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    command = [sys.executable, "-m", "engine.cli", "image", "list", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert json.loads(done.stdout)["error"]["code"] == "image.no_engine"
    assert done.returncode != 0


def test_thin_and_full_image_agree():
    """Tests that pass in the thin one would mean nothing otherwise."""

    def facts(text: str) -> set[str]:
        whole = re.sub(r"\\\n\s*", " ", text)
        lines = {line for line in whole.splitlines() if line.startswith(("USER", "WORKDIR", "CMD"))}
        variables = re.search(r"^ENV (.*)$", whole, re.MULTILINE)[1].split()
        return lines | {one for one in variables if not one.startswith("NVIDIA")}

    full = build.dockerfile().read_text()
    assert facts(full) == facts(DOCKERFILE.read_text())
    for label in labels.image_labels("", ""):
        assert f"{label}=" in full


def test_the_context_holds_what_a_worker_needs_and_nothing_else():
    file = io.BytesIO()
    build.write_context(file, None)
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        names = tar.getnames()
    assert {"Dockerfile", "requirements.txt", "constraints.txt", "wheels", "engine/__init__.py"} <= set(names)
    assert "resources/demo/model/model.safetensors" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("engine/control")]


def seen(engine: Engine) -> dict:
    """What somebody sees inside, on a read-only root without network."""
    config = engine.api.create_host_config(network_mode="none", read_only=True, cap_drop=["ALL"])
    made = engine.api.create_container(NAME, ["python", "-c", LOOK], volumes=["/job"], host_config=config)["Id"]
    engine.api.start(made)
    assert engine.api.wait(made, timeout=60)["StatusCode"] == 0, engine.api.logs(made).decode()
    return json.loads(engine.api.logs(made))
