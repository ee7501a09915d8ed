"""Faults of Docker nodes: what happens to containers, their workers, daemons, the way there, and the node's disk."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import requests

from tests.chaos.arena import Arena
from tests.chaos.nodes import HURT, Nodes
from tests.helpers import docker_traces
from tests.helpers.docker_process import children_of

Fault = Callable[[Arena, random.Random], str]
WAY = "way"
"""In `Nodes.down`: the way to the far node, not its daemon."""
AWAY_S = (0.5, 6.0)
"""A node that is away for more than two seconds is remarked on."""
COLD_S = 12.0
WORKER, PARENT = "engine.compute.worker ", "engine.compute.worker.container "


def of_node(what: str) -> Callable[[Callable[[Arena, Nodes, random.Random], str]], Fault]:
    """What an engine answers that was hurt before is no news."""

    def made(fault: Callable[[Arena, Nodes, random.Random], str]) -> Fault:
        @functools.wraps(fault)
        def safe(arena: Arena, chance: random.Random) -> str:
            assert arena.nodes is not None
            try:
                return fault(arena, arena.nodes, chance)
            except HURT as error:
                return f"{what}: {type(error).__name__}"

        return safe

    return made


def pick(arena: Arena, nodes: Nodes, chance: random.Random) -> tuple[str, dict[str, Any]] | None:
    """A live container, of a node whose daemon is well; containers start cold, so one is waited for."""
    until = time.monotonic() + COLD_S
    while True:
        candidates = nodes.answering()
        chance.shuffle(candidates)
        for name in candidates:
            rows = nodes.containers(name)
            if rows:
                return name, chance.choice(rows)
        if time.monotonic() > until:
            return None
        arena.mend()
        time.sleep(0.2)


def listing(nodes: Nodes, name: str, container: str, which: str) -> list[int]:
    """Processes in a container whose command has these words."""
    with contextlib.closing(nodes.engines[name].client(timeout=10)) as api:
        found = api.top(container, "-eo pid,args")["Processes"]
    return [int(pid) for pid, words in found if which in f"{words} " and "docker-init" not in words]


def in_container(which: str, number: signal.Signals) -> Fault:
    """A signal to the worker in a container, or to its parent."""

    @of_node(f"{number.name} in a container")
    def fault(arena: Arena, nodes: Nodes, chance: random.Random) -> str:
        found = pick(arena, nodes, chance)
        if found is None:
            return "no container to reach into"
        name, row = found
        pids = listing(nodes, name, row["Id"], which)
        if not pids:
            return f"{name} {row['Names'][0]}: nobody there yet"
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[-1], number)
        if number == signal.SIGSTOP:
            arena.later(chance.uniform(0.2, 2.0), functools.partial(_go_on, psutil.Process(pids[-1])))
        who = "worker" if which == WORKER else "parent"
        return f"{name} {row['Names'][0]}: {who} {number.name}"

    return fault


def to_container(verb: str) -> Fault:
    """Killed, removed by hand, or paused for a while."""

    @of_node(f"{verb} a container")
    def fault(arena: Arena, nodes: Nodes, chance: random.Random) -> str:
        found = pick(arena, nodes, chance)
        if found is None:
            return f"no container to {verb}"
        name, row = found
        with contextlib.closing(nodes.engines[name].client(timeout=20)) as api:
            if verb == "kill":
                api.kill(row["Id"], "SIGKILL")
            elif verb == "remove":
                api.remove_container(row["Id"], force=True)
            else:
                api.pause(row["Id"])
                arena.later(chance.uniform(0.5, 5.0), functools.partial(_unpause, nodes, name, row["Id"]))
        return f"{name} {row['Names'][0]}: {verb}"

    return fault


def to_daemon(verb: str, whose: str | None = None) -> Fault:
    """Killed, ended or held still; its containers live on; it comes back. Of a node, or of any."""

    @of_node(f"{verb} a daemon")
    def fault(arena: Arena, nodes: Nodes, chance: random.Random) -> str:
        free = nodes.answering()
        if not free:
            return "every daemon is away"
        name = whose or chance.choice(free)
        daemon = nodes.engines[name].daemon
        nodes.down.add(name)
        {"kill": daemon.kill, "end": daemon.stop, "hold": daemon.pause}[verb]()
        seconds = chance.uniform(*AWAY_S)
        arena.later(seconds, functools.partial(_daemon_back, nodes, name))
        return f"{name}: {verb} the daemon for {seconds:.1f} s"

    return fault


def to_way(verb: str) -> Fault:
    """The tunnel's sessions, the sshd, the ssh of the controller, or the cable."""

    @of_node(f"{verb} the sshd")
    def fault(arena: Arena, nodes: Nodes, chance: random.Random) -> str:
        until = time.monotonic() + 2 * AWAY_S[1]
        while WAY in nodes.down and time.monotonic() < until:
            time.sleep(0.1)
            arena.mend()
        seconds = 0.0
        if verb == "end the sessions of":
            nodes.ssh.cut()
        elif verb == "kill the client of":
            for child in children_of(arena.controller.pid):
                with contextlib.suppress(psutil.Error):
                    if child.name() == "ssh":
                        child.kill()
        else:
            seconds = chance.uniform(*AWAY_S)
            nodes.down.add(WAY)
            {"kill": nodes.ssh.kill, "cut the cable to": nodes.network.cut, "hold": lambda: _hold(nodes)}[verb]()
            arena.later(seconds, functools.partial(_way_back, nodes, verb))
        return f"far: {verb} the sshd" + (f" for {seconds:.1f} s" if seconds else "")

    return fault


@of_node("fill tiny's disk")
def fill_node(arena: Arena, nodes: Nodes, chance: random.Random) -> str:
    """No room on the small node, for a while."""
    filler = nodes.small.daemon.folder / "data" / "filler"
    if filler.exists():
        return "tiny: its disk is full already"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"\0" * (1 << 20))
            file.flush()
    seconds = chance.uniform(0.5, 3.0)
    arena.later(seconds, functools.partial(filler.unlink, missing_ok=True))
    return f"tiny: disk full for {seconds:.1f} s"


KINDS: list[Fault] = [
    in_container(WORKER, signal.SIGKILL),
    to_daemon("kill"),
    to_way("kill"),
    to_container("kill"),
    to_way("cut the cable to"),
    to_container("pause"),
    fill_node,
    to_daemon("hold"),
    to_way("end the sessions of"),
    to_container("remove"),
    in_container(PARENT, signal.SIGKILL),
    to_daemon("end"),
    to_way("hold"),
    in_container(WORKER, signal.SIGTERM),
    to_way("kill the client of"),
    in_container(WORKER, signal.SIGSTOP),
]
"""Every kind of fault there is."""


def _go_on(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.resume()


def _unpause(nodes: Nodes, name: str, container: str) -> None:
    """On a command that was let in while it froze, the engine waits without end: then it is thawed behind its back."""
    with contextlib.suppress(*HURT), contextlib.closing(nodes.engines[name].client(timeout=10)) as api:
        try:
            api.unpause(container)
        except requests.exceptions.ReadTimeout:
            docker_traces.thaw(container)


def _daemon_back(nodes: Nodes, name: str) -> None:
    nodes.engines[name].daemon.ensure()
    nodes.down.discard(name)


def _hold(nodes: Nodes) -> None:
    """The far computer is as if switched off: connections stay, nobody answers."""
    for process in children_of(nodes.ssh.pid):
        with contextlib.suppress(psutil.Error):
            process.suspend()
    nodes.ssh.pause()


def _way_back(nodes: Nodes, verb: str) -> None:
    if verb == "cut the cable to":
        nodes.network.mend()
    elif verb == "hold":
        nodes.ssh.resume()
        for process in children_of(nodes.ssh.pid):
            _go_on(process)
    else:
        nodes.ssh.ensure()
    nodes.down.discard(WAY)


def calm(nodes: Nodes) -> None:
    """Whatever is still held or paused lives on."""
    deadline = time.monotonic() + 30
    for name in nodes.engines:
        nodes.engines[name].daemon.ensure()
        for row in nodes.containers(name):
            if row["State"] == "paused" and time.monotonic() < deadline:
                _unpause(nodes, name, row["Id"])
