"""Helper queries: answers, failures, time, and askers who leave."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from engine.contract.api import QueryRequest
from engine.contract.paths import Home
from engine.control.api import queries
from engine.control.executors import identity
from tests.helpers.waiting import wait_until


def helper(folder: Path, code: str) -> str:
    """An "interpreter" that runs this code whatever it is asked for."""
    script, path = folder / "helper.py", folder / "helper"
    script.write_text(f"import os, sys\nopen({str(folder / 'pid')!r}, 'w').write(str(os.getpid()))\n{code}\n")
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    path.chmod(0o755)
    return str(path)


async def stays():
    await asyncio.Event().wait()
    return {}


def ask(folder: Path, code: str, receive=stays, kind: str = "k"):
    home = Home(folder / "home")
    return asyncio.run(queries.ask(helper(folder, code), home, QueryRequest(kind=kind, params={"a": 1}), receive))


def gone(folder: Path) -> bool:
    return identity.of(int((folder / "pid").read_text())) is None


def test_that_the_last_line_is_the_answer(tmp_path):
    answer = ask(tmp_path, "import json; q = json.load(sys.stdin); print('noise'); print(json.dumps({'result': q}))")
    assert answer.result == {"kind": "k", "params": {"a": 1}}
    assert gone(tmp_path)


@pytest.mark.parametrize("code", ["print('not json')", "sys.exit('no module')", "os.kill(os.getpid(), 9)", ""])
def test_that_a_helper_that_fails_is_an_answer_too(tmp_path, code):
    assert ask(tmp_path, code).error.code == "query.failed"


def test_that_a_helper_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(queries, "LIMIT_S", 1.0)
    answer = ask(tmp_path, "import time; time.sleep(600)")
    assert answer.error.code == "query.too_slow"
    assert gone(tmp_path)


def test_that_one_that_writes_large_files_has_the_time_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(queries, "LIMIT_S", 0.01)
    code = "import json; q = json.load(sys.stdin); print(json.dumps({'result': q}))"
    assert ask(tmp_path, code).error.code == "query.too_slow"
    assert ask(tmp_path, code, kind="write_adapter").error is None


def test_that_nobody_works_for_an_asker_who_left(tmp_path):
    async def leaves():
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    began = time.monotonic()
    ask(tmp_path, "import time; time.sleep(600)", leaves)
    assert time.monotonic() - began < queries.LIMIT_S
    wait_until(lambda: gone(tmp_path))
