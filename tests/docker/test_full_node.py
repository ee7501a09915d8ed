"""A node whose disk fills in mid-copy: named with what to do, nothing half there, and the run goes on where it was."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.states import EXIT_COMPLETED
from engine.control.executors.base import Exit
from engine.control.executors.docker import names
from engine.control.executors.docker.keep import DAY_S, Keep
from tests.chaos import number
from tests.helpers.docker_bench import BUNDLED, docker_bench
from tests.helpers.docker_engines import Engine, Engines
from tests.helpers.docker_fleet import Fleet
from tests.helpers.docker_image import thin_image
from tests.helpers.docker_profiles import linked, local_profile
from tests.helpers.waiting import wait_until

DISK = "500m"
"""Of the node; the image takes a third of it."""
LEFT = 20 << 20
"""What is left on it when the test begins."""
SMALLEST = 64 << 10
"""What is not worth asking for."""
LARGE = 60
"""Megabytes that do not go there then."""
RUN = f"steps=900 delay=0.03 every=5000 seed=7 weights={LARGE}"


@pytest.fixture
def tiny(engines: Engines, worker_image: str) -> Iterator[Engine]:
    """An engine with a small disk of its own, which has room for little more than the image."""
    with engines.small(DISK) as engine:
        assert thin_image(engine) == worker_image
        yield engine


def data_root(engine: Engine) -> Path:
    return engine.daemon.folder / "data"


def fill(engine: Engine, left: int = LEFT) -> Path:
    """A file over there, that somebody else keeps.

    What was deleted a moment ago counts as free only once the file system has written that down, and what it keeps for
    its own tables is counted as free but cannot be had: so less is asked for each time it says no.
    """
    ballast = data_root(engine) / "ballast"
    at_once = shutil.disk_usage(data_root(engine)).total
    with ballast.open("wb") as file:
        os.sync()
        while (more := shutil.disk_usage(data_root(engine)).free - left) > 0 and at_once > SMALLEST:
            try:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, min(more, at_once))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                at_once //= 2
            os.sync()
    return ballast


@contextlib.contextmanager
def kept_full(engine: Engine) -> Iterator[None]:
    """Filled, and filled again when the engine itself lets go of something: seen a while after its image was loaded."""
    ballast, over = fill(engine), threading.Event()

    def more() -> None:
        with ballast.open("r+b") as file:
            while not over.wait(0.05):
                free = shutil.disk_usage(data_root(engine)).free - LEFT
                if free > SMALLEST:
                    with contextlib.suppress(OSError):
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)

    thread = threading.Thread(target=more, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def ours(engine: Engine) -> list[str]:
    """Everything of ours there, but the container that says how the node is."""
    only = {"label": f"{names.MANAGED}=1"}
    boxes = [box["Names"][0] for box in engine.api.containers(all=True, filters=only)]
    volumes = engine.api.volumes(filters=only)["Volumes"] or []
    return [name for name in boxes if "sampler" not in name] + [volume["Name"] for volume in volumes]


def plainly(error) -> str:
    """The error as a person reads it."""
    assert error is not None
    assert error.code == "node.disk_full", error
    assert "docker system df" in error.fix
    assert "no space left on device" in error.why.lower()
    return UserError.from_body(error).text


def test_that_a_copy_into_the_cache_that_finds_no_room_leaves_nothing(tiny, worker_mounts, worker_image, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(os.urandom(LARGE << 20))
    with docker_bench(tiny, worker_image, worker_mounts, tmp_path) as bench:
        bench.executor.cache.piece = 4 << 20
        ballast = fill(tiny)
        data = {"train": [{"path": str(rows)}], "validation": [BUNDLED]}
        attempt = bench.attempt("steps=3 delay=0 every=5 seed=1", data=data).start()
        ended = attempt.ended()
        assert tiny.name in plainly(ended.node_fault) or bench.link.node in plainly(ended.node_fault)
        assert bench.told[-1].state == "failed"
        assert 0 < bench.told[-1].done < rows.stat().st_size
        assert [name for name in ours(tiny) if name != attempt.volume] == []
        assert shutil.disk_usage(data_root(tiny)).free > LEFT // 2
        ballast.unlink()
        again = bench.attempt("steps=3 delay=0 every=5 seed=1", data=data).start()
        assert again.ended() == Exit(EXIT_COMPLETED)
        assert bench.told[-1].state == "done"


@pytest.fixture
def fleet(light_fleet: Fleet, local_engine: Engine, tiny: Engine) -> Fleet:
    """One more node: `tiny`."""
    more = {"name": "tiny", "mounts": light_fleet.mounts, "mirror_minutes": 1000, "max_runs": 4}
    light_fleet.client.add_node(local_profile(tiny, **more))
    wait_until(lambda: light_fleet.client.node("tiny").reach == "reachable", what="the small node answers")
    return light_fleet


def goes_on_as_if_nothing_was(fleet: Fleet, uid: str) -> None:
    fleet.until(uid, "completed", timeout=300)
    x, expected = 7, []
    for step in range(1, 901):
        x = number.step(x)
        expected.append((step, number.loss(x)))
    assert fleet.losses(uid) == expected


def test_that_a_move_whose_inputs_find_no_room_never_disturbs_the_source(fleet, tiny, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(os.urandom(LARGE << 20))
    order = fleet.order(RUN, "here")
    order.job.data.train[0] = order.job.data.train[0].model_copy(update={"path": str(rows), "hub": "local"})
    uid = fleet.client.create(order).uid
    fleet.until_step(uid, 5)
    fill(tiny)
    move = fleet.until_moved(fleet.client.move_run(uid, "tiny"))
    assert move.state == "failed"
    assert "'tiny'" in plainly(move.error)
    assert fleet.client.run(uid).run.attempt == 1
    assert ours(tiny) == []
    goes_on_as_if_nothing_was(fleet, uid)


def test_that_a_move_whose_checkpoint_finds_no_room_goes_back(fleet, tiny):
    uid = fleet.client.create(fleet.order(RUN, "here")).uid
    fleet.until_step(uid, 5)
    with kept_full(tiny):
        move = fleet.until_moved(fleet.client.move_run(uid, "tiny"))
    assert move.state == "failed", (move, shutil.disk_usage(data_root(tiny)))
    assert "'tiny'" in plainly(move.error)
    wait_until(lambda: ours(tiny) == [], what="nothing half there")
    assert fleet.client.run(uid).run.node == "here"
    goes_on_as_if_nothing_was(fleet, uid)
    assert [attempt.cause for attempt in fleet.client.run(uid).attempts] == ["first", "resume"]


def test_that_an_end_on_a_full_disk_is_seen_though_the_engine_goes_on_listing_it(tiny, worker_image):
    labels = {names.MANAGED: "1", names.CONTROLLER: "us", names.RUN: "one", names.ATTEMPT: "1", names.EXPIRES: "7"}
    made = tiny.api.create_container(worker_image, ["sh", "-c", "read line"], labels=labels, stdin_open=True)
    tiny.api.start(made["Id"])
    ballast = data_root(tiny) / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * SMALLEST)
    tiny.api.kill(made["Id"], "SIGKILL")
    wait_until(lambda: tiny.api.inspect_container(made["Id"])["State"]["Status"] == "exited", what="it has ended")
    ballast.unlink()
    with linked(local_profile(tiny)) as link:
        keep = Keep(link, "us")
        assert not keep.remains()["one"].live
        assert keep.sweep(lambda _uid: True, at=now() + 8 * DAY_S) == ["one"]
    assert ours(tiny) == []
