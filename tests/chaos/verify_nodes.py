"""What must hold on nodes at the end of a chaos run: journals as here, nothing at work, nothing beside the rules."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import psutil

from engine.client.client import ControllerClient
from engine.contract.api import Settings
from engine.contract.clock import now
from engine.contract.paths import Home
from engine.control.executors.docker import files, names
from engine.control.executors.docker.keep import DAY_S, Keep
from engine.control.nodes.sampler_container import container_name
from tests.chaos.nodes import Nodes, until_reachable
from tests.helpers.docker_engines import Engine
from tests.helpers.docker_profiles import linked, local_profile

LIVE = ("running", "paused", "restarting")
SWEEP_S = 120.0
GOING_S = 10.0
"""A removal that was asked for may take so long."""
LARGEST = 1 << 30
LINKS = "forge-link-*"


def node_problems(nodes: Nodes, home: Home) -> list[str]:
    """What is wrong there. The controller has ended, nothing was cleared away yet."""
    with contextlib.closing(sqlite3.connect(home.database)) as connection:
        known = {uid for (uid,) in connection.execute("SELECT uid FROM run WHERE cleaned IS NULL")}
    found: list[str] = []
    for name, engine in nodes.engines.items():
        found += [f"{name}: {text}" for text in _at_work(engine)]
        found += [f"{name}: {text}" for text in _journals(engine, home, known)]
    return found


def _at_work(engine: Engine) -> Iterator[str]:
    """Nothing works when the controller ended in good order: it took its samplers along, also a killed one's."""
    until = time.monotonic() + GOING_S
    while time.monotonic() < until and _live(engine):
        time.sleep(0.2)
    yield from _live(engine)


def _live(engine: Engine) -> list[str]:
    rows = engine.api.containers(all=True, filters={"label": f"{names.MANAGED}=1"})
    told = ((row["Names"][0], _state(engine, row["Id"])) for row in rows if row["State"] in LIVE)
    return [
        f"container {name} is {state['Status']} ({_process(state)})" for name, state in told if state["Status"] in LIVE
    ]


def _state(engine: Engine, container: str) -> dict[str, Any]:
    """As the engine has it of this one: what it lists is old where its disk was full at the end."""
    try:
        return dict(engine.api.inspect_container(container)["State"])
    except docker.errors.NotFound:
        return {"Status": "gone"}


def _process(state: dict[str, Any]) -> str:
    """What the kernel says of its first process."""
    try:
        process = psutil.Process(state["Pid"])
        kernel = f"{process.name()} {process.status()}, {len(process.children(recursive=True))} below it"
    except psutil.Error as error:
        kernel = type(error).__name__
    return f"since {state['StartedAt']}, process {state['Pid']}: {kernel}"


def _journals(engine: Engine, home: Home, known: set[str]) -> Iterator[str]:
    """What the workers wrote is what lies here, byte for byte: whole lines, of every attempt made there."""
    for row in engine.api.containers(all=True, filters={"label": [f"{names.MANAGED}=1", names.ATTEMPT]}):
        uid, attempt = row["Labels"][names.RUN], int(row["Labels"][names.ATTEMPT])
        if uid not in known:
            continue
        folder = home.attempt(uid, attempt)
        path = names.there(folder.journal, folder.run)
        theirs = _whole(files.read(engine.api, row["Id"], path, LARGEST) or b"")
        ours = _whole(folder.journal.read_bytes() if folder.journal.exists() else b"")
        if theirs != ours:
            yield f"journal of {uid} attempt {attempt}: {len(theirs)} bytes there, {len(ours)} here"


def _whole(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def cleared(nodes: Nodes, home: Home, client: ControllerClient) -> list[str]:
    """A controller that is told to keep nothing: what is left on the nodes then, but the cache."""
    until_reachable(client)  # who does not answer is passed over, for a while
    client.change_settings(Settings(keep_days=0.0))
    with contextlib.closing(sqlite3.connect(home.database)) as connection:
        known = {uid for (uid,) in connection.execute("SELECT uid FROM run")}

    def left() -> list[str]:
        return [
            f"{name}: {text}"
            for name, engine in nodes.engines.items()
            for text in _left(engine.api, known, container_name(names.controller_id(home), name))
        ]

    until = time.monotonic() + SWEEP_S
    while (found := left()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


def _left(api: docker.APIClient, known: set[str] | None, sampler: str = "") -> Iterator[str]:
    """Containers and run volumes; of runs that were deleted while the node was away, only where `known` is None.

    `sampler` is that of the controller that lives: it goes with it, and is no remainder until then.
    """
    rows: list[dict[str, Any]] = api.containers(all=True, filters={"label": f"{names.MANAGED}=1"})
    for row in rows:
        if sampler and row["Names"][0] == f"/{sampler}":
            continue
        if known is None or row["Labels"].get(names.RUN) in known or names.RUN not in row["Labels"]:
            yield f"container {row['Names'][0]} is left"
    for volume in api.volumes()["Volumes"] or []:
        labels = volume.get("Labels") or {}
        uid = labels.get(names.RUN)
        if names.DIGEST not in labels and (known is None or uid in known or uid is None):
            yield f"volume {volume['Name']} is left"


def expired(nodes: Nodes, home: Home) -> tuple[int, list[str]]:
    """In eight days everything is gone by itself: how much waited for that, and what would not go."""
    waited, found = 0, []
    for name, engine in nodes.engines.items():
        found += [f"{name}: {text}" for text in _at_work(engine)]
        waited += len(list(_left(engine.api, None)))
        with linked(local_profile(engine)) as link:
            keep, then = Keep(link, names.controller_id(home)), now() + 8 * DAY_S
            keep.drop_probes()
            keep.sweep(lambda _uid: True, at=then)
            keep.drop_unused(at=then)
        found += [f"{name}: {text} after its time" for text in _left(engine.api, None)]
        cached = engine.api.volumes(filters={"label": names.DIGEST})["Volumes"] or []
        found += [f"{name}: volume {volume['Name']} of the cache is left after its time" for volume in cached]
    return waited, found


def links(folder: Path) -> list[str]:
    """Folders of tunnels."""
    return [f"tunnel {path.name} is left" for path in folder.glob(LINKS)]
