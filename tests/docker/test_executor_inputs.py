"""Inputs in a node's cache, what a worker can see of the world, and what goes when its time has come."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from engine.contract.clock import now
from engine.contract.datasets import MANIFEST, PROBLEMS_FILE
from engine.contract.paths import resources_folder
from engine.contract.states import EXIT_COMPLETED
from engine.control.executors.base import Exit
from engine.control.executors.docker import files, names
from engine.control.executors.docker.keep import DAY_S
from engine.control.nodes.probe import throwaway
from tests.helpers.dataset_folders import write_version
from tests.helpers.docker_bench import BUNDLED, Attempt, DockerBench, docker_bench
from tests.helpers.waiting import wait_until

QUICK = "steps=3 delay=0 every=5 seed=1 look"


@pytest.fixture
def bench(local_engine, worker_image, worker_mounts, tmp_path):
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path) as made:
        yield made


def with_data(bench: DockerBench, path: Path, name: str = QUICK, private: bool = False) -> Attempt:
    data = {"train": [{"path": str(path), "private": private}], "validation": [BUNDLED]}
    return bench.attempt(name, data=data)


def seen(attempt: Attempt) -> dict:
    assert attempt.ended() == Exit(EXIT_COMPLETED)
    return json.loads((attempt.folder.outputs / "look.json").read_text())


def cached(bench: DockerBench) -> list[str]:
    found = bench.engine.api.volumes(filters={"label": names.DIGEST})["Volumes"] or []
    return sorted(volume["Name"] for volume in found)


def order_there(attempt: Attempt) -> dict:
    return json.loads(attempt.theirs("order.json"))["spec"]["job"]


def test_what_a_worker_can_see_and_do(local_engine, worker_image, worker_mounts, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    limits = {"cpus": 1.5, "memory_gb": 1.0, "pids": 200}
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path, limits=limits) as bench:
        other = bench.attempt("steps=5000 delay=0.05 every=5 seed=1").start()
        other.until_step(1)
        attempt = with_data(bench, rows).start(environment={"FORGE_LOG_LEVEL": "info", "CUDA_VISIBLE_DEVICES": "3"})
        facts = seen(attempt)
        host = bench.engine.api.inspect_container(attempt.name)["HostConfig"]
        bench.executor.kill(other.folder, other.handle)
        other.ended()
    assert (facts["uid"], facts["gid"], facts["become_root"]) == (10001, 10001, "PermissionError")
    assert set(facts["capabilities"]) == {"0" * 16}
    assert facts["no_new_privileges"]
    assert (facts["interfaces"], facts["connect"]) == (["lo"], "OSError")
    assert facts["runs"] == [attempt.order.run]
    assert not facts["docker_socket"]
    assert {facts[f"write_{place}"] for place in ("root", "code", "packages")} == {"OSError"}
    assert facts["write_inputs"] in (["OSError"], ["PermissionError"])
    assert facts["write_tmp"] == "yes"
    environment = facts["environment"]
    assert environment["FORGE_HOME"] == "/job"
    assert facts["threads"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environment
    assert (host["Init"], host["ReadonlyRootfs"], host["PidsLimit"]) == (True, True, 200)
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (1 << 30, 1 << 30, 1_500_000_000)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "50m"}}


def test_that_labels_say_whose_it_is(bench: DockerBench):
    attempt = bench.attempt(QUICK).start(keep_days=3.0)
    attempt.ended()
    labels = bench.engine.api.inspect_container(attempt.name)["Config"]["Labels"]
    assert {name: labels[name] for name in (names.MANAGED, names.RUN, names.ATTEMPT, names.OWNER, names.EXPIRES)} == {
        names.MANAGED: "1", names.RUN: attempt.order.run, names.ATTEMPT: "1", names.OWNER: "ada", names.EXPIRES: "3",
    }  # fmt: skip
    assert labels[names.LEASE] == attempt.order.lease


def test_that_data_goes_to_a_node_once(bench: DockerBench, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "one"}\n')
    first, second = with_data(bench, rows).start(), with_data(bench, rows).start()  # both at once
    assert (first.ended(), second.ended()) == (Exit(EXIT_COMPLETED), Exit(EXIT_COMPLETED))
    (volume,) = cached(bench)
    assert [told.state for told in bench.told].count("done") == 1
    path = order_there(first)["data"]["train"][0]["path"]
    assert path == order_there(second)["data"]["train"][0]["path"]
    assert files.read(bench.engine.api, first.name, Path(path)) == rows.read_bytes()
    assert order_there(first)["data"]["validation"][0]["hub"] == "bundled"
    rows.write_text('{"text": "two"}\n')
    third = with_data(bench, rows).start()
    third.ended()
    assert len(cached(bench)) == 2
    assert bench.executor.keep.drop_unused(0.0, now() + DAY_S) == []  # runs that are kept need them
    for attempt in (first, second, third):
        assert bench.executor.keep.remove(attempt.order.run)
    assert volume in bench.executor.keep.drop_unused(0.0, now() + DAY_S)
    assert cached(bench) == []


def test_that_a_version_of_the_library_lies_there_as_a_folder(bench: DockerBench):
    made = write_version(bench.home, ["a", "b"])
    source = {"hub": "library", "path": "alpha", "version": made.hash}
    attempt = bench.attempt(QUICK, data={"train": [source], "validation": [BUNDLED]}).start()
    facts = seen(attempt)
    found = order_there(attempt)["data"]["train"][0]
    path = Path(found["path"])
    assert (found["hub"], found["version"], path.name) == ("local", None, made.hash)
    assert str(path) in facts["volumes"]
    there = {below for below, info, _ in files.members(bench.engine.api, attempt.name, path) if info.isreg()}
    assert there == {MANIFEST, PROBLEMS_FILE, made.shards[0].name, ".entry.json"}


def test_folders_and_links(bench: DockerBench, tmp_path):
    model, elsewhere = tmp_path / "a model", tmp_path / "blobs" / "abc"
    (model / "sub").mkdir(parents=True)
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(os.urandom(100_000))
    (model / "weights.bin").symlink_to(elsewhere)
    (model / "sub" / "empty").touch()
    (model / ".cache").mkdir()
    attempt = bench.attempt(QUICK, model={"path": str(model)}).start()
    facts = seen(attempt)
    path = Path(order_there(attempt)["model"]["path"])
    assert path.name == "a model"
    assert str(path) in facts["volumes"]
    there = {below for below, info, _ in files.members(bench.engine.api, attempt.name, path) if info.isreg()}
    assert there == {"weights.bin", "sub/empty", ".entry.json"}
    assert files.read(bench.engine.api, attempt.name, path / "weights.bin") == elsewhere.read_bytes()


def test_what_is_missing_or_odd_is_left_to_the_worker(bench: DockerBench, tmp_path):
    nowhere = with_data(bench, tmp_path / "nothing.jsonl").start()
    assert nowhere.ended() == Exit(EXIT_COMPLETED)
    assert order_there(nowhere)["data"]["train"][0]["path"] == str(tmp_path / "nothing.jsonl")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe")
    (tmp_path / "folder" / "rows.jsonl").write_text("{}\n")
    odd = with_data(bench, tmp_path / "folder").start()
    assert odd.ended() == Exit(EXIT_COMPLETED)
    path = Path(order_there(odd)["data"]["train"][0]["path"])
    assert files.read(bench.engine.api, odd.name, path / "rows.jsonl") == b"{}\n"
    assert files.read(bench.engine.api, odd.name, path / "pipe") is None


def test_that_a_path_of_the_node_stays_as_it_is(local_engine, worker_image, worker_mounts, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "rows.jsonl").write_text("{}\n")
    mounts = [*worker_mounts, f"{tmp_path / 'there'}:/datasets"]
    with docker_bench(local_engine, worker_image, mounts, tmp_path) as bench:
        attempt = with_data(bench, Path("/datasets/rows.jsonl")).start()
        assert "/datasets" in seen(attempt)["volumes"]
        assert order_there(attempt)["data"]["train"][0]["path"] == "/datasets/rows.jsonl"
        assert cached(bench) == []


def test_that_private_data_goes_at_the_end(bench: DockerBench, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "secret"}\n')
    attempt = with_data(bench, rows, "steps=5000 delay=0.02 every=1000 seed=1", private=True).start()
    attempt.until_step(2)
    assert len(cached(bench)) == 1
    bench.executor.stop(attempt.folder, attempt.handle)
    attempt.ended()
    wait_until(lambda: cached(bench) == [], what="the private copy has gone")
    assert bench.engine.api.inspect_volume(attempt.volume)


def test_a_copy_that_breaks_off_goes_on(bench: DockerBench, tmp_path):
    rows = tmp_path / "big.jsonl"
    rows.write_bytes(os.urandom(40 << 20))
    bench.executor.cache.piece = 4 << 20
    broken = threading.Event()

    def told(transfer):
        bench.told.append(transfer)
        if transfer.done >= 12 << 20 and not broken.is_set():
            broken.set()
            bench.engine.daemon.kill()

    bench.executor.cache.told = told
    attempt = with_data(bench, rows).start()
    wait_until(attempt.unreachable, what="the copy broke off")
    before = len(bench.told)
    bench.engine.daemon.start()
    assert attempt.ended() == Exit(EXIT_COMPLETED)
    assert bench.told[before].done <= bench.told[before + 1].done
    skipped = next(told.done for told in bench.told[before:] if told.done)
    assert skipped >= 4 << 20
    path = Path(order_there(attempt)["data"]["train"][0]["path"])
    pieces = {below: content.read() for below, _, content in files.members(bench.engine.api, attempt.name, path)}
    assert pieces[""] == rows.read_bytes()


def test_a_damaged_piece_is_sent_again(bench: DockerBench, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(os.urandom(1 << 20))
    bench.executor.cache.piece = 256 << 10
    attempt = with_data(bench, rows)
    digest_volume: list[str] = []

    def told(transfer):
        volumes = cached(bench)
        if transfer.done >= transfer.total and not digest_volume and volumes:
            digest_volume.append(volumes[0])
            place = Path(bench.engine.api.inspect_volume(volumes[0])["Mountpoint"])
            with (place / ".parts" / "0-1").open("r+b") as file:
                file.write(b"damaged")

    bench.executor.cache.told = told
    assert attempt.start().ended() == Exit(EXIT_COMPLETED)
    assert digest_volume
    path = Path(order_there(attempt)["data"]["train"][0]["path"])
    assert files.read(bench.engine.api, attempt.name, path, 2 << 20) == rows.read_bytes()


def test_what_remains_goes_when_its_time_has_come_and_nothing_else(bench: DockerBench):
    api, keep = bench.engine.api, bench.executor.keep
    api.create_volume("somebody-else", labels={"org.example": "1"})
    other = api.create_container(bench.image, "true", labels={"org.example": "1"}, name="somebody-else")["Id"]
    theirs = {names.MANAGED: "1", names.CONTROLLER: "another home", names.RUN: "r1", names.EXPIRES: "0"}
    foreign = api.create_container(bench.image, "true", labels=theirs)["Id"]
    old, pinned = bench.attempt(QUICK).start(), bench.attempt(QUICK).start()
    live = bench.attempt("steps=5000 delay=0.05 every=5 seed=1").start(keep_days=0.0)
    for attempt in (old, pinned):
        attempt.ended()
    live.until_step(1)
    later = now() + 8 * DAY_S
    assert keep.sweep(lambda uid: True, at=now() + 6 * DAY_S) == []
    assert keep.sweep(lambda uid: False, at=later) == []
    assert keep.sweep(lambda uid: True, {pinned.order.run: None}, later) == [old.order.run]
    left = {row["Id"]: row["Names"][0] for row in api.containers(all=True)}
    assert {other, foreign} <= set(left)
    assert f"/{old.name}" not in left.values()
    assert {f"/{pinned.name}", f"/{live.name}"} <= set(left.values())
    volumes = {volume["Name"] for volume in api.volumes()["Volumes"]}
    assert old.volume not in volumes
    assert {pinned.volume, live.volume, "somebody-else"} <= volumes
    assert not keep.remove(live.order.run)
    assert keep.remove(pinned.order.run)
    bench.executor.kill(live.folder, live.handle)
    live.ended()


def test_that_a_hubs_model_goes_there_from_the_store_of_here(local_engine, worker_image, worker_mounts, tmp_path):
    commit = "a" * 40
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path, light=False) as bench:
        shelf = bench.home.models / "huggingface" / "tiny--demo"
        shutil.copytree(resources_folder() / "demo" / "model", shelf / commit)
        (shelf / "refs.json").write_text(json.dumps({"main": commit}))
        (shelf / f"{commit}.json").write_text(
            json.dumps({"hub": "huggingface", "path": "tiny/demo", "commit": commit, "bytes": 1, "fetched": 0.0})
        )
        attempt = bench.attempt(
            "from a hub", model={"path": "tiny/demo", "hub": "huggingface"}, data={"train": [{**BUNDLED, "limit": 16}]},
            training={"max_steps": 1, "micro_batch_size": 4, "threads": 1}, evaluation={"before": False},
        ).start()  # fmt: skip
        assert attempt.ended(170) == Exit(EXIT_COMPLETED), attempt.folder.log.read_text()
        assert attempt.lines("planned")[0]["model_commit"] == commit
        host = bench.engine.api.inspect_container(attempt.name)["HostConfig"]
        assert host["NetworkMode"] == "none"
        assert json.loads(attempt.folder.model_choice.read_bytes())["commit"] == commit
        assert order_there(attempt)["model"]["path"] == "tiny/demo"


def test_that_only_leftovers_of_others_are_cleared(bench: DockerBench):
    attempt = bench.attempt("steps=5000 delay=0.05 every=5 seed=1").start()
    attempt.until_step(1)
    ours = bench.executor._make_reader(attempt.order.run)
    theirs = bench.new_executor()._make_reader(attempt.order.run)
    bench.executor.keep.drop_probes()
    left = {row["Names"][0] for row in bench.engine.api.containers(all=True)}
    assert f"/{ours}" in left
    assert f"/{theirs}" not in left
    assert bench.state(attempt)["Running"]
    bench.executor.kill(attempt.folder, attempt.handle)
    attempt.ended()


def test_that_what_a_doctor_did_not_live_to_remove_goes(bench: DockerBench, monkeypatch):
    def probes() -> list[str]:
        return [row["Names"][0] for row in bench.engine.api.containers(all=True)] + [
            row["Name"] for row in bench.engine.api.volumes()["Volumes"] or []
        ]

    controller = bench.executor.controller
    left = throwaway(bench.link, bench.profile, bench.image, controller, ["true"])
    left.__enter__()
    bench.executor.keep.drop_probes()
    assert len(probes()) == 2
    monkeypatch.setattr(names, "PROCESS", "of the next controller")
    bench.executor.keep.drop_probes()
    assert probes() == []
