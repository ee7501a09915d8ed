"""What is laid into a node's volume before a run starts there: whole, read back by the node, sent once."""

from __future__ import annotations

import pytest

from engine.contract.errors import UserError
from engine.control.executors.base import Launch
from engine.control.executors.docker import files, names
from engine.control.executors.docker.files import Item
from engine.control.executors.docker.stage import DockerStage
from engine.control.jobs import move_facts
from tests.helpers.docker_bench import DockerBench, docker_bench


@pytest.fixture
def bench(local_engine, worker_image, worker_mounts, tmp_path):
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path) as made:
        yield made


def made(bench: DockerBench):
    """An attempt whose checkpoint is here only."""
    attempt = bench.attempt("steps=30 delay=0.02 every=5 seed=1").start()
    attempt.ended()
    assert bench.executor.keep.remove(attempt.order.run)
    path = sorted(attempt.folder.checkpoints.glob("a1-s*"))[-1]
    return attempt, path, DockerStage(bench.executor)


def nothing() -> None:
    """Nobody gives it up."""


def test_that_a_checkpoint_is_sent_whole_and_once(bench):
    attempt, path, stage = made(bench)
    stage.ready(Launch(attempt.folder, [], order=attempt.order), nothing)
    told: list[tuple[int, int]] = []
    stage.send(attempt.folder, path, lambda done, total: told.append((done, total)), nothing)
    assert told[-1][0] == told[-1][1] > 0
    move_facts.compare(move_facts.verified(path), stage.sums(attempt.folder, path), "here")
    again: list[tuple[int, int]] = []
    stage.send(attempt.folder, path, lambda done, total: again.append((done, total)), nothing)
    assert again == [told[-1]]
    probes = {"label": f"{names.KIND}=probe"}
    assert bench.engine.api.containers(all=True, filters=probes) == []


def test_that_a_file_that_changed_there_is_noticed(bench):
    attempt, path, stage = made(bench)
    stage.send(attempt.folder, path, lambda _done, _total: None, nothing)
    name = str((names.there(path, attempt.folder.run) / "number.json").relative_to(names.JOB))
    with stage._looking(Launch(attempt.folder, [], order=attempt.order)) as plan:
        files.send(bench.engine.api, plan.name, [Item(name, b"{}")])
    with pytest.raises(UserError) as caught:
        move_facts.compare(move_facts.verified(path), stage.sums(attempt.folder, path), "here")
    assert caught.value.code == "move.differs"


def test_that_what_nobody_wants_any_more_is_not_sent(bench):
    attempt, path, stage = made(bench)

    def given_up() -> None:
        raise UserError("move.cancelled", node="here")

    with pytest.raises(UserError) as caught:
        stage.send(attempt.folder, path, lambda _done, _total: None, given_up)
    assert caught.value.code == "move.cancelled"
    with pytest.raises(UserError) as caught:
        stage.sums(attempt.folder, path)
    assert caught.value.code == "move.not_read"


def test_that_an_image_that_is_missing_is_named(bench):
    attempt, _, _ = made(bench)
    executor = bench.new_executor(image="no-such-image:1")
    with pytest.raises(UserError) as caught:
        DockerStage(executor).ready(Launch(attempt.folder, [], order=attempt.order), nothing)
    assert caught.value.code == "docker.image_missing"
    executor.close()
