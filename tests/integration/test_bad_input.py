"""Bad input and bad surroundings through a real controller: said in plain words, nothing half done, nothing lost."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from engine.client.address import read_address
from engine.contract.errors import ErrorBody, Refused, UserError
from engine.contract.paths import resources_folder
from engine.contract.run_spec import RunConfig
from tests.helpers.controller import ControllerProcess
from tests.helpers.disks import as_a_common_person, full, needs_root, read_only, small_disk
from tests.helpers.real_worker import WORKER, needs_worker
from tests.helpers.waiting import wait_until

BUNDLED = {"path": "demo", "hub": "bundled"}


@pytest.fixture
def real(tmp_path: Path):
    service = ControllerProcess(tmp_path, WORKER)
    yield service
    service.close()


def config(**groups):
    document = {
        "name": "bad", "model": BUNDLED, "data": {"train": [BUNDLED]}, "compute": {"limits": {"retries": 0}}, **groups
    }  # fmt: skip
    return RunConfig.model_validate(document).to_spec()


def start_without(service: ControllerProcess, **options) -> tuple[int, str]:
    """A controller that cannot start: its exit code and its last words."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.control"], env=service.environment, capture_output=True, text=True, timeout=240,
        check=False, **options,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@needs_worker
def test_bad_data_from_the_check_over_the_preview_to_the_workers_last_word(real, tmp_path):
    real.start()
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(Refused) as caught:
        real.client.create(config(data={"train": [{"path": str(tmp_path / "pipe.jsonl")}]}))
    assert [(one.field, one.code) for one in caught.value.problems] == [("data.train.0.path", "config.not_a_file")]
    assert real.client.query("preview_data", path=str(tmp_path / "pipe.jsonl")).error.code == "data.not_a_file"
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    assert real.client.query("preview_data", path=str(rows)).error.code == "data.other_kind"
    assert real.client.runs().total == 0
    run = real.client.create(config(data={"train": [{"path": str(rows)}]}))
    ended = real.until(run.uid, "failed", timeout=300).run
    assert (ended.reason, ended.error.code) == ("bad_data", "data.other_kind")
    assert "JSONL" in ended.error.fix


@needs_worker
def test_bad_models_from_the_check_to_the_workers_last_word(real, tmp_path):
    real.start()
    folder = tmp_path / "model"
    shutil.copytree(resources_folder() / "demo" / "model", folder)
    weights = next(folder.glob("*.safetensors"))
    spec = config(model={"path": str(folder)})
    weights.write_bytes(weights.read_bytes()[:-100])
    run = real.client.create(spec)
    ended = real.until(run.uid, "failed", timeout=300).run
    assert (ended.reason, ended.error.code) == ("bad_model", "model.refused")
    assert [one.code for one in ended.error.problems] == ["model.bad_safetensors"]
    weights.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(Refused) as caught:
        real.client.create(spec)
    assert [one.code for one in caught.value.problems] == ["config.model_pickled"]
    assert real.client.runs().total == 1


def test_bad_configs_on_the_command_line_and_over_the_wire(service, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("name: x\nmodel: {path: nowhere}\ndata: {train: [{path: gone.jsonl}]}\ntrainig: {}\n")
    for command in (("run", str(file)), ("config", "check", str(file))):
        done = service.forge("--json", *command)
        assert done.returncode == 2
        body = ErrorBody.model_validate(json.loads(done.stdout or done.stderr)["error"])
        assert [(one.line, one.field) for one in body.problems] == [
            (2, "model.path"), (3, "data.train.0.path"), (4, "trainig")
        ]  # fmt: skip
    assert not service.home.controller_file.exists()  # nothing was started for it
    service.start()
    address = read_address(service.home)
    spec = service.spec("x").model_dump(mode="json")
    spec["job"]["training"]["learning_rate"] = "fast"
    spec["job"]["trainig"] = {}
    spec["priority"] = 1000
    answer = httpx.post(f"{address.http}/runs", json={"spec": spec}, headers=address.headers)
    assert answer.status_code == 422
    found = {(one["field"], one["code"]) for one in answer.json()["problems"]}
    assert found == {
        ("training.learning_rate", "config.number"),
        ("trainig", "config.unknown_key"),
        ("priority", "config.too_large"),
    }
    for content in (b"", b"\xff\xfe", b"[" * 100_000, b"[]", b'{"spec": 1}'):
        answer = httpx.post(f"{address.http}/runs", content=content, headers=address.headers)
        assert answer.status_code == 422, content[:9]
        assert ErrorBody.model_validate_json(answer.content).problems
    assert service.client.runs().total == 0


def test_a_full_disk_loses_nothing_and_is_said(service, tmp_path):
    with small_disk(service.home.root, "12m") as disk, small_disk(service.home.runs, "12m"):
        service.start()
        before = service.client.create(service.spec("steps=400 delay=0.02"))
        wait_until(lambda: (service.client.run(before.uid).run.step or 0) > 5, 60, "some steps")
        uids, error = {before.uid}, None
        with full(disk):
            for number in range(500):
                try:
                    uids.add(service.client.create(service.spec(f"draft {number}"), start=False).uid)
                except UserError as found:
                    error = found
                    break
            with pytest.raises(UserError) as caught:
                service.client.change_settings(service.client.settings().model_copy(update={"idle_minutes": 7.0}))
            assert caught.value.code == "home.disk_full"
            assert service.running()
            assert service.client.runs(limit=500).total == len(uids)
        assert error is not None
        assert (error.code, "Free some space" in error.fix) == ("history.disk_full", True)
        assert {run.uid for run in service.client.runs(limit=500).runs} == uids
        service.client.create(service.spec("after"), start=False)
        service.until(before.uid, "completed")
        losses = service.client.series(before.uid, ["loss"])["loss"].x.tolist()
        steps = [line["step"] for line in service.journal(before.uid) if line["kind"] == "step"]
        assert losses == steps  # every line of the journal once
        assert steps == list(range(1, 401))
        service.close()


@pytest.mark.parametrize("content", ["{half", "", "[]", "\0\0", '{"idle_minutes": "soon"}'])
def test_half_written_settings_are_said_to_who_starts_the_controller(service, content):
    service.home.root.mkdir(parents=True)
    service.home.settings_file.write_text(content)
    code, said = start_without(service)
    assert code == 1
    assert "settings.json" in said
    assert "settings.unreadable" in said
    if content == "{half":
        done = service.forge("runs")
        assert done.returncode == 4
        assert "settings.json" in done.stderr
        assert "remove it for the usual settings" in done.stderr
    assert service.home.settings_file.read_text() == content
    assert not service.home.controller_file.exists()


def test_a_history_that_cannot_be_used_is_said_to_who_starts_the_controller(service):
    service.home.root.mkdir(parents=True)
    service.home.database.write_bytes(b"no database " * 1000)
    done = service.forge("runs")
    assert done.returncode == 4
    assert "history.unusable" in done.stderr
    assert service.home.database.read_bytes().startswith(b"no database")


@contextlib.contextmanager
def stranger(answers: bool):
    """Somebody else on a port: one that answers anything with a page, or one that never says a word."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_):
            pass

    if answers:
        server = HTTPServer(("127.0.0.1", 0), Page)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        server.server_close()
        thread.join()
    else:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            yield silent.getsockname()[1]


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("alive", [True, False])
def test_that_a_strangers_port_in_a_stale_file_hinders_nobody(service, answers, alive):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with stranger(answers) as port:
        service.home.root.mkdir(parents=True)
        pid = os.getpid() if alive else gone.pid
        content = {"pid": pid, "port": port, "started": 1.0, "version": "0", "protocol": 1}
        service.home.controller_file.write_text(json.dumps(content))
        service.home.token_file.write_text("ab" * 32)
        done = service.forge("runs", "--json")
        assert done.returncode == 0, done.stderr
        assert read_address(service.home).port != port


def test_that_a_second_controller_leaves_the_first_alone(service):
    service.start()
    code, _said = start_without(service)
    assert code == 9
    assert service.client.health().pid


def test_a_home_on_a_read_only_disk(service):
    service.home.root.mkdir(parents=True)
    with read_only(service.home.root):
        code, said = start_without(service)
        assert (code, "home.unusable" in said, str(service.home.root) in said) == (1, True, True)
        done = service.forge("runs")
        assert done.returncode == 4
        assert "Read-only" in done.stderr


@needs_root
def test_a_home_of_somebody_else(service):
    service.home.root.mkdir(parents=True, mode=0o700)
    os.chown(service.home.root, 65534, 65534)
    code, said = start_without(service, preexec_fn=as_a_common_person)
    assert (code, "home.unusable" in said) == (1, True)
    assert not list(service.home.root.iterdir())


@pytest.mark.parametrize("kind", ["a file", "below a file", "too long", "a loop"])
def test_a_home_that_cannot_be_one(service, kind):
    home = service.home.root
    home.parent.mkdir(parents=True, exist_ok=True)
    if kind == "a file":
        home.write_text("mine")
    elif kind == "a loop":
        home.symlink_to(home)
    named = {"below a file": home / "inner", "too long": home / ("x" * 300)}.get(kind, home)
    if kind == "below a file":
        home.write_text("mine")
    environment = {**service.environment, "FORGE_HOME": str(named)}
    for command in ("engine.control",), ("engine.cli", "runs"):
        done = subprocess.run(
            [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode in (1, 4)
        assert "Traceback" not in done.stderr
        assert "home.unusable" in done.stderr or "controller.not_started" in done.stderr
    assert not home.is_file() or home.read_text() == "mine"


def test_a_start_on_a_full_disk_leaves_nothing_half(service):
    with small_disk(service.home.root, "2m") as disk:
        with full(disk):
            code, said = start_without(service)
            assert code == 1
            assert "disk" in said
            assert "full" in said
        service.start()  # what was left does not hinder
        assert service.client.runs().total == 0
        service.close()
