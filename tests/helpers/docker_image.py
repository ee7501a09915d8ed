"""The thin worker image of the tests: seconds instead of minutes, for the host's packages are mounted into it.

The base comes from mmdebstrap (a minute, once a machine); both images lie in the user's cache folder afterwards.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import platformdirs
from docker.errors import ImageNotFound

from engine.contract.paths import code_root, resources_folder
from engine.control.executors.docker.labels import image_labels
from tests.helpers.docker_engines import Engine
from tests.helpers.docker_process import CannotStart, find_program

RECIPE = [
    "--variant=minbase", "--include=python3,python3-venv,ca-certificates",
    "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*", "bookworm",
]  # fmt: skip
PYTHON = "python3.11"
"""Which Python that suite has: the host's packages are built for one version."""
DOCKERFILE = Path(__file__).parents[1] / "docker" / "thin.Dockerfile"
SITE = f"/opt/venv/lib/{PYTHON}/site-packages"
CODE = "/opt/forge"
USER = "10001:10001"


class OtherPython(Exception):
    """The host's packages are built for another Python than the image has."""


def thin_image(engine: Engine) -> str:
    """The thin worker image's name; it is on this engine afterwards, and has the same id on every engine."""
    name = f"loraforge-worker-thin:{_key()}"
    if not _has(engine.api, name):
        with _locked():
            saved = cache_folder() / f"thin-{_key()}.tar"
            if not saved.exists():
                _build(engine.api, name, saved)
            if not _has(engine.api, name):
                _load(engine.api, saved)
    return name


def thin_mounts() -> list[str]:
    """What is mounted read-only into it, as `host:container`: the packages of `.venv-worker`, our code, resources."""
    packages = code_root() / ".venv-worker" / "lib" / PYTHON / "site-packages"
    if not packages.is_dir():
        raise OtherPython(f"{packages} is missing: the thin image needs a worker environment of Python 3.11")
    return [
        f"{packages.resolve()}:{SITE}",
        f"{code_root() / 'engine'}:{CODE}/engine",
        f"{resources_folder()}:{CODE}/resources",
    ]


def base_image(api: docker.APIClient) -> str:
    """A bare Debian with Python, on this engine."""
    name = f"loraforge-test-base:{_digest(*RECIPE)}"
    if not _has(api, name):
        with base_tar().open("rb") as file:
            api.import_image_from_data(file, repository=name.partition(":")[0], tag=name.partition(":")[2])
    return name


def base_tar() -> Path:
    """Its files, made once."""
    made = cache_folder() / f"base-{_digest(*RECIPE)}.tar"
    if made.exists():
        return made
    aside = made.with_suffix(".part.tar")
    program = find_program("/usr/bin/mmdebstrap", "/usr/local/bin/mmdebstrap")
    done = subprocess.run(
        [program, *RECIPE, str(aside)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotStart(f"mmdebstrap made no base image: {done.stderr[-500:]}")
    aside.rename(made)
    return made


def cache_folder() -> Path:
    """What is worth keeping between test runs."""
    folder = Path(platformdirs.user_cache_dir("loraforge-test", appauthor=False))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _key() -> str:
    """Another recipe is another image."""
    return _digest(*RECIPE, DOCKERFILE.read_text(), repr(image_labels("test", "test")))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _build(api: docker.APIClient, name: str, saved: Path) -> None:
    lines = api.build(
        fileobj=io.BytesIO(DOCKERFILE.read_bytes()), tag=name, decode=True, rm=True, network_mode="none",
        buildargs={"BASE_IMAGE": base_image(api)}, labels=image_labels("test", "test"),
    )  # fmt: skip
    for line in lines:
        if "error" in line:
            raise CannotStart(f"the thin image could not be built: {line['error']}")
    aside = saved.with_suffix(".part")
    with aside.open("wb") as file:
        for piece in api.get_image(name):
            file.write(piece)
    aside.rename(saved)


def _load(api: docker.APIClient, saved: Path) -> None:
    with saved.open("rb") as file:
        said = [line["error"] for line in api.load_image(file, quiet=False) if "error" in line]
    if said:
        raise CannotStart(f"the thin image could not be loaded: {said[0]}")


def _has(api: docker.APIClient, name: str) -> bool:
    try:
        return bool(api.inspect_image(name))
    except ImageNotFound:
        return False


@contextmanager
def _locked() -> Iterator[None]:
    """One test run makes it, others wait."""
    with (cache_folder() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Make the base image's files if they are missing: it takes a minute, longer than a test may."""
    try:
        with _locked():
            base_tar()
    except CannotStart as reason:
        print(reason, file=sys.stderr)  # the tests say it too
    return 0


if __name__ == "__main__":
    sys.exit(main())
