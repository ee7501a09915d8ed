"""The doctor at real engines: what is green, and what comes with its fix."""

from __future__ import annotations

import pytest

from engine.contract.nodes import CHECKS
from engine.control.nodes.doctor import engine_doctor
from tests.helpers.docker_process import free_port
from tests.helpers.docker_profiles import linked, local_profile, ssh_profile, tls_profile

US = "us0123456789"


def examined(profile, image: str, only=()):
    """Check by name, and what the doctor learnt."""
    told = []
    with linked(profile) as link:
        report = engine_doctor(profile, link, image, US).examine(told.append, only)
    assert [check.name for check in report.checks] == [name for name in CHECKS if not only or name in only]
    for check in report.checks:
        assert "{" not in f"{check.error}".replace("params={", "").replace("error={", "") or check.error is None
        assert check.state not in ("waiting", "running")
        assert check.error is not None or check.state in ("ok", "skipped")
    return {check.name: check for check in report.checks}, report, told


@pytest.fixture(autouse=True)
def nothing_is_left(engines):
    def there():
        found = []
        for engine in (engines.local, engines.remote):
            found += [
                box["Id"] for box in engine.api.containers(all=True, filters={"label": "io.loraforge.kind=probe"})
            ]
            found += [v["Name"] for v in engine.api.volumes()["Volumes"] or [] if v["Name"].startswith("forge-probe")]
            found += engine.api.images(name="forge-probe-empty")
        return found

    yield
    assert there() == []


@pytest.mark.parametrize("way", ["local", "tls", "ssh"])
def test_a_healthy_node_without_a_gpu(way, local_engine, remote_engine, worker_image, worker_mounts):
    makers = {
        "local": (local_profile, local_engine),
        "tls": (tls_profile, remote_engine),
        "ssh": (ssh_profile, remote_engine),
    }
    make, engine = makers[way]
    checks, report, told = examined(make(engine, mounts=worker_mounts), worker_image)
    states = {name: check.state for name, check in checks.items()}
    green = ["reach", "authentication", "version", "live_restore", "bandwidth", "clock", "image", "owner"]
    assert {name: states[name] for name in green} == dict.fromkeys(green, "ok")
    assert {checks[name].error.code for name in ("driver", "gpus") if states[name] == "skipped"} == {"node.no_gpu"}
    assert states["disk"] in ("ok", "warning")
    assert states["isolation"] in ("ok", "warning")
    assert report.usable
    assert [check.state for check in told if check.name == "reach"] == ["running", "ok"]
    assert report.facts.gives_gpus is False
    assert report.facts.engine
    assert report.facts.cpus > 0
    assert report.facts.image.startswith("sha256:")
    assert checks["bandwidth"].facts["up"] > 0
    assert checks["disk"].facts["free"] > 0


def test_that_a_node_that_does_not_answer_is_looked_at_no_further(remote_engine, worker_image):
    profile = tls_profile(remote_engine, address=f"127.0.0.1:{free_port()}")
    checks, report, _told = examined(profile, worker_image)
    assert checks["reach"].error.code == "node.port_refused"
    assert {check.state for name, check in checks.items() if name != "reach"} == {"skipped"}
    assert not report.usable


def test_that_a_wrong_key_is_a_matter_of_authentication(remote_engine, worker_image):
    checks, report, _told = examined(ssh_profile(remote_engine, key=str(remote_engine.ssh.wrong_key)), worker_image)
    assert checks["reach"].state == "ok"
    assert checks["authentication"].error.code == "node.login_refused"
    assert checks["version"].state == "skipped"
    assert not report.usable


def test_that_a_missing_image_is_said_and_the_rest_is_looked_at_all_the_same(local_engine):
    checks, report, _told = examined(local_profile(local_engine), "loraforge-worker:nowhere")
    assert checks["image"].error.code == "image.missing"
    assert checks["disk"].error.code == "node.image_first"
    assert checks["bandwidth"].state == "ok"
    assert checks["clock"].state == "ok"
    assert not report.usable


def test_images_that_are_not_ours_or_of_another_protocol(local_engine, worker_image):
    api = local_engine.api
    made = []
    try:
        for label, code in (("other=1", "image.not_worker"), ("forge.protocol=99", "image.other_protocol")):
            name = f"forge-test-{len(made)}"
            empty = bytes(10240)
            api.import_image_from_data(empty, name, "1", changes=[f"LABEL {label}"])
            made.append(f"{name}:1")
            checks, _report, _told = examined(local_profile(local_engine), f"{name}:1", ["image"])
            assert checks["image"].error.code == code
    finally:
        for image in made:
            api.remove_image(image, force=True)


def test_that_another_controllers_containers_are_seen(local_engine, worker_image):
    def container(controller: str) -> None:
        labels = {"io.loraforge.managed": "1", "io.loraforge.controller": controller}
        local_engine.api.create_container(worker_image, ["true"], labels=labels)

    container(US)
    checks, _report, _told = examined(local_profile(local_engine), worker_image, ["owner"])
    assert checks["owner"].state == "ok"
    container("them")
    checks, _report, _told = examined(local_profile(local_engine), worker_image, ["owner"])
    assert checks["owner"].error.code == "node.two_controllers"
    assert "them" in checks["owner"].error.why


def test_that_an_image_that_cannot_start_is_named(local_engine):
    local_engine.api.import_image_from_data(bytes(10240), "forge-test-hollow", "1", changes=["LABEL forge.protocol=1"])
    try:
        checks, _report, _told = examined(
            local_profile(local_engine), "forge-test-hollow:1", ["disk", "gpus", "bandwidth"]
        )
        assert checks["disk"].state == "bad"
        assert checks["disk"].error.code == "node.probe_failed"
        assert checks["bandwidth"].state == "ok"
    finally:
        local_engine.api.remove_image("forge-test-hollow:1", force=True)


def test_that_a_node_without_live_restore_is_warned_of(remote_engine, worker_image):
    daemon = remote_engine.daemon
    before = list(daemon.command)
    daemon.command = [word for word in before if word != "--live-restore"]
    try:
        daemon.restart()
        checks, _report, _told = examined(tls_profile(remote_engine), worker_image, ["live_restore"])
    finally:
        daemon.command = before
        daemon.restart()
    assert checks["live_restore"].error.code == "node.no_live_restore"


def test_that_a_gpu_that_is_not_there_is_not_given(local_engine, worker_image, worker_mounts):
    """Creating such a container works; only starting it tells the truth."""
    from engine.control.executors.docker.link import EngineRefused
    from engine.control.nodes.visit import Visit

    profile = local_profile(local_engine, mounts=worker_mounts)
    with linked(profile) as link:
        visit = Visit(profile, link, worker_image, US)
        if visit.has_runtime:
            pytest.skip("this computer may give GPUs")
        with pytest.raises(EngineRefused, match="could not select device driver"):
            _ = visit.seen_with_gpus
