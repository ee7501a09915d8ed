"""Counts of two instances in one Redis: together they answer a key no more often than it may ask."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from engine.contract.serving import NewKey, ServeJob
from tests.helpers.controller import ControllerProcess
from tests.helpers.docker_process import free_port
from tests.helpers.real_worker import WORKER, needs_worker
from tests.helpers.waiting import wait_until

pytestmark = [
    needs_worker,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server (installer/setup.sh docker)"),
    pytest.mark.skipif(not list(Path(WORKER).parents[1].glob("lib/python*/site-packages/redis")),
                       reason="the worker's environment has no redis"),
]  # fmt: skip
PASSWORD, OWN = "a-password-of-this-test", "own-key-of-two-instances-0123456789"
ASKED = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 2}
MOST = 5


@dataclass
class Redis:
    """A real one on loopback."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """It answers, to who knows its password."""
        lines = (f"port {self.port}", "bind 127.0.0.1", f"requirepass {PASSWORD}", 'save ""', f"dir {self.folder}")
        log = (self.folder / "redis.log").open("ab")
        self.process = subprocess.Popen(["redis-server", "-"], stdin=subprocess.PIPE, stdout=log, stderr=log)
        log.close()
        assert self.process.stdin is not None
        self.process.stdin.write("\n".join(lines).encode())
        self.process.stdin.close()
        wait_until(lambda: b"Ready to accept" in (self.folder / "redis.log").read_bytes(), 20, "redis answers")

    def stop(self) -> None:
        """Gone, with all it counted."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            (self.folder / "redis.log").unlink()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    made = Redis(free_port(), tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControllerProcess]:
    monkeypatch.setenv("FORGE_REDIS_PASSWORD", PASSWORD)
    made = ControllerProcess(tmp_path / "home", WORKER)
    made.start()
    with contextlib.closing(made):
        yield made


def test_that_two_instances_count_a_key_together(real: ControllerProcess, redis: Redis) -> None:
    job = ServeJob.model_validate(
        {
            "model": {"path": "demo", "hub": "bundled"},
            "context": 128,
            "limits_in": redis.url,
            "requests_per_minute": MOST,
        }
    )
    addresses, runs = [], []
    for _ in range(2):
        run = real.client.serve(job, start=False, gpus=0)
        real.client.make_serve_key(run.uid, NewKey.model_validate({"key": OWN}))
        real.client.start(run.uid)
        addresses.append(wait_until(lambda uid=run.uid: real.client.instance(uid).address, 180, "it answers"))
        runs.append(run.uid)

    def ask(number: int) -> httpx.Response:
        url = f"{addresses[number % 2]}/v1/chat/completions"
        return httpx.post(
            url, json=ASKED, headers={"authorization": f"Bearer {OWN}"}, timeout=60, trust_env=False
        )  # fmt: skip

    answers = [ask(number) for number in range(MOST + 3)]
    assert [one.status_code for one in answers] == [200] * MOST + [429] * 3
    assert int(answers[-1].headers["retry-after"]) >= 1
    redis.stop()
    away = ask(0)
    assert away.status_code == 503, away.text  # nobody is answered uncounted
    assert away.json()["error"]["forge"]["code"] == "serve.counts_away"
    assert PASSWORD not in away.text
    redis.start()  # empty: a new minute for everybody
    assert wait_until(lambda: ask(1).status_code == 200, 60, "it is asked again")
    whole = b"".join(path.read_bytes() for path in real.home.root.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in whole
    for uid in runs:
        real.client.stop(uid)
        real.until(uid, "stopped")
