"""Logs: their level and form, errors with code and fix, and a worker's log in pieces."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import logfile, logs
from engine.contract.errors import UserError
from engine.contract.paths import code_root


def record(level: int = logging.INFO, message: str = "hello %s", *values: object, **rest: object) -> logging.LogRecord:
    made = logging.LogRecord("worker", level, __file__, 1, message, values, None)
    for name, value in rest.items():
        setattr(made, name, value)
    return made


def test_that_a_json_line_carries_an_errors_code_and_fix() -> None:
    body = UserError("worker.disk_full", path="/x").body()
    line = json.loads(logs.JsonFormatter().format(record(logging.ERROR, "no %s", "room", error=body)))
    assert line["message"] == "no room"
    assert (line["level"], line["logger"], line["error"]["code"]) == ("error", "worker", "worker.disk_full")
    assert line["error"]["fix"] == body.fix
    try:
        raise UserError("run.unknown", run="r1")
    except UserError:
        found = record(logging.ERROR, "failed")
        found.exc_info = sys.exc_info()
    line = json.loads(logs.JsonFormatter().format(found))
    assert line["error"]["code"] == "run.unknown"
    assert "UserError" in line["traceback"]
    assert "\n" not in logs.JsonFormatter().format(found)


def test_that_an_unknown_level_in_the_environment_is_info(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.LEVEL_VARIABLE, "LOUD")
    assert logs.level_from_environment() == "info"
    monkeypatch.setenv(logs.LEVEL_VARIABLE, "Debug")
    assert logs.level_from_environment() == "debug"
    for name, value in logs.environment("warning", True).items():
        monkeypatch.setenv(name, value)
    assert (logs.level_from_environment(), logs.json_from_environment()) == ("warning", True)


def test_that_handlers_of_others_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    before = caplog.handler.formatter
    logs.apply("error", True)
    assert caplog.handler.formatter is before


@given(
    st.lists(st.binary(min_size=1, max_size=30), max_size=40),
    st.integers(1, 60),
    st.integers(1, 4),
    st.integers(-50, 400),
    st.integers(0, 100),
)
def test_that_offsets_stay_valid_while_a_log_is_cut(
    tmp_path_factory: pytest.TempPathFactory, writes: list[bytes], limit: int, kept: int, offset: int, length: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "worker.log"
    whole = b""
    for text in writes:
        with path.open("ab") as file:
            file.write(text)
        whole += text
        logfile.rotate(path, (), limit, kept)
        assert logfile.size(path) == len(whole)
    data, start, size = logfile.read(path, offset, length)
    assert size == len(whole)
    assert data == whole[start : start + len(data)]
    asked = min(offset, size) if offset >= 0 else max(0, size + offset)
    assert start >= asked
    assert len(logfile.pieces(path)) <= kept
    everything, begin, _ = logfile.read(path, 0, len(whole) + 1)
    assert everything == whole[begin:]


def test_that_a_process_goes_on_writing_into_the_new_piece(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    program = (
        "import os, sys; from pathlib import Path; from engine.contract import logfile\n"
        "path = Path(sys.argv[1])\n"
        "for n in range(2000):\n"
        "    os.write(1, b'%06d\\n' % n); os.write(2, b'%06d\\n' % n)\n"
        "    logfile.rotate(path, limit=1000, kept=10**6)\n"
    )
    with path.open("ab") as log:
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            stdout=log, stderr=log, check=True, env={**os.environ, "PYTHONPATH": str(code_root())},
        )  # fmt: skip
    data, begin, size = logfile.read(path, 0, 10**9)
    assert (begin, len(data)) == (0, size)
    assert data.split() == [b"%06d" % (n // 2) for n in range(4000)]
    assert len(logfile.pieces(path)) > 10
