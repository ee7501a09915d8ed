"""Worker environments made by a real installer from a folder of tiny wheels: progress, cancelling, kills, deleting."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from engine.contract.environments import MakeEnvironment
from engine.contract.errors import Conflict, NotFound, Refused, UserError
from engine.control.executors import identity
from tests.helpers.waiting import wait_until
from tests.helpers.wheels import make_wheel, make_wheels

pytestmark = pytest.mark.slow


def named(service, name):
    found = service.client.environments().environments
    return next((one for one in found if one.name == name), None)


def settled(service, name, timeout=250):
    return wait_until(
        lambda: (one := named(service, name)) is not None and not one.unsettled and one, timeout, f"{name} is settled"
    )


def make(service, wheels, name="tiny", **more):
    return service.client.make_environment(MakeEnvironment(name=name, find_links=str(wheels), **more))


def installer(service, name="tiny"):
    import json

    return json.loads((service.home.environments / f".making-{name}" / "process.json").read_text())


@pytest.fixture
def faulty(service, monkeypatch):
    """Starts the controller so that what it starts waits or dies at a place."""

    def start(fault):
        monkeypatch.setenv("FORGE_FAULT", fault)
        service.start()
        monkeypatch.delenv("FORGE_FAULT")

    return start


def test_that_an_environment_is_made_shown_used_and_deleted(service, tmp_path):
    wheels = make_wheels(tmp_path / "wheels")
    service.start()
    begun = make(service, wheels)
    one = next(one for one in begun.environments if one.name == "tiny")
    assert one.state == "making"
    done = settled(service, "tiny")
    assert done.state == "works", (done.error, done.log)
    assert (done.holds.complete, done.build) == (True, "cpu")
    assert done.bytes > 0
    pip = service.home.environments / "tiny" / "bin" / "pip"
    assert ".making" not in pip.read_text()
    assert subprocess.run([pip, "--version"], capture_output=True, check=False).returncode == 0
    assert not list(service.home.environments.glob(".*"))
    with pytest.raises(Conflict, match="exists"):
        make(service, wheels)
    changed = service.client.edit_settings({"worker_python": done.python})
    assert changed.worker_python == done.python
    service.client.end_environment("tiny", "delete")
    assert named(service, "tiny") is None or named(service, "tiny").origin == "setting"
    assert not (service.home.environments / "tiny").exists()


def test_that_what_cannot_be_fetched_says_why_and_is_gone_on_with(service, tmp_path):
    wheels = make_wheels(tmp_path / "wheels", without=("peft",))
    service.start()
    make(service, wheels)
    failed = settled(service, "tiny")
    assert failed.state == "failed"
    assert "peft" in failed.error.why
    assert "peft" in failed.log
    make_wheels(wheels)
    make(service, wheels)
    assert settled(service, "tiny").state == "works"


def test_that_one_that_does_not_start_never_comes_into_use(service, tmp_path):
    wheels = make_wheels(tmp_path / "wheels", without=("torch",))
    import re

    from engine.contract.paths import code_root

    version = re.search(r"^torch==([^\s;]+)", (code_root() / "constraints.txt").read_text(), re.MULTILINE)[1]
    make_wheel(wheels, "torch", version, content="raise RuntimeError('no such driver {version}')\n")
    service.start()
    make(service, wheels)
    failed = settled(service, "tiny")
    assert failed.state == "failed"
    assert "no such driver" in failed.error.why
    assert not (service.home.environments / "tiny").exists()
    service.client.end_environment("tiny", "delete")
    assert not list(service.home.environments.iterdir())


def test_that_it_can_be_cancelled_and_gone_on_with(service, faulty, tmp_path):
    wheels = make_wheels(tmp_path / "wheels")
    faulty("install.downloading:sleep")
    make(service, wheels)
    wait_until(lambda: named(service, "tiny").progress.step == "downloading", 60)
    who = installer(service)
    with pytest.raises(Conflict, match="being made"):
        make(service, wheels, name="other")
    service.client.end_environment("tiny", "cancel")
    assert not identity.alive(who)
    assert named(service, "tiny").state == "cancelled"


def test_that_its_making_outlives_the_controller(service, faulty, tmp_path):
    wheels = make_wheels(tmp_path / "wheels")
    faulty("install.downloading:sleep")
    make(service, wheels)
    wait_until(lambda: named(service, "tiny").progress.step == "downloading", 60)
    service.client.shutdown()
    wait_until(lambda: not service.running(), what="the controller ends")
    who = installer(service)
    assert identity.alive(who)
    service.start()
    assert named(service, "tiny").state == "making"
    os.killpg(who["pid"], signal.SIGKILL)
    wait_until(lambda: named(service, "tiny").state == "interrupted")
    service.client.end_environment("tiny", "delete")


def test_that_a_kill_before_it_is_in_place_leaves_the_old_one(service, faulty, tmp_path):
    wheels = make_wheels(tmp_path / "wheels")
    old = service.home.environments / "tiny"
    old.mkdir(parents=True)
    (old / "ready").write_text('{"made": 1.0}')
    faulty("install.before_rename:kill")
    make(service, wheels, replace=True)
    wait_until(lambda: not identity.alive(installer(service)), 120)
    service.client.shutdown()
    wait_until(lambda: not service.running(), what="the controller ends")
    service.start()
    assert (old / "ready").read_text() == '{"made": 1.0}'
    found = service.client.environments().environments
    assert any(one.state == "interrupted" for one in found)


def test_that_a_name_that_is_none_is_refused(service, tmp_path):
    service.start()
    for name in ("../x", "a/b", ".hidden", "", "x y"):
        with pytest.raises(Refused):
            make(service, make_wheels(tmp_path / "wheels"), name=name)
    with pytest.raises((NotFound, UserError)):
        service.client.end_environment("nothing", "delete")


def test_that_the_command_line_makes_lists_and_removes(service, tmp_path):
    wheels = make_wheels(tmp_path / "wheels")
    done = service.forge("worker", "install", "--name", "tiny", "--cpu", "--find-links", str(wheels))
    assert done.returncode == 0, done.stderr
    assert "installing" in done.stderr
    listed = service.forge("worker", "list")
    assert "tiny" in listed.stdout
    assert "works" in listed.stdout
    assert service.forge("worker", "remove", "tiny").returncode == 0
    assert not (service.home.environments / "tiny").exists()


def test_that_sizes_are_counted(service):
    service.start()
    (service.home.library / "x").mkdir(parents=True)
    (service.home.library / "x" / "y").write_bytes(b"1" * 1000)
    found = service.client.storage(again=True)
    assert found.parts["library"] == 1000
    assert found.parts["history"] > 0
    assert found.total == sum(found.parts.values())
    assert found.free > 0
