"""Stands where the worker's program stands in a container: learns a number instead of a model (tests/chaos).

More words in the run's name: `noise=N` (prints N odd lines first), `eat=MB` (takes memory until it is ended),
`look` (writes what it can see and do into a result).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

from engine.contract.paths import AttemptFolder
from tests.chaos.light_worker import main


def make_noise(lines: int) -> None:
    """Text of many kinds, bytes that are no text, and a line that is longer than Docker keeps in one."""
    for number in range(lines):
        sys.stdout.buffer.write(f"line {number} \u00e9\u4e2d\U0001f600 \x1b[0m\\\n".encode())
    sys.stdout.buffer.write(b"no text: \xff\xfe\x00\x80\n" + b"long " * 20_000 + b"\n")
    sys.stdout.flush()


def eat(megabytes: int) -> None:
    """More and more memory."""
    eaten = []
    while len(eaten) < megabytes:
        eaten.append(bytearray(b"x" * (1 << 20)))


def look(folder: AttemptFolder) -> None:
    """What a worker can see of the world, and do to it."""
    status = Path("/proc/self/status").read_text()
    facts = {
        "uid": os.getuid(), "gid": os.getgid(), "interfaces": sorted(os.listdir("/sys/class/net")),
        "capabilities": [line.split()[1] for line in status.splitlines() if line.startswith("Cap")],
        "no_new_privileges": "NoNewPrivs:\t1" in status,
        "runs": sorted(os.listdir("/job/runs")), "volumes": _volumes(), "threads": os.environ.get("OMP_NUM_THREADS"),
        "write_root": _may(lambda: Path("/here").write_text("x")),
        "write_code": _may(lambda: Path("/opt/forge/engine/x").write_text("x")),
        "write_packages": _may(lambda: Path("/opt/venv/x").write_text("x")),
        "write_inputs": [_may(lambda folder=folder: Path(folder, "x").write_text("x")) for folder in _inputs()],
        "write_tmp": _may(lambda: Path("/tmp/x").write_text("x")),
        "become_root": _may(lambda: os.setuid(0)),
        "connect": _may(lambda: socket.create_connection(("10.255.255.1", 9), 1)),
        "docker_socket": Path("/var/run/docker.sock").exists(), "environment": dict(os.environ),
    }  # fmt: skip
    folder.outputs.mkdir(exist_ok=True)
    (folder.outputs / "look.json").write_text(json.dumps(facts))


def _volumes() -> list[str]:
    return sorted(
        line.split()[4].replace("\\040", " ") for line in Path("/proc/self/mountinfo").read_text().splitlines()
    )


def _inputs() -> list[str]:
    return [place for place in _volumes() if place.startswith("/inputs")]


def _may(deed) -> str:
    try:
        deed()
    except OSError as error:
        return type(error).__name__
    return "yes"


if __name__ == "__main__":
    folder = AttemptFolder(Path(sys.argv[-1]).absolute())
    name = json.loads(folder.order.read_bytes())["spec"]["name"]
    words = dict(word.partition("=")[::2] for word in name.split())
    make_noise(int(words["noise"])) if "noise" in words else None
    look(folder) if "look" in words else None
    eat(int(words["eat"])) if "eat" in words else None
    sys.exit(main(folder.root))
