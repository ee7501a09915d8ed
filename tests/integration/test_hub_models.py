"""A model from a hub in a real worker below a real controller: token, proxy, a cut line, a pause; nothing leaks."""

import contextlib
import os
from pathlib import Path

import psutil
import pytest

from engine.contract.api import Settings
from engine.contract.errors import Conflict
from engine.contract.paths import code_root
from engine.contract.run_spec import RunSpec
from tests.helpers.controller import ControllerProcess
from tests.helpers.forward_proxy import ForwardProxy
from tests.helpers.hub import Hub
from tests.helpers.real_worker import WORKER, needs_worker
from tests.helpers.waiting import wait_until

MODEL = code_root() / "resources" / "demo" / "model"
ID, TOKEN, LOGIN = "tiny/demo-chat", "hf_NeverSeenAgain123", "ada:s3cretPassw0rd"
pytestmark = [
    needs_worker,
    pytest.mark.skipif(not (MODEL / "config.json").exists(), reason="the bundled model is not there"),
]


@pytest.fixture
def hub():
    with Hub() as hub:
        hub.add(ID, MODEL, gated=True)
        hub.tokens[TOKEN] = "ada"
        hub.admitted.add("ada")
        yield hub


@pytest.fixture
def real(tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    service = ControllerProcess(tmp_path, WORKER)
    service.start()
    service.client.change_settings(Settings(endpoints=hub.settings(), retry_seconds=0.1))
    yield service
    service.close()


def order(name: str, steps: int = 3, **model) -> RunSpec:
    """A few steps from the hub's copy of the bundled model."""
    data = {"train": [{"path": "demo", "hub": "bundled", "limit": 32}], "max_length": 128}
    training = {"max_steps": steps, "micro_batch_size": 4, "learning_rate": 0.001, "threads": 1}
    job = {"kind": "train", "model": {"path": ID, "hub": "huggingface", **model}, "data": data, "training": training}
    return RunSpec.model_validate({"name": name, "job": job})


def holders(secret: str, home: Path) -> list[str]:
    """Files of the home, and processes, that show a secret; the file of secrets itself is its place."""
    found = []
    for path in home.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # files come and go
            if path.is_file() and path != home / "secrets.json" and secret.encode() in path.read_bytes():
                found.append(str(path))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            shown = f"{process.cmdline()} {process.environ()}"
            if secret in shown and process.pid != os.getpid():
                found.append(f"process {process.pid}")
    return found


def wait_for_half(service: ControllerProcess, size: int) -> None:
    """Until the first half of the weights is in its file; the hub is silent then."""
    wait_until(
        lambda: any(part.stat().st_size == size // 2 for part in service.home.models.rglob("model.safetensors.part")),
        120, "half of it is here",
    )  # fmt: skip


def test_that_a_gated_model_trains_over_a_cut_line_through_a_proxy_and_no_secret_is_seen(real, hub):
    size = len(hub.models[ID].files["model.safetensors"])
    hub.cuts["model.safetensors"] = [size // 2]
    with ForwardProxy(LOGIN) as proxy:
        real.client.change_settings(Settings(proxy=proxy.url, log_level="debug"))
        for name, value in (("huggingface", TOKEN), ("proxy", LOGIN)):
            assert real.client.set_secret(name, value).is_set
        assert real.client.check_secret("huggingface").account == "ada"
        assert real.client.check_secret("proxy").accepted
        seen = []
        hub.gate = lambda name: [
            seen.extend(holders(secret, real.home.root)) for secret in (TOKEN, "s3cret") if name.endswith("tensors")
        ]
        run = real.client.create(order("first"))
        detail = real.until(run.uid, "completed", "failed", timeout=300)
        assert detail.run.state == "completed", detail.run.error
        assert f"localhost:{hub.port}" in proxy.hosts
    assert seen == [], "while it works, nobody shows a secret"
    assert [one.offset for one in hub.weights()] == [0, size // 2]
    assert detail.attempts[0].plan["model_commit"] == hub.models[ID].commit
    phases = [line for line in real.journal(run.uid) if line["kind"] == "phase" and line["phase"] == "downloading"]
    assert phases
    assert phases[-1]["bytes_total"] == sum(map(len, hub.models[ID].files.values()))
    for secret in (TOKEN, "s3cretPassw0rd"):
        assert holders(secret, real.home.root) == []
        assert secret not in real.client.config(run.uid)
        assert secret not in detail.model_dump_json()
    assert real.home.secrets_file.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in real.client.secrets().model_dump_json()

    before = len(hub.weights())
    real.client.change_settings(Settings(proxy=""))
    again = real.client.create(order("second"))
    detail = real.until(again.uid, "completed", "failed", timeout=300)
    assert detail.run.state == "completed", detail.run.error
    assert len(hub.weights()) == before
    cached = real.client.cached_models()
    assert [(one.path, one.revisions, one.whole) for one in cached.models] == [(ID, ["main"], True)]


def test_that_a_paused_download_goes_on_with_the_same_commit(real, hub):
    hub.models[ID].gated = False
    size, old = len(hub.models[ID].files["model.safetensors"]), hub.models[ID].commit
    hub.silent["model.safetensors"] = size // 2
    run = real.client.create(order("paused"))
    detail = wait_until(
        lambda: (found := real.client.run(run.uid)).run.phase == "downloading" and found, 120, "it downloads"
    )
    assert detail.run.state == "running"
    with pytest.raises(Conflict) as caught:
        real.client.remove_model("huggingface", ID)
    assert caught.value.code == "hub.in_use"
    wait_for_half(real, size)
    real.client.pause(run.uid)
    real.until(run.uid, "paused")
    part = next(real.home.models.rglob("model.safetensors.part"))
    assert part.stat().st_size == size // 2
    hub.speak.set()
    hub.models[ID].files["README.md"] = b"# newer"
    hub.models[ID].revisions["main"] = hub.models[ID].commit
    hub.models[ID].revisions["old"] = old
    real.client.resume(run.uid)
    detail = real.until(run.uid, "completed", "failed", timeout=300)
    assert detail.run.state == "completed", detail.run.error
    assert detail.attempts[-1].plan["model_commit"] == old
    assert hub.weights()[-1].offset == size // 2
    assert [one.path for one in real.client.remove_model("huggingface", ID).models] == [ID]
    assert real.client.cached_models().models == []


def test_that_a_download_that_fails_says_why_and_is_tried_again(real, hub):
    run = real.client.create(order("no token"))
    detail = real.until(run.uid, "failed", timeout=300)
    assert (detail.run.reason, detail.run.error.code) == ("bad_model", "hub.gated_no_token")
    real.client.set_secret("huggingface", TOKEN)
    hub.corrupt["model.safetensors"] = 2
    run = real.client.create(order("damaged twice"))
    detail = real.until(run.uid, "completed", "failed", timeout=300)
    assert detail.run.state == "completed", detail.run.error
    assert [attempt.reason for attempt in detail.attempts] == ["download_failed", "finished"]
    answer = real.client.query("inspect_model", path=ID, hub="huggingface")
    assert answer.error is None
    assert answer.result["cached"] is True
    answer = real.client.query("inspect_model", path="nobody/knows", hub="huggingface")
    assert answer.error is not None
    assert answer.error.code == "hub.unknown"


def test_that_a_download_outlives_its_controller_and_a_killed_worker(real, hub):
    size = len(hub.models[ID].files["model.safetensors"])
    real.client.set_secret("huggingface", TOKEN)
    hub.silent["model.safetensors"] = size // 2
    run = real.client.create(order("twice killed"))
    wait_for_half(real, size)
    os.kill(real.client.health().pid, 9)
    wait_until(lambda: not real.running(), what="the controller has gone")
    real.start()
    assert real.client.run(run.uid).run.attempt == 1
    assert not real.home.attempt(run.uid, 1).secrets.exists()
    started = next(line for line in real.journal(run.uid) if line["kind"] == "started")
    os.kill(started["pid"], 9)
    wait_until(lambda: real.client.run(run.uid).run.attempt == 2, 60, "it is tried again")
    hub.speak.set()
    detail = real.until(run.uid, "completed", "failed", timeout=300)
    assert detail.run.state == "completed", detail.run.error
    assert [attempt.reason for attempt in detail.attempts] == ["worker_killed", "finished"]
    assert hub.weights()[-1].offset == size // 2
    assert holders(TOKEN, real.home.root) == []


def test_that_a_download_that_stands_still_is_ended_as_a_hang(real, hub):
    real.client.set_secret("huggingface", TOKEN)
    hub.silent["model.safetensors"] = 1000
    spec = order("hang").model_dump(mode="json")
    spec["limits"] |= {"hang_minutes": 0.05, "retries": 0}
    run = real.client.create(RunSpec.model_validate(spec))
    detail = real.until(run.uid, "failed", timeout=300)
    assert (detail.run.reason, detail.run.error.code) == ("hang", "hub.stalled")
