"""The worker's parent in a container, the live line of the journal, and the putting together of cache entries."""

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.compute.worker import container, journal, receive
from engine.compute.worker.container import MAX_LINE_BYTES, Outlet, log_lines
from engine.compute.worker.journal import Journal
from engine.contract import events, logfile
from engine.contract.paths import code_root

WORKER = """
import os, signal, socket, sys, time
sys.stdout.buffer.write(b"plain\\n\\xff\\xfe\\n"); sys.stdout.flush()
live = socket.socket(fileno=int(os.environ["FORGE_JOURNAL_FD"]))
for n in range(int(sys.argv[2])):
    live.send(b'{"seq": %d}\\n' % (n + 1))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(77))
if sys.argv[1] == "wait":
    print("ready", flush=True)
    time.sleep(60)
if sys.argv[1] == "die":
    os.kill(os.getpid(), 9)
sys.exit(int(sys.argv[1]))
"""


def parent(folder: Path, *words: str, **more) -> subprocess.Popen:
    command = [sys.executable, "-m", "engine.compute.worker.container", str(folder), "--", sys.executable, "-c", WORKER]
    environment = {**os.environ, "PYTHONPATH": str(code_root())}
    return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, env=environment, **more)


def told(text: bytes) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def printed(lines: list[dict]) -> bytes:
    """What the worker printed; as text or, where it is none, as base64."""
    return b"".join(
        line["text"].encode() if "text" in line else base64.b64decode(line["b64"]) for line in lines if "log" in line
    )


@pytest.mark.parametrize(
    ("words", "code", "ended"),
    [(("0", "3"), 0, (0, None)), (("77", "0"), 77, (77, None)), (("die", "1"), 137, (None, 9))],
)
def test_that_it_ends_as_its_worker_and_writes_it_down(tmp_path, words, code, ended):
    process = parent(tmp_path, *words)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code
    witness = json.loads((tmp_path / "exit.json").read_bytes())
    assert (witness["code"], witness["signal"]) == ended
    lines = told(output)
    assert [line["seq"] for line in lines if "seq" in line] == list(range(1, int(words[1]) + 1))
    assert printed(lines) == (tmp_path / "worker.log").read_bytes() == b"plain\n\xff\xfe\n"


def test_that_it_passes_sigterm_on(tmp_path):
    process = parent(tmp_path, "wait", "0")
    assert process.stdout is not None
    for line in process.stdout:
        if b"ready" in printed(told(line)):
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 77
    process.stdout.close()


def test_that_nobody_who_reads_costs_nothing(tmp_path):
    process = parent(tmp_path, "0", "50000")  # more than any pipe holds
    assert process.wait(60) == 0
    assert process.stdout is not None
    lines = told(process.stdout.read().rpartition(b"\n")[0])  # the last may be torn
    process.stdout.close()
    numbers = [line["seq"] for line in lines if "seq" in line]
    assert numbers == sorted(numbers)
    assert 0 < len(numbers) < 50_000


def test_that_a_worker_that_cannot_be_started_is_said(tmp_path):
    command = [sys.executable, "-m", "engine.compute.worker.container", str(tmp_path), "--", "/no/such/program"]
    environment = {**os.environ, "PYTHONPATH": str(code_root())}
    assert subprocess.run(command, env=environment, check=False).returncode == 127
    assert json.loads((tmp_path / "exit.json").read_bytes())["code"] == 127
    assert "could not be started" in (tmp_path / "worker.log").read_text()


def test_that_log_lines_are_short_and_exact():
    data = "中文 \x00\x01".encode() * 5000 + bytes(range(256)) * 100
    lines = log_lines(7, data)
    assert max(map(len, lines)) < MAX_LINE_BYTES
    back, at = b"", 7
    for line in map(json.loads, lines):
        assert line["log"] == at
        piece = line["text"].encode() if "text" in line else base64.b64decode(line["b64"])
        back, at = back + piece, at + len(piece)
    assert back == data


def test_that_the_outlet_drops_whole_lines():
    reader, writer = os.pipe()
    outlet, line = Outlet(writer), b"x" * 9_999 + b"\n"
    for _ in range(1_000):
        outlet.put(line)
    assert outlet.waits
    got = b""
    while outlet.waits:
        got += os.read(reader, 1 << 20)
        outlet.flush()
    os.close(writer)
    while piece := os.read(reader, 1 << 20):
        got += piece
    os.close(reader)
    assert len(got) % len(line) == 0
    assert got == line * (len(got) // len(line))
    assert len(got) < 1_000 * len(line)


def test_that_a_long_log_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(logfile.rotate, "__defaults__", ((1, 2), 1000, 3))
    log = container.Log(tmp_path / "worker.log")
    for number in range(100):
        log.write(b"line %03d\n" % number)
    assert log.size == 900
    log.write(b"x" * 200)
    log.write(b"after\n")
    text, start, size = logfile.read(tmp_path / "worker.log", 0, 10_000)
    assert (start, size, log.size) == (0, 1106, 1106)
    assert text.endswith(b"xafter\n")
    assert len(logfile.pieces(tmp_path / "worker.log")) == 1


@pytest.fixture
def live(monkeypatch):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setenv(journal.LIVE_VARIABLE, str(theirs.fileno()))
    yield ours, theirs
    ours.close()
    theirs.close()


def test_that_each_line_of_the_journal_is_told_as_it_stands(tmp_path, live):
    ours, _ = live
    written = Journal(tmp_path / "journal.jsonl")
    for step in range(3):
        written.write(events.Step, step=step, epoch=0.0, values={"loss": 1.0})
    packets = [ours.recv(65_536) for _ in range(3)]
    written.close()
    assert b"".join(packets) == (tmp_path / "journal.jsonl").read_bytes()


@pytest.mark.parametrize("listener", ["slow", "gone"])
def test_that_a_listener_that_is_slow_or_gone_costs_no_line(tmp_path, live, listener):
    ours, theirs = live
    written = Journal(tmp_path / "journal.jsonl")
    if listener == "gone":
        ours.close()
        theirs.close()
    for step in range(5_000):
        written.write(events.Step, step=step, epoch=0.0, values={"loss": 1.0})
    written.close()
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == 5_000


def test_that_a_bad_variable_is_no_harm(tmp_path, monkeypatch):
    for value in ("", "x", "999"):
        monkeypatch.setenv(journal.LIVE_VARIABLE, value)
        Journal(tmp_path / f"j{value}").close()


def entry(folder: Path, files: dict[str, bytes], piece: int) -> None:
    parts = folder / ".parts"
    parts.mkdir(parents=True)
    listing = [
        {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    ]
    (parts / "list.json").write_text(json.dumps({"digest": "d", "piece": piece, "files": listing}))
    for number, data in enumerate(files.values()):
        for start in range(0, max(1, len(data)), piece):
            (parts / f"{number}-{start // piece}").write_bytes(data[start : start + piece])


FILES = {"a.bin": os.urandom(1000), "sub/b.bin": os.urandom(300), "empty": b"", "exact": os.urandom(600)}


def test_that_pieces_become_files(tmp_path):
    entry(tmp_path, FILES, 300)
    assert receive.main([str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    assert json.loads((tmp_path / ".entry.json").read_bytes())["digest"] == "d"
    assert not (tmp_path / ".parts").exists()


@pytest.mark.parametrize("killed_after", range(4))
def test_that_it_goes_on_where_it_was_killed(tmp_path, killed_after):
    entry(tmp_path, FILES, 300)
    parts = tmp_path / ".parts"
    whole = b"".join((parts / f"0-{n}").read_bytes() for n in range(4))
    done = killed_after * 300
    (parts / "0.whole").write_bytes(whole[:done] + b"torn"[: 4 if killed_after < 3 else 0])
    for n in range(killed_after):
        (parts / f"0-{n}").unlink()
    assert receive.main([str(tmp_path)]) == 0
    assert (tmp_path / "a.bin").read_bytes() == FILES["a.bin"]


def test_that_a_damaged_piece_is_named_and_the_rest_is_kept(tmp_path, capsys):
    entry(tmp_path, FILES, 300)
    (tmp_path / ".parts" / "1-0").write_bytes(b"x" * 300)
    assert receive.main([str(tmp_path)]) == 1
    assert "sub/b.bin" in capsys.readouterr().out
    assert not (tmp_path / ".entry.json").exists()
    (tmp_path / ".parts" / "1-0").write_bytes(FILES["sub/b.bin"])
    assert receive.main([str(tmp_path)]) == 0


def test_that_nothing_is_written_outside(tmp_path, capsys):
    entry(tmp_path / "in", {"../out": b"x"}, 300)
    assert receive.main([str(tmp_path / "in")]) == 1
    assert "leads out" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
