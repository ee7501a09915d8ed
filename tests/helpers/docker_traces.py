"""What engines of tests leave on a machine, and how it goes: folders, bridges, mounts, cgroups, processes.

Everything lies below one folder whose name stands in every process, cgroup and list, so that nothing else is hit. A
test run that was killed is cleared away by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.helpers.docker_process import CannotStart, end_all, find_program
from tests.helpers.waiting import wait_until

PREFIX = "loraforge-engines-"
OWNER = "owner.json"
NEEDED_MEMORY = 6 << 30
"""With so much to spare everything lies in memory: images load in seconds, and removing them takes no time at all."""
ON_DISK = "FORGE_TEST_ENGINES_ON_DISK"
"""Set it to measure real disks."""
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Bridge:
    """A network bridge of ours."""

    name: str
    pool: str
    """Addresses from which the engine takes those of further networks, sixteen of fourteen each."""


class Place:
    """The folder of one test run, and the bridges it made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cgroup = f"/{folder.name}"
        self._bridges: list[str] = []
        self._note()

    def make_bridge(self) -> Bridge:
        """A bridge with a range of addresses that no interface of this machine has."""
        with _one_at_a_time():
            name, number = self._new_name()
            _ip("link", "add", "name", name, "type", "bridge")
            _ip("addr", "add", f"10.213.{number}.1/24", "dev", name)
        _ip("link", "set", name, "up")
        return Bridge(name, f"10.214.{number}.0/24")

    def make_cable(self) -> tuple[str, str, str]:
        """A name for one more interface of ours, removed like a bridge, and the addresses of its two ends."""
        name, number = self._new_name()
        return name, f"10.213.{number}.1", f"10.213.{number}.2"

    def _new_name(self) -> tuple[str, int]:
        """Noted before it is made, so that it is removed whatever happens; with a number nobody uses."""
        name = f"lf{secrets.token_hex(4)}"
        taken = {a.address.rpartition(".")[0] for found in psutil.net_if_addrs().values() for a in found}
        number = secrets.choice([n for n in range(16, 250) if f"10.213.{n}" not in taken])
        self._bridges.append(name)
        self._note()
        return name, number

    def _note(self) -> None:
        me = psutil.Process()
        owner = {"pid": me.pid, "started": me.create_time(), "bridges": self._bridges}
        (self.folder / OWNER).write_text(json.dumps(owner))


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """A folder for one test run (a short name: a socket's path has room for 107 letters); gone afterwards."""
    if os.geteuid() != 0:
        raise CannotStart("only root can start a Docker engine")
    find_program("/usr/sbin/ip", "/sbin/ip")
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
    if room_in_memory():
        mount("-t", "tmpfs", "-o", "size=8g", "tmpfs", str(folder))
    folder.chmod(0o755)
    try:
        yield Place(folder)
    finally:
        demolish(folder)


def sweep() -> None:
    """Clear away what a test run that was killed has left."""
    for folder in Path("/tmp").glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            owner = json.loads((folder / OWNER).read_text())
            if not _lives(owner["pid"], owner["started"]):
                demolish(folder)


def demolish(folder: Path) -> None:
    """Whatever is left below this folder: processes, containers, mounts, bridges, cgroups, files."""
    assert folder.name.startswith(PREFIX)
    end_all([process for process in psutil.process_iter(["cmdline"]) if _names(process, folder)])
    for cgroup in _cgroups(folder):
        _end_cgroup(cgroup)
    with contextlib.suppress(OSError, ValueError, KeyError):
        for bridge in json.loads((folder / OWNER).read_text())["bridges"]:
            with contextlib.suppress(CannotStart):
                _ip("link", "delete", bridge)
    for mount in _mounts_below(folder):
        subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of the test runs of this machine: a number that is free stays free until it is taken."""
    with (Path(tempfile.gettempdir()) / f"{PREFIX}lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def room_in_memory() -> bool:
    """Whether the engines of this test run, and of those beside it, may lie in memory."""
    beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return psutil.virtual_memory().available > NEEDED_MEMORY * beside and not os.environ.get(ON_DISK)


def until_told(told: threading.Event) -> None:
    """Wait for Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    while not told.wait(3600):
        pass


def _ip(*arguments: str) -> None:
    program = find_program("/usr/sbin/ip", "/sbin/ip")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotStart(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _lives(pid: int, started: float) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return abs(psutil.Process(pid).create_time() - started) < 2
    return False


def _names(process: psutil.Process, folder: Path) -> bool:
    """Whether it was started for this folder: only paths below it count, in a server's arguments."""
    words = process.info["cmdline"] or []
    servers = ("dockerd", "containerd", "containerd-shim-runc-v2", "sshd:", "sshd", "docker-proxy")
    if not words or Path(words[0].split(" ")[0]).name not in servers:
        return False
    return any(f"{folder}/" in word for word in words)


def _cgroups(folder: Path) -> list[Path]:
    """Of all hierarchies, the deepest first."""
    tops = [found for found in (CGROUPS / folder.name, *CGROUPS.glob(f"*/{folder.name}")) if found.is_dir()]
    return sorted((c for top in tops for c in _below(top)), key=lambda c: len(c.parts), reverse=True)


def _below(top: Path) -> Iterator[Path]:
    """A folder and all folders in it; one that vanishes meanwhile (pathlib's globs break there) is passed over."""
    return (Path(at) for at, _folders, _files in os.walk(top))


def thaw(container: str) -> None:
    """Let what is frozen in a container go on, whatever its engine says; frozen processes cannot even be killed."""
    for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        for cgroup in _below(CGROUPS):
            if cgroup.name == container and (cgroup / name).exists():
                with contextlib.suppress(OSError):
                    (cgroup / name).write_text(value)


def _end_cgroup(cgroup: Path) -> None:
    thaw(cgroup.name)

    def empty() -> bool:
        try:
            pids = (cgroup / "cgroup.procs").read_text().split()
        except OSError:
            return True
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        return not pids

    wait_until(empty, 20, f"nothing lives in {cgroup}")
    with contextlib.suppress(OSError):
        cgroup.rmdir()


def mount(*arguments: str) -> None:
    """Mount something; without the right to, the disk serves as well."""
    subprocess.run(["mount", *arguments], capture_output=True, check=False)


def _mounts_below(folder: Path) -> list[str]:
    """The innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split(" ")[4] for line in lines]
    ours = [point for point in points if point == str(folder) or point.startswith(f"{folder}/")]
    return sorted(ours, key=len, reverse=True)
