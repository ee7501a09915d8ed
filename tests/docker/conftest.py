"""Real engines for the tests in this folder: started once, whole and empty again after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.docker_engines import Engine, Engines, RemoteEngine, running_engines, stopping
from tests.helpers.docker_fleet import Fleet, fleet
from tests.helpers.docker_image import OtherPython, thin_image, thin_mounts
from tests.helpers.docker_process import CannotStart

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs an engine."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("docker")


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """Both engines, as long as the test run lasts."""
    try:
        running = running_engines()
        found = running.__enter__()
    except CannotStart as reason:
        stopping(reason)
    try:
        yield found
    finally:
        running.__exit__(None, None, None)


@pytest.fixture
def local_engine(engines: Engines) -> Iterator[Engine]:
    """This computer's engine."""
    yield engines.local
    _set_right(engines.local)


@pytest.fixture
def remote_engine(engines: Engines) -> Iterator[RemoteEngine]:
    """The second engine, "the remote node", with TLS and its sshd."""
    yield engines.remote
    engines.remote.ssh.ensure()
    _set_right(engines.remote)


@pytest.fixture(scope="session")
def worker_image(engines: Engines) -> str:
    """The thin worker image, on both engines."""
    try:
        thin_mounts()
        thin_image(engines.remote)
        return thin_image(engines.local)
    except OtherPython as reason:
        pytest.skip(str(reason))
    except CannotStart as reason:
        stopping(reason)
        raise


@pytest.fixture(scope="session")
def worker_mounts(worker_image: str) -> list[str]:
    """What a node's profile names as `mounts` for that image."""
    return thin_mounts()


def _set_right(engine: Engine) -> None:
    """Whatever a test did to it."""
    if engine.server is not None:
        engine.server.ensure()
    engine.clear()


@pytest.fixture
def light_fleet(
    local_engine: Engine, remote_engine: RemoteEngine, worker_image: str, worker_mounts: list[str], tmp_path: Path
) -> Iterator[Fleet]:
    """A controller with both engines as nodes, `here` and `far`; its workers learn a number."""
    with fleet(tmp_path, worker_image, worker_mounts) as made:
        made.start()
        made.add(local_engine, remote_engine)
        yield made


@pytest.fixture
def real_fleet(
    local_engine: Engine, remote_engine: RemoteEngine, worker_image: str, worker_mounts: list[str], tmp_path: Path
) -> Iterator[Fleet]:
    """The same with workers that train."""
    with fleet(tmp_path, worker_image, worker_mounts, light=False) as made:
        made.start()
        made.add(local_engine, remote_engine)
        yield made
