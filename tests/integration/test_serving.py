"""A model is served by a real worker below a real controller: asked, given keys, killed, moved on, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import openai
import pytest

from engine.client.serving import Stop
from engine.contract.adapter_library import ImportAdapter
from engine.contract.errors import Conflict, NotFound, Refused
from engine.contract.run_spec import RunSpec
from engine.contract.serving import Instance, LoadAdapter, NewKey, ServeJob
from engine.control.executors.code import worker_path
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker
from tests.helpers.waiting import wait_until

pytestmark = needs_worker
DEMO = {"path": "demo", "hub": "bundled"}
ASKED = [{"role": "user", "content": "Convert to an ISO date: 3 May 2021"}]


def job(**more: object) -> ServeJob:
    """Of the model that ships."""
    return ServeJob.model_validate({"model": DEMO, "context": 256, **more})


def ready(real: ControllerProcess, uid: str) -> Instance:
    """It answers."""

    def look() -> Instance | None:
        found = real.client.instance(uid)
        return found if found.ready else None

    found = wait_until(look, 180, "the instance answers")
    assert found is not None
    return found


def asked(instance: Instance, key: str, model: str = "demo") -> str:
    """An answer through the official client."""
    with openai.OpenAI(base_url=f"{instance.address}/v1", api_key=key, max_retries=0) as client:
        made = client.chat.completions.create(model=model, messages=ASKED, temperature=0, max_tokens=12)  # type: ignore[arg-type]
        return made.choices[0].message.content or ""


def trained(real: ControllerProcess, name: str = "teaches", steps: int = 2) -> str:
    """A run that made an adapter."""
    training = {"max_steps": steps, "micro_batch_size": 4, "learning_rate": 0.02, "threads": 1}
    order = {"kind": "train", "model": DEMO, "data": {"train": [{**DEMO, "limit": 16}], "max_length": 128},
             "training": training, "tuner": {"rank": 4}}  # fmt: skip
    run = real.client.create(RunSpec.model_validate({"name": name, "job": order}))
    assert real.until(run.uid, "completed", "failed", timeout=300).run.state == "completed"
    return run.uid


def worker_of(real: ControllerProcess, uid: str, attempt: int) -> int:
    """The worker's process."""
    return int(json.loads(real.home.attempt(uid, attempt).monitor.read_bytes())["worker"]["pid"])


def test_that_an_instance_answers_and_keys_change_while_it_does(real: ControllerProcess) -> None:
    run = real.client.serve(job(), "an instance", start=False)
    first = real.client.make_serve_key(run.uid, NewKey(name="first"))
    real.client.start(run.uid)
    with pytest.raises(Conflict, match="does not answer yet"):
        real.client.serving_status(run.uid)
    instance = ready(real, run.uid)
    assert instance.models == ["demo", "auto"]
    detail = real.client.run(run.uid)
    assert (detail.run.kind, detail.run.lane, detail.run.phase) == ("serve", "light", "serving")
    assert asked(instance, first.key)
    with pytest.raises(openai.AuthenticationError):
        asked(instance, "lf-none")
    (seen,) = [one for one in real.client.instances().instances if one.run == run.uid]
    assert seen.kind == "serve"
    second = real.client.rotate_serve_key(run.uid, first.about.id, hours=1)
    assert second.about.counted_as == first.about.hash
    wait_until(lambda: _taken(instance, second.key), what="the new key is known")
    assert asked(instance, first.key) == asked(instance, second.key)  # both, for an hour
    real.client.revoke_serve_key(run.uid, first.about.id)
    wait_until(lambda: not _taken(instance, first.key), what="the old key is refused")
    assert [one.name for one in real.client.serve_keys(run.uid)] == ["first"]
    pieces = list(real.client.chat_stream(run.uid, {"model": "demo", "messages": ASKED, "temperature": 0}, Stop()))
    assert "".join(piece.text for piece in pieces)
    assert pieces[-1].times["prompt"] > 0
    assert real.client.serving_status(run.uid).requests >= 3
    with pytest.raises(NotFound):
        real.client.revoke_serve_key(run.uid, "none")
    whole = b"".join(path.read_bytes() for path in real.home.root.rglob("*") if path.is_file())
    assert first.key.encode() not in whole  # told once, kept nowhere
    assert second.key.encode() not in whole
    real.client.stop(run.uid)
    assert real.until(run.uid, "stopped").run.reason == "stopped_by_person"
    with pytest.raises(Conflict, match="does not answer yet"):
        real.client.serving_status(run.uid)


def _taken(instance: Instance, key: str) -> bool:
    answer = httpx.get(f"{instance.address}/v1/models", headers={"authorization": f"Bearer {key}"}, trust_env=False)
    return answer.status_code == 200


def test_that_a_killed_instance_is_there_again_with_its_keys(real: ControllerProcess) -> None:
    real.client.edit_settings({"retry_seconds": 0.1})
    run = real.client.serve(job(restarts=1), start=False)
    key = real.client.make_serve_key(run.uid, NewKey()).key
    real.client.start(run.uid)
    before = asked(ready(real, run.uid), key)
    os.kill(worker_of(real, run.uid, 1), signal.SIGKILL)
    wait_until(lambda: len(real.client.run(run.uid).attempts) == 2, 60, "it is started again")
    instance = ready(real, run.uid)
    assert (instance.restarts, asked(instance, key)) == (1, before)
    os.kill(real.client.health().pid, signal.SIGKILL)  # the controller dies, the instance does not mind
    wait_until(lambda: not real.running(), what="the controller has gone")
    assert asked(instance, key) == before
    real.start()
    assert ready(real, run.uid).address == instance.address
    assert real.client.complete(run.uid, {"model": "demo", "messages": ASKED, "temperature": 0}).text.startswith(before)
    os.kill(worker_of(real, run.uid, 2), signal.SIGKILL)  # once too often in an hour
    assert real.until(run.uid, "failed", timeout=60).run.reason == "worker_killed"


def test_that_one_killed_while_it_loads_is_there_in_the_end_with_its_keys(real: ControllerProcess) -> None:
    real.client.edit_settings({"retry_seconds": 0.1})
    run = real.client.serve(job(), start=False)
    key = real.client.make_serve_key(run.uid, NewKey()).key
    real.client.start(run.uid)
    wait_until(lambda: real.client.run(run.uid).run.phase == "loading", 60, "it loads")
    assert not real.client.instance(run.uid).ready
    os.kill(worker_of(real, run.uid, 1), signal.SIGKILL)
    assert asked(ready(real, run.uid), key)
    first, _second = real.client.run(run.uid).attempts
    assert first.reason == "worker_killed"


def test_that_a_runs_adapter_is_in_the_library_and_is_served(real: ControllerProcess, tmp_path: Path) -> None:
    uid = trained(real)
    (made,) = real.client.adapters().adapters
    assert (made.run, made.name, made.card.rank, made.missing) == (uid, "teaches", 4, False)
    assert made.card.base_hash
    view = real.client.adapter_view(made.id)
    assert view.verified
    brought = real.client.import_adapter(ImportAdapter(path=made.folder, name="brought", description="about dates"))
    assert (brought.origin, brought.name, brought.card.description) == ("import", "brought", "about dates")
    again = real.client.import_adapter(ImportAdapter(path=brought.path))
    assert len(real.client.adapters().adapters) == len({one.id for one in real.client.adapters().adapters})
    run = real.client.serve(job(adapters=[{"name": "taught", "path": made.path}]))
    instance = ready(real, run.uid)
    base, taught = (_text(real, run.uid, model) for model in ("demo", "taught"))
    assert base != taught
    real.client.load_adapter(run.uid, LoadAdapter(name="folder", path=made.folder))
    assert _text(real, run.uid, "folder") == taught
    assert {one.name for one in real.client.served_adapters(run.uid)} == {"taught", "folder"}
    real.client.unload_adapter(run.uid, "folder")
    assert "taught" in instance.models
    real.client.stop(run.uid)
    with pytest.raises(Conflict):
        real.client.remove_adapter(made.id)
    for one in {brought.id, again.id}:
        real.client.remove_adapter(one)
    assert [one.id for one in real.client.adapters().adapters] == [made.id]
    broken = tmp_path / "broken.lora.arrow"
    broken.write_bytes(Path(made.path).read_bytes()[:-100])
    with pytest.raises(Exception, match="broken"):
        real.client.import_adapter(ImportAdapter(path=str(broken)))
    assert len(list(real.home.adapters.iterdir())) == 0


def test_that_adapters_are_after_a_death_as_people_had_them(real: ControllerProcess, tmp_path: Path) -> None:
    trained(real)
    (made,) = real.client.adapters().adapters
    real.client.edit_settings({"retry_seconds": 0.1})
    job_of = [{"name": name, "path": made.path} for name in ("kept", "dropped", "changed")]
    run = real.client.serve(job(adapters=job_of))
    ready(real, run.uid)
    file = tmp_path / "gone.lora.arrow"
    file.write_bytes(Path(made.path).read_bytes())
    real.client.load_adapter(run.uid, LoadAdapter(name="late", path=made.folder))
    real.client.load_adapter(run.uid, LoadAdapter(name="changed", path=made.folder, replace=True))
    real.client.load_adapter(run.uid, LoadAdapter(name="gone", path=str(file)))
    real.client.unload_adapter(run.uid, "dropped")
    there = {"demo", "kept", "late", "changed", "gone", "auto"}
    wait_until(lambda: set(real.client.instance(run.uid).models) == there, what="what is there is told")
    file.unlink()
    many = [f"{number:02}-{'m' * 100}" for number in range(70)]  # more than a line of the journal holds
    for name in many:
        real.client.load_adapter(run.uid, LoadAdapter(name=name, path=made.folder))
    os.kill(worker_of(real, run.uid, 1), signal.SIGKILL)
    wait_until(lambda: len(real.client.run(run.uid).attempts) == 2, 60, "it is started again")
    ready(real, run.uid)
    paths = {one.name: one.path for one in real.client.served_adapters(run.uid)}
    others = dict.fromkeys(many, made.folder)
    assert paths == {"kept": made.path, "changed": made.folder, "late": made.folder, **others}
    (lost,) = [line for line in real.journal(run.uid, 2) if line.get("code") == "serve.adapter_lost"]
    assert lost["params"]["name"] == "gone"


def _text(real: ControllerProcess, uid: str, model: str) -> str:
    body = {"model": model, "messages": ASKED, "temperature": 0, "max_tokens": 16, "ignore_eos": True}
    return real.client.complete(uid, body).text


def test_that_what_cannot_be_served_is_refused_before_or_told_whole(real: ControllerProcess, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        real.client.serve(job(model={"path": "/none"}, adapters=[{"name": "demo", "path": "/nowhere"},
                                                                 {"name": "auto", "path": str(tmp_path)}]))  # fmt: skip
    found = {(problem.field, problem.code) for problem in caught.value.problems}
    assert ("model.path", "config.path_missing") in found
    assert ("adapters.1.name", "serve.name_taken") in found
    assert ("adapters.0.path", "config.path_missing") in found
    assert ("adapters.1.path", "serve.adapter_unfit") in found
    with pytest.raises(Refused):
        real.client.serve(job(open=True, host="0.0.0.0"))
    torn = tmp_path / "torn.lora.arrow"
    torn.write_bytes(b"ARROW1\0\0")
    run = real.client.serve(job(adapters=[{"name": "torn", "path": str(torn)}]))
    detail = real.until(run.uid, "failed", "running", timeout=120)
    detail = detail if detail.run.state == "failed" else real.until(run.uid, "failed", timeout=120)
    assert detail.run.error.code == "serve.refused"
    assert [problem.field for problem in detail.run.error.problems] == ["adapters.0.path"]
    assert len(detail.attempts) == 1  # it never answered: starting again would not help


def test_that_the_command_line_serves_and_chats(real: ControllerProcess) -> None:
    done = real.forge("chat", "Hello", "--model", "demo", "--temperature", "0", "--json", timeout=180)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"]
    done = real.forge("serve", "--model", "demo", "--name", "served", "--detach", "--json", timeout=180)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert asked(Instance.model_validate({name: told[name] for name in Instance.model_fields}), told["key"])
    listed = real.forge("serve-keys", "served", "--make", "another", "--json")
    assert json.loads(listed.stdout)["made"]["key"].startswith("lf-")
    own = real.forge("serve", "--model", "demo", "--api-key", "short", "--detach")
    assert own.returncode != 0
    assert "16 to 200" in own.stderr
    talked = subprocess.run(
        [sys.executable, "-m", "engine.cli", "chat", "--instance", "served", "--temperature", "0"],
        input="Hello\n/reset\n/model none\nHello\n/quit\n", capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "FORGE_HOME": str(real.home.root), "PYTHONPATH": str(worker_path(real.home))},
    )  # fmt: skip
    assert talked.returncode == 0
    assert talked.stdout.strip()
    assert "none" in talked.stderr  # a model that is not there is told, and the talk goes on
    real.client.stop(told["run"])
    real.until(told["run"], "stopped")


def test_that_who_hangs_up_before_the_first_word_frees_the_place(real: ControllerProcess) -> None:
    run = real.client.serve(job(parallel=1, context=1024))
    ready(real, run.uid)
    long = {"model": "demo", "messages": ASKED, "temperature": 0, "max_tokens": 900, "ignore_eos": True}
    stops = [Stop(), Stop()]
    asking = [threading.Thread(target=_listen, args=(real, run.uid, long, stop)) for stop in stops]
    for thread in asking:
        thread.start()
    wait_until(lambda: real.client.serving_status(run.uid).waiting == 1, 60, "one waits for the other")
    for stop in stops:
        stop.set()
    wait_until(lambda: _idle(real, run.uid), 30, "nobody is at work")
    for thread in asking:
        thread.join(10)


def _listen(real: ControllerProcess, uid: str, body: dict[str, object], stop: Stop) -> None:
    for _ in real.client.chat_stream(uid, body, stop):
        pass


def _idle(real: ControllerProcess, uid: str) -> bool:
    status = real.client.serving_status(uid)
    return status.running == status.waiting == 0


def test_that_an_instance_nobody_asks_ends_by_itself(real: ControllerProcess) -> None:
    run = real.client.serve(job(idle_minutes=0.01))
    assert real.until(run.uid, "completed", "failed", timeout=120).run.reason == "finished"
