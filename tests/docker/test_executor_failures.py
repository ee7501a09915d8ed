"""What goes wrong with containers, and what it means: nothing is lost, and the right one is blamed."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import threading
from pathlib import Path

import pytest

from engine.contract.commands import WorkerCommand
from engine.contract.errors import UserError
from engine.contract.states import EXIT_COMPLETED, EXIT_SAVED_ON_REQUEST
from engine.control.executors.base import Exit
from engine.control.executors.docker import files, names
from engine.control.executors.docker.labels import PROTOCOL
from engine.control.executors.docker.streams import carried_out
from engine.control.executors.docker.whole import check_checkpoint, check_result
from tests.helpers.disks import full, small_disk
from tests.helpers.docker_bench import DockerBench, docker_bench
from tests.helpers.waiting import wait_until

GONE = (Exit(), Exit(signal=9))
"""How the end of a removed container looks: nobody saw it, or a look fell between its end and its going."""
LONG = "steps=5000 delay=0.02 every=50 seed=1"


@pytest.fixture
def bench(local_engine, worker_image, worker_mounts, tmp_path):
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path) as made:
        yield made


def stop(bench: DockerBench, attempt) -> None:
    bench.executor.stop(attempt.folder, attempt.handle)
    assert attempt.ended() == Exit(EXIT_SAVED_ON_REQUEST)


def test_a_container_killed_by_hand(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(60)
    bench.engine.api.kill(attempt.name, "SIGKILL")
    assert attempt.ended() == Exit(signal=9)
    attempt.prove_copied()
    check_checkpoint(attempt.folder.checkpoints / "a1-s50")


def test_a_worker_killed_inside(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(3)
    made = bench.engine.api.exec_create(attempt.name, ["sh", "-c", f"kill -9 {attempt.lines('started')[0]['pid']}"])
    bench.engine.api.exec_start(made["Id"])
    ended = attempt.ended()
    assert (ended, ended.out_of_memory) == (Exit(signal=9), False)
    attempt.prove_copied()


def test_a_container_removed_by_hand_costs_nothing_of_the_volume(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(60)
    bench.engine.api.remove_container(attempt.name, force=True)
    assert attempt.ended() in GONE
    check_checkpoint(attempt.folder.checkpoints / "a1-s50")
    assert [line["seq"] for line in attempt.lines()] == list(range(1, len(attempt.lines()) + 1))
    assert [row["Names"] for row in bench.engine.api.containers(all=True)] == []  # whatever looked into it has gone


class Removing:
    """A link over which an ended container goes the moment its files are asked for."""

    def __init__(self, link, attempt, engine) -> None:
        self._link, self._attempt, self._engine, self.removed = link, attempt, engine, False

    def __getattr__(self, name: str):
        return getattr(self._link, name)

    def stream(self, work):
        if threading.current_thread().name.startswith("copy "):
            raise files.CutOff("nothing comes on the way")
        if not self.removed and self._has_exited():
            self._engine.api.remove_container(self._attempt.name, force=True)
            self.removed = True
        return self._link.stream(work)

    def _has_exited(self) -> bool:
        return self._engine.api.inspect_container(self._attempt.name)["State"]["Status"] == "exited"


def test_a_container_removed_while_its_results_are_fetched_costs_none(bench: DockerBench):
    attempt = bench.attempt("steps=5 delay=0.02 every=50 seed=1").start()
    (follower,) = bench.executor._followers.values()
    link = follower.mirror.link = Removing(follower.mirror.link, attempt, bench.engine)
    assert attempt.ended() == Exit(EXIT_COMPLETED)
    assert link.removed
    for line in attempt.lines("artifact"):
        check_result(attempt.folder.root, line)


def test_container_and_volume_removed_by_hand(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(60)
    bench.engine.api.remove_container(attempt.name, force=True)
    with contextlib.suppress(Exception):
        bench.engine.api.remove_volume(attempt.volume, force=True)
    assert attempt.ended() in GONE
    assert attempt.lines("step")[-1]["step"] >= 60


def test_memory_used_up(local_engine, worker_image, worker_mounts, tmp_path):
    limits = {"memory_gb": 0.15, "cpus": 2.0}
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path, limits=limits) as bench:
        attempt = bench.attempt("steps=5 delay=0.02 every=5 seed=1 eat=4000").start()
        ended = attempt.ended()
        assert (ended.signal, ended.out_of_memory, ended.node_fault) == (9, True, None)


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        ({"image": "no-such-image:1"}, "docker.image_missing"),
        ({"mounts": ["/no/such/folder:/data"]}, "docker.not_created"),
    ],
)
def test_a_start_that_fails_is_the_nodes_fault(bench: DockerBench, profile, code):
    bench.executor = bench.new_executor(**profile)
    attempt = bench.attempt(LONG).start()
    ended = attempt.ended()
    assert ended.node_fault is not None
    assert ended.node_fault.code == code
    assert "{" not in UserError.from_body(ended.node_fault).text
    assert bench.engine.api.containers(all=True) == []
    bench.controller_dies()
    assert bench.executor.poll(attempt.folder, attempt.handle) == ended


def test_gpus_of_a_node_that_gives_none_are_the_nodes_fault(bench: DockerBench):
    attempt = bench.attempt(LONG).start(devices=("0",))
    ended = attempt.ended()
    assert ended.node_fault is not None
    assert ended.node_fault.code in ("docker.not_created", "docker.not_started")
    assert "gpu" in ended.node_fault.why.lower()


def test_images_that_are_none_of_ours(bench: DockerBench):
    api, bare = bench.engine.api, io.BytesIO()
    tarfile.open(fileobj=bare, mode="w").close()
    api.import_image_from_data(bare.getvalue(), repository="odd", tag="bare")
    made = api.create_container(bench.image, "true")["Id"]
    api.commit(made, "odd", "old", conf={"Labels": {PROTOCOL: "999"}})
    api.remove_container(made)
    for tag, code in (("bare", "docker.image_not_worker"), ("old", "docker.image_protocol")):
        bench.executor = bench.new_executor(image=f"odd:{tag}")
        ended = bench.attempt(LONG).start().ended()
        api.remove_image(f"odd:{tag}")
        assert ended.node_fault is not None
        assert ended.node_fault.code == code


def test_a_volume_of_root_is_named(bench: DockerBench):
    attempt = bench.attempt(LONG)
    bench.engine.api.create_volume(attempt.volume, labels={names.MANAGED: "1"})
    place = Path(bench.engine.api.inspect_volume(attempt.volume)["Mountpoint"])
    (place / "somebody").write_text("was here")
    os.chown(place, 0, 0)
    ended = attempt.start().ended()
    assert ended.node_fault is not None
    assert (ended.node_fault.code, ended.node_fault.params["user"]) == ("docker.volume_owner", 0)


def test_the_daemon_dies_and_comes_back(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(5)
    bench.engine.daemon.kill()
    wait_until(attempt.unreachable, what="the node cannot be reached")
    here = attempt.lines("step")[-1]["step"]
    bench.engine.daemon.start()
    attempt.until_step(here + 20)
    wait_until(lambda: not attempt.unreachable(), what="it is known again")
    stop(bench, attempt)
    attempt.prove_copied()


def test_a_run_that_ends_while_the_daemon_is_dead(bench: DockerBench):
    attempt = bench.attempt("steps=120 delay=0.02 every=50 seed=1 noise=2000").start()
    attempt.until_step(3)
    pid = bench.state(attempt)["Pid"]
    bench.engine.daemon.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the container has ended")
    bench.engine.daemon.start()
    assert attempt.ended() == Exit(EXIT_COMPLETED)
    attempt.prove_copied()


def test_another_controller_takes_over(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(5)
    bench.controller_dies()
    here = attempt.lines("step")[-1]["step"]
    assert bench.executor.adopt(attempt.folder, attempt.handle, attempt.order.lease)
    attempt.until_step(here + 10)
    stop(bench, attempt)
    attempt.prove_copied()


def test_another_controller_finds_an_attempt_that_ended_meanwhile(bench: DockerBench):
    attempt = bench.attempt("steps=40 delay=0.02 every=50 seed=1").start()
    attempt.until_step(2)
    bench.executor.close()
    bench.engine.api.wait(attempt.name)
    with attempt.folder.journal.open("ab") as journal:
        journal.write(b'{"v": 1, "seq"')  # torn by the death of the other
    bench.executor = bench.new_executor()
    assert bench.executor.adopt(attempt.folder, attempt.handle, attempt.order.lease)
    assert attempt.ended() == Exit(EXIT_COMPLETED)
    attempt.prove_copied()


def test_another_controller_while_the_node_is_away(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(2)
    bench.engine.daemon.kill()
    bench.controller_dies()
    assert bench.executor.adopt(attempt.folder, attempt.handle, attempt.order.lease)
    wait_until(attempt.unreachable, what="it says that the node is away")
    bench.engine.daemon.start()
    attempt.until_step(40)
    stop(bench, attempt)
    attempt.prove_copied()


def test_a_start_that_was_lost_never_starts(bench: DockerBench):
    attempt = bench.attempt(LONG)
    assert not bench.executor.adopt(attempt.folder, "", attempt.order.lease)
    labels = {names.MANAGED: "1", names.LEASE: attempt.order.lease, names.CONTROLLER: bench.executor.controller}
    bench.engine.api.create_container(bench.image, "true", name=attempt.name, labels=labels)
    assert not bench.executor.adopt(attempt.folder, "", attempt.order.lease)
    assert bench.engine.api.containers(all=True) == []
    attempt.folder.journal.touch()  # the copy is begun before the container is made
    assert not bench.executor.adopt(attempt.folder, "", attempt.order.lease)


def test_what_an_engine_says_of_a_command_it_could_not_begin_is_nobodys_word(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(1)
    api = bench.engine.api
    assert b"".join(carried_out(api, attempt.name, ["printf", "a b"])) == b"a b"
    made = api.exec_create(attempt.name, ["no-such-program"])
    assert api.exec_start(made["Id"])  # the engine's words, where the program's would stand
    pieces = carried_out(api, attempt.name, ["no-such-program"])
    assert b"".join(pieces) == b""
    bench.executor.kill(attempt.folder, attempt.handle)
    attempt.ended()


def test_a_start_that_was_lost_half_way_is_none(bench: DockerBench):
    attempt = bench.attempt(LONG)
    bench.engine.daemon.pause()  # nobody answers: the start waits
    attempt.start()
    bench.executor.close()
    bench.engine.daemon.resume()
    bench.executor = bench.new_executor()
    assert not bench.executor.adopt(attempt.folder, attempt.handle, attempt.order.lease)
    assert bench.engine.api.containers() == []


def test_an_attempt_of_another_lease_is_left_alone(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(2)
    bench.controller_dies()
    assert not bench.executor.adopt(attempt.folder, attempt.handle, "somebody else's")
    assert bench.state(attempt)["Running"]


def test_the_lease_ends_an_attempt_that_came_back(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(2)
    assert bench.executor.fence(attempt.order.run, attempt.order.lease) == 0
    assert bench.executor.fence(attempt.order.run, "of the attempt elsewhere") == 1
    assert attempt.ended() == Exit(signal=9)


def test_a_worker_whose_attempt_is_over_is_ended_when_the_node_is_swept(bench: DockerBench):
    stray, open_ = bench.attempt(LONG).start(), bench.attempt(LONG).start()
    for attempt in (stray, open_):
        attempt.until_step(2)
    bench.executor.keep.sweep(lambda _uid: False, is_over=lambda uid, n: (uid, n) == (stray.order.run, 1))
    assert stray.ended() == Exit(signal=9)
    assert bench.state(open_)["Running"]
    bench.executor.kill(open_.folder, open_.handle)
    open_.ended()


def test_a_new_attempt_ends_the_old_one_on_its_node(bench: DockerBench):
    first = bench.attempt(LONG).start()
    first.until_step(2)
    second = bench.attempt("steps=10 delay=0.02 every=5 seed=1", first.order.run, 2).start()
    assert second.ended() == Exit(EXIT_COMPLETED)
    assert first.ended() == Exit(signal=9)


def test_a_stream_that_is_cut_or_too_fast(bench: DockerBench):
    attempt = bench.attempt("steps=20000 delay=0 every=100000 seed=1 noise=3000").start()
    follower = bench.executor._followers[attempt.folder.root]
    for _ in range(5):
        wait_until(lambda: follower._stream is not None or follower.exit is not None, what="it listens")
        follower._cut_stream()
    assert attempt.ended(120) == Exit(EXIT_COMPLETED)
    attempt.prove_copied()
    assert len(attempt.lines("step")) == 20_000


def test_a_paused_container_is_frozen_and_takes_commands(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(2)
    assert not bench.executor.frozen(attempt.folder, attempt.handle)
    bench.engine.api.pause(attempt.name)
    assert bench.executor.frozen(attempt.folder, attempt.handle)
    bench.executor.send(attempt.folder, attempt.handle, WorkerCommand(id="save-2", verb="save"))
    assert attempt.poll() is None
    bench.engine.api.unpause(attempt.name)
    wait_until(lambda: attempt.lines("ack"), what="the command was taken")
    bench.engine.api.pause(attempt.name)
    bench.executor.kill(attempt.folder, attempt.handle)
    assert attempt.ended() == Exit(signal=9)


def test_a_worker_that_is_stopped_inside_is_frozen(bench: DockerBench):
    attempt = bench.attempt(LONG).start()
    attempt.until_step(2)
    pid = attempt.lines("started")[0]["pid"]
    made = bench.engine.api.exec_create(attempt.name, ["sh", "-c", f"kill -STOP {pid}"])
    bench.engine.api.exec_start(made["Id"])
    wait_until(lambda: bench.executor.frozen(attempt.folder, attempt.handle), what="it is seen")
    bench.executor.kill(attempt.folder, attempt.handle)
    assert attempt.ended() == Exit(signal=9)


def test_a_full_disk_here_costs_nothing(local_engine, worker_image, worker_mounts, tmp_path):
    with (
        small_disk(tmp_path / "small", "6m") as disk,
        docker_bench(local_engine, worker_image, worker_mounts, disk) as bench,
    ):
        attempt = bench.attempt("steps=150 delay=0.02 every=50 seed=1 noise=500").start()
        attempt.until_step(20)
        with full(disk):
            bench.engine.api.wait(attempt.name)
            follower = bench.executor._followers[attempt.folder.root]
            wait_until(lambda: follower.trouble is not None, what="it is said")
            assert follower.trouble.code == "docker.disk_full_here"
            assert attempt.poll() is None
        assert attempt.ended() == Exit(EXIT_COMPLETED)
        attempt.prove_copied()
        check_checkpoint(attempt.folder.checkpoints / "a1-s150")
