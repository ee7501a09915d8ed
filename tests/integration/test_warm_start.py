"""The bundled model in a warm worker: it learns what a cold one learns, and survives what a cold one survives."""

import json
import os
import signal
from pathlib import Path

import pytest

from engine.contract.api import Settings
from engine.control.executors import identity
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import WORKER
from tests.helpers.waiting import wait_until
from tests.integration.test_real_worker import MODEL, demo

pytestmark = [
    pytest.mark.skipif(not WORKER.exists(), reason="there is no worker environment"),
    pytest.mark.skipif(not MODEL.exists(), reason="the bundled model is not there"),
]


@pytest.fixture
def real(tmp_path: Path):
    service = ControllerProcess(tmp_path, WORKER)
    service.start()
    yield service
    service.close()


def until_spare(real: ControllerProcess, state: str) -> None:
    wait_until(lambda: real.client.health().spare == state, 90, f"spares are {state}")


def spares_of(home: Path) -> list[dict]:
    """Warm processes of this home that live."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"engine.compute.worker.warm\0fork" in command and f"FORGE_HOME={home}\0".encode() in environment:
            found.append(identity.of(int(folder.name)))
    return [who for who in found if who]


def losses(real: ControllerProcess, uid: str) -> list[float]:
    return real.client.series(uid, ["loss"])["loss"].value.tolist()


def told(real: ControllerProcess, uid: str) -> list[tuple[str, ...]]:
    """What the journal tells, without what depends on the clock and the machine's load."""
    lines = [line for line in real.journal(uid) if line["kind"] != "device"]
    return [tuple(str(line.get(name, "")) for name in ("kind", "phase", "code", "step", "device")) for line in lines]


def is_warm(real: ControllerProcess, uid: str) -> bool:
    return b"--child" in Path(f"/proc/{monitor_of(real, uid)['pid']}/cmdline").read_bytes()


def monitor_of(real: ControllerProcess, uid: str) -> dict:
    return json.loads(real.home.attempt(uid, 1).monitor.read_bytes())["monitor"]


def test_that_cold_forked_and_spawned_workers_learn_the_same_bit_for_bit(real):
    spec = demo(6)
    runs = {}
    for method in ("cold", "auto", "spawn"):
        real.client.change_settings(
            Settings(spare_workers=0) if method == "cold" else Settings(spare_workers=1, spare_method=method)
        )
        until_spare(real, "off" if method == "cold" else "ready")
        runs[method] = real.client.create(spec).uid
        real.until(runs[method], "completed", timeout=300)
    found = {method: losses(real, uid) for method, uid in runs.items()}
    assert len(found["cold"]) == 6
    assert found["auto"] == found["cold"]
    assert found["spawn"] == found["cold"]
    assert told(real, runs["auto"]) == told(real, runs["cold"]) == told(real, runs["spawn"])
    environments = [next(line for line in real.journal(uid) if line["kind"] == "started")["environment"] for uid in
                    runs.values()]  # fmt: skip
    assert environments[0] == environments[1] == environments[2]


def test_that_a_warm_worker_goes_on_over_the_death_of_its_controller_and_the_spare_does_not(real):
    until_spare(real, "ready")
    (spare,) = spares_of(real.home.root)
    run = real.client.create(demo(400))
    wait_until(lambda: real.client.run(run.uid).run.step, 60, "the first step")
    assert is_warm(real, run.uid)
    os.kill(real.client.health().pid, signal.SIGKILL)
    wait_until(lambda: not identity.alive(spare), what="the spare has gone")
    real.start()
    detail = real.client.run(run.uid)
    assert (detail.run.state, len(detail.attempts)) == ("running", 1)
    real.client.stop(run.uid)
    stopped = real.until(run.uid, "stopped", timeout=300)
    assert stopped.attempts[0].exit_code == 77
    steps = real.client.series(run.uid, ["loss"])["loss"].x.tolist()
    assert steps == list(range(1, len(steps) + 1))


def test_that_short_memory_gives_the_spare_up(real):
    until_spare(real, "ready")
    assert real.client.health().spare_bytes > 100 << 20
    (spare,) = spares_of(real.home.root)
    real.client.change_settings(Settings(spare_memory_gb=1e6))
    until_spare(real, "given_up")
    wait_until(lambda: not identity.alive(spare))
    assert real.client.health().spare_bytes == 0


def test_that_the_home_of_another_controller_has_its_own_spare(real, tmp_path):
    other = ControllerProcess(tmp_path / "other", WORKER)
    try:
        other.start()
        until_spare(other, "ready")
        until_spare(real, "ready")
        (ours,), (theirs,) = spares_of(real.home.root), spares_of(other.home.root)
        assert ours["pid"] != theirs["pid"]
    finally:
        other.close()
    wait_until(lambda: not identity.alive(theirs), what="its spare ended with it")
    assert identity.alive(ours)
