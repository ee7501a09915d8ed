"""A network namespace of ours with one cable to it, which a test can cut: packets go nowhere, nobody is told."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.docker_process import CannotStart, find_program
from tests.helpers.docker_traces import Place
from tests.helpers.waiting import wait_until


class Namespace:
    """Lives as long as a process of ours holds it; `inside` before a command runs it there."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.address = ""
        self.inside: list[str] = []
        self._holder: subprocess.Popen[bytes]
        self._cable = ""

    @contextlib.contextmanager
    def open(self) -> Iterator[Namespace]:
        """Made, and gone afterwards."""
        unshare, tie = find_program("/usr/bin/unshare"), find_program("/usr/bin/setpriv")
        self._holder = subprocess.Popen([tie, "--pdeathsig", "KILL", unshare, "--net", "sleep", "infinity"])
        try:
            self._lay_cable()
            yield self
        finally:
            self._holder.kill()
            self._holder.wait()

    def cut(self) -> None:
        """The far end of the cable is pulled out."""
        self._there("link", "set", "eth0", "down")

    def mend(self) -> None:
        """And put in again."""
        self._there("link", "set", "eth0", "up")

    def _lay_cable(self) -> None:
        pid = self._holder.pid
        ours = Path("/proc/self/ns/net").readlink()
        wait_until(lambda: Path(f"/proc/{pid}/ns/net").readlink() != ours, 10, "the namespace is there")
        self.inside = [find_program("/usr/bin/nsenter"), "-t", str(pid), "-n"]
        self._cable, near, self.address = self._place.make_cable()
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _ip("addr", "add", f"{near}/30", "dev", self._cable)
        _ip("link", "set", self._cable, "up")
        self._there("addr", "add", f"{self.address}/30", "dev", "eth0")
        self._there("link", "set", "lo", "up")
        self.mend()

    def _there(self, *arguments: str) -> None:
        _run([*self.inside, find_program("/usr/sbin/ip", "/sbin/ip"), *arguments])


def _ip(*arguments: str) -> None:
    _run([find_program("/usr/sbin/ip", "/sbin/ip"), *arguments])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotStart(f"{' '.join(command)}: {done.stderr.strip()}")
