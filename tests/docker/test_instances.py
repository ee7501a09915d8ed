"""What is on real engines and on this computer, and runs that are made again of it when the history is gone."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from engine.control.executors.docker import names
from engine.control.executors.docker.keep import Keep
from forge_desktop.pages.instances_page import InstancesPage
from tests.docker.test_move import LIGHT_RUN, LONG, numbers, ours, start
from tests.helpers.docker_fleet import Fleet, fleet
from tests.helpers.docker_profiles import linked, local_profile
from tests.helpers.waiting import wait_until
from tests.helpers.windows import windows


class OtherComputer(Fleet):
    """A controller with a host name of its own."""

    def spawn(self) -> subprocess.Popen[bytes]:
        """Its process has the same number in there."""
        rename = ["sh", "-c", 'hostname "$0" && exec "$@"', "another-computer"]
        command = ["unshare", "--uts", *rename, sys.executable, "-m", "engine.control"]
        process = subprocess.Popen(command, env=self.environment)
        self._processes.append(process)
        return process


@contextmanager
def other_computer(folder, image, mounts) -> Iterator[OtherComputer]:
    made = OtherComputer(folder, True, image, mounts)
    try:
        yield made
    finally:
        made.close()


def forget_history(fleet: Fleet) -> None:
    """As after a disk that was lost: the nodes are added again, of the runs nothing is known, not even a file."""
    import shutil

    fleet.stop_controller()
    for path in fleet.home.root.glob("history.sqlite3*"):
        path.unlink()
    shutil.rmtree(fleet.home.runs)
    fleet.start()


def test_that_all_of_ours_is_shown_with_what_it_takes(light_fleet, local_engine, remote_engine):
    fleet = light_fleet
    runs = {node: start(fleet, node) for node in ("here", "far", "local")}
    for uid in runs.values():
        fleet.until_step(uid, 5)
    other = local_engine.api.create_container(fleet.image, ["sleep", "60"], name="not-ours")["Id"]
    try:
        found = fleet.client.instances()
        assert found.unreachable == {}
        assert other[:12] not in str(found)
        by_node = {one.node: one for one in found.instances if one.run}
        assert {node: one.run for node, one in by_node.items()} == runs
        for one in by_node.values():
            assert (one.state, one.known, one.attempt, one.owner) == ("running", True, 1, "ada")
            assert one.memory
            assert one.cpu_percent is not None
        remote_engine.daemon.pause()
        try:
            wait_until(lambda: "far" in fleet.client.instances().unreachable, 60, "the silent node is named")
        finally:
            remote_engine.daemon.resume()
    finally:
        local_engine.api.remove_container(other, force=True)


def test_that_many_are_stopped_and_what_ended_is_removed(light_fleet, local_engine):
    fleet = light_fleet
    runs = [start(fleet, "here", "steps=9000 delay=0.03 every=50 seed=7") for _ in range(2)]
    for uid in runs:
        fleet.until_step(uid, 3)
    ids = [fleet.instance(uid).id for uid in runs]
    refused = fleet.client.instance_deed(ids, "remove")
    assert {error.code for error in refused.errors.values()} == {"instances.not_ended"}
    assert fleet.client.instance_deed(ids, "stop").errors == {}
    for uid in runs:
        fleet.until(uid, "stopped")
        assert fleet.client.run(uid).checkpoints
    assert {fleet.instance(uid).state for uid in runs} == {"exited"}
    assert fleet.client.instance_deed(ids, "remove").errors == {}
    assert [ours(local_engine, uid) for uid in runs] == [[], []]


def test_that_a_run_whose_history_was_lost_is_adopted_and_taken_in_once(light_fleet, local_engine):
    fleet = light_fleet
    uid = start(fleet, "here")
    fleet.until_step(uid, 5)
    profile = fleet.client.node("here").profile
    forget_history(fleet)
    fleet.client.add_node(profile)
    wait_until(lambda: fleet.client.node("here").reach == "reachable")
    found = fleet.instance(uid)
    assert not found.known
    assert fleet.client.instance_deed([found.id], "adopt").errors == {}
    assert fleet.instance(uid).known
    detail = fleet.until(uid, "completed")
    assert fleet.losses(uid) == numbers(400)
    seqs = [line["seq"] for line in fleet.journal(uid)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert "run.adopted" in fleet.codes(uid)
    assert "adopted" in detail.run.tags


def test_that_one_that_has_ended_meanwhile_is_adopted_too(light_fleet):
    fleet = light_fleet
    uid = start(fleet, "here", "steps=20 delay=0.02 every=5 seed=7")
    fleet.until(uid, "completed")
    profile = fleet.client.node("here").profile
    forget_history(fleet)
    fleet.client.add_node(profile)
    wait_until(lambda: fleet.client.node("here").reach == "reachable")
    assert fleet.client.instance_deed([fleet.instance(uid).id], "adopt").errors == {}
    detail = fleet.until(uid, "completed")
    assert fleet.losses(uid) == numbers(20)
    assert [one.kind for one in detail.artifacts] == ["adapter"]


def test_that_what_another_living_controller_has_is_not_adopted(
    light_fleet, local_engine, worker_image, worker_mounts, tmp_path
):
    mine = light_fleet
    uid = start(mine, "here", LIGHT_RUN)
    mine.until_step(uid, 5)
    with fleet(tmp_path / "another", worker_image, worker_mounts) as theirs:
        theirs.start()
        theirs.add(local_engine)
        found = theirs.instance(uid)
        assert not found.known
        for verb, code in (
            ("adopt", "instances.other_controller"), ("stop", "instances.foreign"), ("kill", "instances.foreign"),
            ("remove", "instances.foreign"),
        ):  # fmt: skip
            result = theirs.client.instance_deed([found.id], verb)
            assert {error.code for error in result.errors.values()} == {code}
        mine.stop_controller()
        assert theirs.client.instance_deed([found.id], "adopt").errors == {}
        theirs.until(uid, "completed")
        assert theirs.losses(uid) == numbers(400)


def test_that_what_a_controller_of_another_computer_made_needs_a_persons_word(
    light_fleet, local_engine, worker_image, worker_mounts, tmp_path
):
    mine = light_fleet
    uid = start(mine, "here", LONG)
    mine.until_step(uid, 5)
    mine.stop_controller()
    with other_computer(tmp_path / "another", worker_image, worker_mounts) as theirs:
        theirs.start()
        theirs.add(local_engine)
        found = theirs.instance(uid)
        assert not found.known
        result = theirs.client.instance_deed([found.id], "adopt")
        error = result.errors[found.id]
        assert error.code == "instances.other_computer"
        assert socket.gethostname() in error.why
        assert found.id in error.fix
        done = theirs.forge("instances", "adopt", "--force", found.id)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: theirs.instance(uid).known)
        mine.start()  # two controllers on one node: neither harms what the other follows
        wait_until(lambda: mine.client.node("here").reach == "reachable")
        for fleet in (mine, theirs):
            known = len(fleet.losses(uid))
            wait_until(lambda fleet=fleet, known=known: len(fleet.losses(uid)) > known + 5, what="it is followed")
        theirs.client.stop(uid)
        for fleet in (mine, theirs):
            fleet.until(uid, "stopped")
            losses = fleet.losses(uid)
            assert losses == numbers(len(losses))
        assert mine.losses(uid) == theirs.losses(uid)


def test_that_controllers_of_two_computers_at_the_same_path_leave_each_others_runs(
    light_fleet, local_engine, worker_image, worker_mounts, tmp_path
):
    """Both homes lie at the same path of their computers; what one has ended and not copied yet is not swept."""
    mine = light_fleet
    uid = start(mine, "here", "steps=20 delay=0.02 every=5 seed=7")
    mine.until(uid, "completed")
    home = mine.home.root
    mine.stop_controller()
    aside = home.rename(home.with_name("on the other computer"))
    with other_computer(mine.folder, worker_image, worker_mounts) as theirs:
        assert theirs.home.root == home
        theirs.home.settings_file.write_text(json.dumps({"worker_image": worker_image, "keep_days": 0}))
        theirs.start()
        theirs.add(local_engine)
        found = theirs.instance(uid)
        assert found is not None
        assert not found.known
        for verb in ("stop", "kill", "remove"):
            result = theirs.client.instance_deed([found.id], verb)
            assert {error.code for error in result.errors.values()} == {"instances.foreign"}
        with linked(local_profile(local_engine)) as link:
            assert Keep(link, names.controller_id(theirs.home)).remains() == {}
    shutil.rmtree(home)
    aside.rename(home)
    assert ours(local_engine, uid)


def test_that_an_unknown_one_of_ours_can_be_ended(light_fleet, local_engine):
    fleet = light_fleet
    uid = start(fleet, "here", "steps=9000 delay=0.03 every=50 seed=7")
    fleet.until_step(uid, 3)
    profile = fleet.client.node("here").profile
    forget_history(fleet)
    fleet.client.add_node(profile)
    wait_until(lambda: fleet.client.node("here").reach == "reachable")
    found = fleet.instance(uid)
    assert fleet.client.instance_deed([found.id], "stop").errors == {}
    wait_until(lambda: fleet.instance(uid).state == "exited", what="it has saved and ended")
    assert fleet.instance(uid).exit_code == 77
    assert fleet.client.instance_deed([found.id], "remove").errors == {}
    assert ours(local_engine, uid) == []


def test_that_spares_and_processes_are_shown_and_left(light_fleet):
    fleet = light_fleet
    uid = start(fleet, "local", "steps=9000 delay=0.03 every=50 seed=7")
    fleet.until_step(uid, 3)
    found = fleet.instance(uid)
    assert found.node == "local"
    assert fleet.client.instance_deed([found.id], "remove").errors[found.id].code == "instances.not_ended"
    assert fleet.client.instance_deed([found.id], "kill").errors == {}
    fleet.until(uid, "stopped")
    wait_until(lambda: fleet.instance(uid) is None, what="its process has gone")


def test_that_a_container_the_history_does_not_know_is_adopted_from_the_window(light_fleet, qapp, monkeypatch, qtbot):
    fleet, long = light_fleet, {"timeout": 60_000}
    uid = start(fleet, "here", "steps=9000 delay=0.03 every=50 seed=7")
    fleet.until_step(uid, 5)
    profile = fleet.client.node("here").profile
    forget_history(fleet)
    fleet.client.add_node(profile)
    wait_until(lambda: fleet.client.node("here").reach == "reachable")
    with windows(qapp, fleet, monkeypatch) as make:
        desktop = make()
        qtbot.waitUntil(lambda: desktop.session.is_online, **long)
        desktop.window.go("instances")
        page = desktop.window.page
        assert isinstance(page, InstancesPage)
        qtbot.waitUntil(lambda: [one.run for one in page.model.strangers] == [uid], **long)
        assert not page.strangers.isHidden()
        qtbot.mouseClick(page.findChild(QPushButton, "instances.adopt"), Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not page.model.strangers, **long)
        qtbot.waitUntil(lambda: [one.known for one in page.model.all if one.run == uid] == [True], **long)
        assert page.strangers.isHidden()
        fleet.until_step(uid, 10)  # its journal is taken in, and goes on
        page.deeds.do("stop", [next(one for one in page.model.all if one.run == uid)])
        qtbot.waitUntil(lambda: fleet.client.run(uid).run.state == "stopped", **long)
    assert fleet.losses(uid) == numbers(len(fleet.losses(uid)))
