"""Checkpoints and results lie a second time at the place the settings name; whatever is in the way loses nothing."""

from __future__ import annotations

import shutil
import signal

import pytest

from engine.contract.errors import Conflict, Refused
from engine.control.executors.docker.whole import is_whole, sha256
from tests.helpers.artifact_places import TestedPlace, nothing_tells, place_of
from tests.helpers.controller import ControllerProcess
from tests.helpers.docker_fleet import light_python
from tests.helpers.waiting import PATIENCE_S, wait_until

SHORT = "steps=30 delay=0.02 every=10 seed=7"
LONG = "steps=90000 delay=0.02 every=20 seed=7"


@pytest.fixture
def light(tmp_path):
    made = ControllerProcess(tmp_path, light_python(tmp_path))
    made.home.root.mkdir(parents=True)
    made.home.settings_file.write_text('{"spare_workers": 0, "retry_seconds": 0.1}')
    made.start()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path):
    with place_of(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def bucket(tmp_path):
    with place_of("s3", tmp_path) as made:
        yield made


def start(light, name=SHORT):
    return light.client.create(light.spec(name), start=True).uid


def until_all(light, place: TestedPlace, *uids: str) -> None:
    """Each has all its checkpoints there, and the controller says that nothing is missing."""
    for uid in uids:
        wait_until(lambda uid=uid: set(place.checkpoints(uid)) == names(light, uid) != set(), 120, "they lie there")
    wait_until(lambda: light.client.artifacts().state == "whole", 120, "everything lies there")


def names(light, uid) -> set[str]:
    return {one.name for one in light.client.run(uid).checkpoints}


def test_that_all_a_run_made_lies_there_and_comes_back(light, place: TestedPlace):
    place.tell(light.client)
    assert light.client.artifacts(check=True).error is None
    uid = start(light)
    detail = light.until(uid, "completed")
    until_all(light, place, uid)
    assert set(place.checkpoints(uid)) == names(light, uid) == {"a1-s20", "a1-s30"}
    store = place.opened().store("checkpoints", uid)
    assert all(store.verify(digest) for digest in store.listed())
    result = detail.artifacts[0]
    assert place.opened().store("results", uid).listed() == [result.sha256]
    # Both are lost here: they come back, whole, when somebody asks for them.
    local = light.home.run(uid) / "checkpoints" / "a1-s30"
    before = sha256(local / "number.json")
    shutil.rmtree(local)
    shutil.rmtree(light.home.attempt(uid, 1).outputs)
    assert light.client.download(uid, result.id, bytearray().extend)
    assert (light.home.attempt(uid, 1).outputs / "adapter" / "number.json").is_file()
    assert light.client.download(uid, detail.checkpoints[-1].id, bytearray().extend)
    assert is_whole(local)
    assert sha256(local / "number.json") == before
    # What goes here goes there, results stay; a deleted run leaves nothing.
    light.client.clean(uid)
    wait_until(lambda: place.checkpoints(uid) == {}, what="its checkpoints went there too")
    assert place.opened().store("results", uid).listed() == [result.sha256]
    light.client.delete(uid)
    wait_until(lambda: place.files() == [], what="nothing of it lies there")
    if place.bucket is not None:
        nothing_tells(light.home.root)


def test_that_a_run_goes_on_from_there_when_its_checkpoints_are_lost_here(light, place: TestedPlace):
    place.tell(light.client)
    uid = start(light, LONG)
    wait_until(lambda: len(names(light, uid)) == 2)
    light.client.stop(uid)
    light.until(uid, "stopped")
    until_all(light, place, uid)
    last = max(light.client.run(uid).checkpoints, key=lambda one: one.step)
    assert last.name in place.checkpoints(uid)
    shutil.rmtree(light.home.run(uid) / "checkpoints")
    light.client.resume(uid)
    wait_until(lambda: (run := light.client.run(uid).run).attempt == 2 and (run.step or 0) > last.step)
    resumed = next(line for line in light.journal(uid, 2) if line["kind"] == "resumed")
    assert resumed["step"] == last.step
    light.client.stop(uid)
    light.until(uid, "stopped")


def test_a_wrong_key_a_bucket_that_is_gone_and_then_all_of_it_there(light, bucket: TestedPlace):
    known, bucket.bucket.keys = bucket.bucket.keys, {"another"}
    bucket.tell(light.client)
    uid = start(light)
    light.until(uid, "completed")
    state = wait_until(lambda: (found := light.client.artifacts()).state == "failing" and found)
    assert state.error.code == "artifacts.refused"
    assert state.waiting == 1
    assert light.client.artifacts(check=True).error.code == "artifacts.refused"
    bucket.bucket.keys, bucket.bucket.gone = known, True
    assert light.client.artifacts(check=True).error.code == "artifacts.no_bucket"
    with pytest.raises(Conflict) as refused:  # results are not safe there: nothing goes here
        light.client.clean(uid)
    assert refused.value.code == "run.files_kept"
    assert names(light, uid) == {"a1-s20", "a1-s30"}
    bucket.bucket.gone = False
    assert light.client.artifacts(check=True).error is None
    until_all(light, bucket, uid)
    assert set(bucket.checkpoints(uid)) == {"a1-s20", "a1-s30"}
    notes = [event.body.get("code") for event in light.client.run(uid).events if event.kind == "note"]
    assert notes.count("artifacts.waiting") == 1
    # A bucket that was deleted and made anew is empty: it gets everything again, of ended runs too.
    bucket.bucket.objects.clear()
    bucket.bucket.gone = True
    other = start(light)
    light.until(other, "completed")
    wait_until(lambda: light.client.artifacts().state == "failing")
    bucket.bucket.gone = False
    light.client.artifacts(check=True)
    until_all(light, bucket, uid, other)
    assert len(bucket.marks()) == 6


def test_that_a_link_cut_in_mid_upload_shows_nothing_and_is_caught_up(light, bucket: TestedPlace):
    bucket.tell(light.client)
    assert light.client.artifacts(check=True).error is None
    bucket.bucket.cut_after = 50  # within the first file
    uid = start(light)
    light.until(uid, "completed")
    wait_until(lambda: light.client.artifacts().state == "failing")
    assert bucket.marks() == []
    assert bucket.checkpoints(uid) == {}
    bucket.bucket.cut_after = None
    until_all(light, bucket, uid)
    assert set(bucket.checkpoints(uid)) == {"a1-s20", "a1-s30"}
    store = bucket.opened().store("checkpoints", uid)
    assert all(store.verify(digest) for digest in store.listed())


def test_that_a_controller_killed_between_putting_and_writing_down_loses_and_doubles_nothing(
    light, place: TestedPlace, monkeypatch
):
    place.tell(light.client)
    light._processes[0].terminate()
    light._processes[0].wait(20)
    monkeypatch.setenv("FORGE_FAULT", "artifacts.after_put")
    controller = light.start()
    monkeypatch.delenv("FORGE_FAULT")
    uid = start(light)
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    light.start()
    light.until(uid, "completed")
    until_all(light, place, uid)
    assert len(place.marks()) == 3  # two checkpoints and a result
    store = place.opened().store("checkpoints", uid)
    assert all(store.verify(digest) for digest in store.listed())


def test_a_folder_that_is_not_there_is_not_made_up_for(light, tmp_path):
    missing = tmp_path / "a disk that is not connected"
    light.client.edit_settings({"artifact_place": str(missing)})
    uid = start(light)
    light.until(uid, "completed")
    state = wait_until(lambda: (found := light.client.artifacts()).state == "failing" and found)
    assert state.error.code == "artifacts.unreachable"
    assert not missing.exists()


def test_that_a_start_waits_for_a_place_nobody_can_get_at_rather_than_begin_anew(light, bucket: TestedPlace):
    bucket.tell(light.client)
    uid = start(light, LONG)
    wait_until(lambda: len(names(light, uid)) == 2)
    light.client.stop(uid)
    light.until(uid, "stopped")
    until_all(light, bucket, uid)
    step = max(one.step for one in light.client.run(uid).checkpoints)
    shutil.rmtree(light.home.run(uid) / "checkpoints")
    bucket.bucket.keys = set()
    light.client.edit_settings({"retry_seconds": 0.5})
    light.client.resume(uid)
    wait_until(lambda: "run.retry" in [event.body.get("code") for event in light.client.run(uid).events], 120)
    assert light.client.run(uid).run.step == step or not light.home.attempt(uid, 2).journal.exists()
    bucket.bucket.keys = None
    wait_until(lambda: (light.client.run(uid).run.step or 0) > step, 120, "it goes on from there")
    light.client.stop(uid)
    light.until(uid, "stopped")


def test_places_that_cannot_be(light):
    for values, code in (
        ({"artifact_place": "s3://"}, "settings.artifact_place"),
        ({"artifact_place": "relative/folder"}, "settings.artifact_place"),
        ({"artifact_place": "s3://bucket/../x"}, "settings.artifact_place"),
        ({"artifact_endpoint": "ftp://host"}, "settings.artifact_endpoint"),
        ({"artifact_endpoint": "http://key:secret@host"}, "settings.artifact_endpoint"),
    ):
        with pytest.raises(Refused) as refused:
            light.client.edit_settings(values)
        assert [problem.code for problem in refused.value.problems] == [code]
    with pytest.raises(Refused) as refused:
        light.client.set_secret("artifacts", "no-colon")
    assert refused.value.code == "secret.artifacts_form"
    light.client.edit_settings({"artifact_place": "s3://bucket"})
    assert light.client.artifacts(check=True).error.code == "artifacts.no_keys"
