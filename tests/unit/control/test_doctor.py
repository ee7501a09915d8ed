"""The doctor where no engine is needed: GPUs by samples, clocks, and this computer's processes."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest
from docker.errors import NotFound

from engine.contract.errors import Unreachable, UserError
from engine.contract.nodes import CHECKS, NodeFacts, NodeProfile
from engine.control.executors.docker.link import EngineRefused
from engine.control.nodes.check_clock import judge_clock
from engine.control.nodes.doctor import Doctor, engine_doctor, process_doctor
from engine.control.nodes.findings import ok
from engine.control.nodes.probe import read_report
from engine.control.nodes.process_doctor import Here
from engine.control.nodes.sample_engine import SampleApi, SampleLink
from engine.control.nodes.sample_probe import SampleProbe, cpu_node, gpu_node

GPU_CHECKS = ("runtime", "driver", "gpus")
NO_DRIVER = EngineRefused(
    "node.engine_refused", answer=500, node="n", detail='could not select device driver "" with capabilities: [[gpu]]'
)
BROKEN = EngineRefused("node.engine_refused", answer=500, node="n", detail="nvidia-container-cli: driver error")


def examined(probe=None, only=GPU_CHECKS, api=None, error=None):
    api = api or SampleApi()
    link = SampleLink("n", api, error)
    report = engine_doctor(NodeProfile(name="n"), link, next(iter(api.images), ""), "us", probe).examine(
        lambda _: None, only
    )
    return {check.name: (check.state, check.error.code if check.error else "") for check in report.checks}, report


def with_runtime(**more) -> SampleApi:
    return SampleApi(runtimes=("runc", "nvidia"), **more)


def test_a_node_with_four_gpus():
    checks, report = examined(SampleProbe(gpu_node(driver="", gpus=[]), gpu_node()), api=with_runtime())
    assert checks == dict.fromkeys(GPU_CHECKS, ("ok", ""))
    assert [(gpu.index, gpu.memory, gpu.ecc) for gpu in report.facts.gpus] == [
        (str(n), 80 << 30, True) for n in range(4)
    ]
    assert report.facts.gives_gpus is True


def test_a_node_without_a_gpu_says_so_and_is_usable():
    checks, report = examined(SampleProbe(cpu_node(), NO_DRIVER))
    assert checks == dict.fromkeys(GPU_CHECKS, ("skipped", "node.no_gpu"))
    assert report.usable
    assert report.facts.gives_gpus is False


def test_a_runtime_without_a_gpu_is_no_fault():
    checks, _report = examined(SampleProbe(cpu_node(), BROKEN), api=with_runtime())
    assert checks == {"runtime": ("ok", ""), "driver": ("skipped", "node.no_gpu"), "gpus": ("skipped", "node.no_gpu")}


def test_gpus_that_docker_cannot_give():
    checks, report = examined(SampleProbe(gpu_node(driver="", gpus=[]), NO_DRIVER))
    assert checks == dict.fromkeys(GPU_CHECKS, ("bad", "node.no_runtime"))
    assert not report.usable


@pytest.mark.parametrize(
    ("probe", "name", "finding"),
    [
        (SampleProbe(gpu_node(), BROKEN), "gpus", ("bad", "node.gpu_start")),
        (SampleProbe(gpu_node(), gpu_node(driver="470.1")), "driver", ("warning", "node.driver_old")),
        (SampleProbe(gpu_node(), gpu_node(gpus=[], nvml_error="Mismatch")), "driver", ("bad", "node.driver_broken")),
        (SampleProbe(gpu_node(), gpu_node(gpus=[], nvml_error="Mismatch")), "gpus", ("bad", "node.gpu_start")),
        (SampleProbe(gpu_node(), gpu_node(uncorrected=[0, 7])), "gpus", ("warning", "node.gpu_ecc")),
        (SampleProbe(gpu_node(), gpu_node(lost=1)), "gpus", ("warning", "node.gpu_missing")),
    ],
)
def test_what_is_wrong_with_gpus(probe, name, finding):
    checks, _report = examined(probe, api=with_runtime())
    assert checks[name] == finding


def test_disks():
    for free, finding in ((1, ("bad", "node.disk_very_low")), (10, ("warning", "node.disk_low")), (100, ("ok", ""))):
        checks, _report = examined(SampleProbe(cpu_node(disk_free=free * 10**9)), ["disk"])
        assert checks["disk"] == finding
    checks, _report = examined(SampleProbe(cpu_node(writes=False)), ["disk"])
    assert checks["disk"] == ("bad", "node.volume_closed")


@pytest.mark.parametrize(
    ("off", "finding"),
    [(0, "ok"), (1.9, "ok"), (30, "warning"), (-30, "warning"), (4 * 3600, "bad"), (-4 * 3600, "bad")],
)
def test_clocks(off, finding):
    here = 1_800_000_000.0
    there = datetime.fromtimestamp(here + off, UTC).isoformat().replace("+00:00", "Z")
    found = judge_clock("n", there, here, 0.1)
    assert found.state == finding
    if finding != "ok":
        assert found.error.code == ("node.clock_ahead" if off > 0 else "node.clock_behind")


def test_a_clock_as_docker_writes_it():
    found = judge_clock("n", "2026-11-21T12:00:00.123456789+01:00", 1795258800.123456, 0.0)
    assert found.facts["skew"] == pytest.approx(0, abs=0.001)


def test_isolation_only_warns():
    api = SampleApi()
    api.said_info["SecurityOptions"] = []
    assert examined(only=["isolation"], api=api)[0]["isolation"] == ("warning", "node.no_seccomp")
    api.said_info["MemoryLimit"] = False
    assert examined(only=["isolation"], api=api)[0]["isolation"] == ("warning", "node.no_limits")
    api.said_info.update(SecurityOptions=["name=userns", "name=seccomp,profile=builtin"], MemoryLimit=True)
    _checks, report = examined(only=["isolation"], api=api)
    assert report.checks[0].facts["userns"] is True


def test_images_by_their_labels():
    api = SampleApi()
    assert examined(only=["image"], api=api)[0]["image"] == ("ok", "")
    api.images["loraforge-worker:1"]["Config"] = {"Labels": None}
    assert examined(only=["image"], api=api)[0]["image"] == ("bad", "image.not_worker")
    api.images = {}
    assert examined(only=["image"], api=api)[0]["image"] == ("bad", "node.image_unset")


def test_that_nothing_more_is_seen_through_a_closed_door():
    checks, report = examined(only=(), error=Unreachable("node.no_answer", node="n", address="a", seconds="10"))
    assert checks.pop("reach") == ("bad", "node.no_answer")
    assert set(checks.values()) == {("skipped", "")}
    checks, _report = examined(
        only=(), error=Unreachable("node.login_refused", node="n", address="a", user="u", detail="")
    )
    assert checks.pop("reach") == ("ok", "")
    assert checks.pop("authentication") == ("bad", "node.login_refused")
    assert not report.usable


def test_that_an_engine_that_is_too_old_is_a_matter_of_its_version():
    old = Unreachable("node.engine_old", node="n", version="19.03", api="1.40", oldest="1.41")
    checks, _report = examined(only=(), error=old)
    assert [checks[name] for name in ("reach", "authentication")] == [("ok", ""), ("ok", "")]
    assert checks["version"] == ("bad", "node.engine_old")
    assert checks["disk"] == ("skipped", "")


def test_that_a_check_that_breaks_hides_no_other(caplog):
    def broken():
        raise ZeroDivisionError("oh")

    doctor = Doctor("n", {**dict.fromkeys(CHECKS, ok), "disk": broken}, NodeFacts)
    states = {check.name: check.state for check in doctor.checks()}
    assert states.pop("disk") == "bad"
    assert set(states.values()) == {"ok"}
    caplog.clear()


def test_that_what_somebody_cleaned_away_is_looked_for_once_more():
    gone = [NotFound("No such container"), NotFound("No such container")]

    def disk():
        if gone:
            raise gone.pop()
        return ok()

    def found():
        return list(Doctor("n", {"disk": disk}, NodeFacts).checks(["disk"]))[-1]

    assert found().error.code == "node.vanished"
    gone.append(NotFound("No such container"))
    assert found().state == "ok"


def test_what_a_probe_says_is_read_or_named():
    assert read_report("n", "a warning\n" + cpu_node().model_dump_json() + "\n", 0).cpus == 16
    for output in ("", "Traceback\nImportError: x", "{}", "[1]"):
        with pytest.raises(UserError) as caught:
            read_report("n", output, 1)
        assert caught.value.code == "node.probe_failed"


def test_that_the_probes_script_runs_anywhere(tmp_path):
    import subprocess

    from engine.control.nodes.probe import SCRIPT

    script = SCRIPT.replace('"/job', f'"{tmp_path}')
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    report = read_report("n", done.stdout, 0)
    assert report.writes
    assert report.disk_total > report.disk_free > 0


# --- this computer


def process_checks(here: Here):
    report = process_doctor("local", here).examine(lambda _: None)
    assert [check.name for check in report.checks] == list(CHECKS)
    return {check.name: (check.state, check.error.code if check.error else "") for check in report.checks}, report


def test_this_computer_without_a_gpu(tmp_path):
    checks, report = process_checks(Here("local", tmp_path, "", cpu_node))
    assert checks["image"] == ("bad", "node.no_python")
    assert checks["gpus"] == ("skipped", "node.no_gpu")
    assert checks["clock"] == ("ok", "")
    assert checks["owner"] == ("skipped", "")
    assert report.facts.cpus > 0


def test_this_computer_with_gpus(tmp_path):
    checks, report = process_checks(Here("local", tmp_path, "", gpu_node))
    assert checks["gpus"] == checks["driver"] == ("ok", "")
    assert len(report.facts.gpus) == 4


def test_worker_environments_are_started_and_asked(tmp_path):
    checks, _report = process_checks(Here("local", tmp_path, sys.executable, cpu_node))
    assert checks["image"] == ("bad", "environment.incomplete")
    checks, _report = process_checks(Here("local", tmp_path, str(tmp_path / "python"), cpu_node))
    assert checks["image"] == ("bad", "worker.check_failed")
    whole = tmp_path / "python"
    whole.write_text('#!/bin/sh\necho \'{"python": "3.11", "versions": {"torch": "2"}, "cuda": null, "gpu": false}\'\n')
    whole.chmod(0o755)
    checks, _report = process_checks(Here("local", tmp_path, str(whole), gpu_node))
    assert checks["image"] in (("warning", "node.torch_without_gpu"), ("bad", "environment.incomplete"))
