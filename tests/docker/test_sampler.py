"""The container that says how a node is: on real engines, over every way, and gone when it is no longer wanted."""

from __future__ import annotations

import pytest

from engine.contract.errors import Unreachable, UserError
from engine.control.executors.docker.keep import Keep
from engine.control.nodes.sampler import Reading
from engine.control.nodes.sampler_container import ContainerSampler, container_name
from tests.helpers.docker_profiles import linked, local_profile, ssh_profile, tls_profile
from tests.helpers.waiting import wait_until

US = "us0123456789"
FILTER = {"label": "io.loraforge.kind=probe"}


def boxes(engine) -> list[dict]:
    return engine.api.containers(all=True, filters=FILTER)


def first(sampler: ContainerSampler) -> Reading:
    found = wait_until(lambda: sampler.read(False), what="a reading")
    assert isinstance(found, Reading)
    return found


@pytest.mark.parametrize("way", ["local", "tls", "ssh"])
def test_a_node_is_read(way, local_engine, remote_engine, worker_image, worker_mounts):
    make, engine = {
        "local": (local_profile, local_engine), "tls": (tls_profile, remote_engine), "ssh": (ssh_profile, remote_engine)
    }[way]  # fmt: skip
    profile = make(engine, mounts=worker_mounts)
    with linked(profile) as link:
        sampler = ContainerSampler(link, profile, lambda: worker_image, US)
        reading = first(sampler)
        assert {"cpu.utilisation", "ram.used", "ram.total", "disk.used", "disk.free"} <= reading.values.keys()
        assert reading.values["disk.total"] > 0
        assert reading.names["cpu"]
        (box,) = boxes(engine)
        assert box["Names"] == [f"/{container_name(US, profile.name)}"]
        again = wait_until(lambda: sampler.read(False), what="a further reading")
        assert len(boxes(engine)) == 1
        assert isinstance(again, Reading)
        found = engine.api.inspect_container(box["Id"])
        assert found["Config"]["User"] == "10001"
        assert found["HostConfig"]["NetworkMode"] == "none"
        assert found["HostConfig"]["ReadonlyRootfs"]
        assert found["HostConfig"]["CapDrop"] == ["ALL"]
        sampler.close()
        assert boxes(engine) == []


def test_it_is_made_anew_when_it_dies_or_was_removed(local_engine, worker_image, worker_mounts):
    profile = local_profile(local_engine, mounts=worker_mounts)
    with linked(profile) as link:
        sampler = ContainerSampler(link, profile, lambda: worker_image, US)
        first(sampler)
        (box,) = boxes(local_engine)
        local_engine.api.remove_container(box["Id"], force=True)
        first(sampler)
        (other,) = boxes(local_engine)
        assert other["Id"] != box["Id"]
        local_engine.api.kill(other["Id"])
        wait_until(lambda: sampler.read(False) and boxes(local_engine)[0]["Id"] != other["Id"], what="another one")
        (third,) = boxes(local_engine)
        assert third["Id"] != other["Id"]
        sampler.close()
        assert boxes(local_engine) == []


def test_an_image_that_cannot_read_is_said_and_not_started_over_and_over(local_engine, worker_image, worker_mounts):
    mounts = [one for one in worker_mounts if not one.endswith("/engine")]
    profile = local_profile(local_engine, mounts=mounts)
    with linked(profile) as link:
        sampler = ContainerSampler(link, profile, lambda: worker_image, US)

        def refused() -> bool:
            try:
                sampler.read(False)
            except UserError as error:
                return error.code == "node.no_readings"
            return False

        wait_until(refused, what="it is said")
        wait_until(lambda: boxes(local_engine) == [], what="it is gone")
        sampler.close()
        assert sampler.read(False) is None


def test_one_that_a_killed_controller_left_is_replaced(local_engine, worker_image, worker_mounts):
    profile = local_profile(local_engine, mounts=worker_mounts)
    with linked(profile) as link:
        first(ContainerSampler(link, profile, lambda: worker_image, US))
        (left,) = boxes(local_engine)
        sampler = ContainerSampler(link, profile, lambda: worker_image, US)
        first(sampler)
        (box,) = boxes(local_engine)
        assert box["Id"] != left["Id"]
        Keep(link, US).drop_probes()
        assert len(boxes(local_engine)) == 1  # it works: sweeping what is left over leaves it alone
        sampler.close()


def test_one_that_a_killed_controller_left_goes_though_the_next_never_asked(local_engine, worker_image, worker_mounts):
    profile = local_profile(local_engine, mounts=worker_mounts)
    with linked(profile) as link:
        first(ContainerSampler(link, profile, lambda: worker_image, US, "killed"))
        assert len(boxes(local_engine)) == 1
        ContainerSampler(link, profile, lambda: worker_image, US).close()
        assert boxes(local_engine) == []


def test_that_of_a_node_that_was_edited_meanwhile_stays(local_engine, worker_image, worker_mounts):
    profile = local_profile(local_engine, mounts=worker_mounts)
    with linked(profile) as link:
        before = ContainerSampler(link, profile, lambda: worker_image, US)
        first(before)
        after = ContainerSampler(link, profile, lambda: worker_image, US)
        first(after)
        (box,) = boxes(local_engine)
        before.close()
        assert [one["Id"] for one in boxes(local_engine)] == [box["Id"]]
        after.close()
        assert boxes(local_engine) == []


def test_an_engine_that_is_away_is_unreachable_and_it_goes_on_afterwards(local_engine, worker_image, worker_mounts):
    if not local_engine.owned:
        pytest.skip("this engine is not ours to stop")
    profile = local_profile(local_engine, mounts=worker_mounts)
    with linked(profile) as link:
        sampler = ContainerSampler(link, profile, lambda: worker_image, US)
        first(sampler)
        local_engine.daemon.kill()
        with pytest.raises(Unreachable):
            sampler.read(False)
        local_engine.daemon.start()
        link.forget()
        wait_until(lambda: sampler.read(False), what="a reading after the engine came back")
        assert len(boxes(local_engine)) == 1
        sampler.close()
