"""One container of ours, as it is asked about and told things through its node's link."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

import docker
from docker.errors import APIError, NotFound

from engine.contract.commands import WorkerCommand
from engine.control.executors.docker import names
from engine.control.executors.docker.files import Item, send
from engine.control.executors.docker.link import LONG_S, Link
from engine.control.executors.docker.streams import carried_out, exit_code

Answer = TypeVar("Answer")
LIVE = ("running", "paused", "restarting")
"""The worker is there."""
NOT_RUNNING = 409
"""What the engine answers who wants something of a container that does not run."""
TAIL_S = 30.0
"""How long the reading of a file may be silent."""
PUT = 'umask 077 && printf %s "$1" > "$2.part" && mv "$2.part" "$2"'


class Refusal(Exception):
    """The engine refused it; the text is its reason."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


def told(work: Callable[[Any], Answer]) -> Callable[[Any], Answer | Refusal]:
    """The same work, its refusal as an answer; that something is not there stays an exception."""

    def tried(api: Any) -> Answer | Refusal:
        try:
            return work(api)
        except NotFound:
            raise
        except APIError as error:
            return Refusal(str(error.explanation or error), error.status_code)

    return tried


def granted(answer: Answer | Refusal) -> Answer:
    """The answer, where it is no refusal."""
    if isinstance(answer, Refusal):
        raise answer
    return answer


@dataclass(frozen=True)
class State:
    """How it stands with a container."""

    id: str
    status: str
    """created, running, paused, restarting, removing, exited, dead."""
    code: int
    oom: bool
    error: str
    started: str
    finished: str
    labels: dict[str, str]

    @property
    def live(self) -> bool:
        """The worker is there."""
        return self.status in LIVE


class Remote:
    """Asks about one container, by its name. Every method may raise Unreachable."""

    def __init__(self, link: Link, name: str) -> None:
        self.link = link
        self.name = name

    def state(self) -> State | None:
        """None: there is no such container."""
        try:
            found = self.link.ask(lambda api: api.inspect_container(self.name))
        except NotFound:
            return None
        state = found["State"]
        return State(
            found["Id"], str(state["Status"]), int(state["ExitCode"]), bool(state["OOMKilled"]), str(state["Error"]),
            str(state["StartedAt"]), str(state["FinishedAt"]), dict(found["Config"]["Labels"] or {}),
        )  # fmt: skip

    def kill(self, signal: str) -> None:
        """A signal to the worker's parent; SIGKILL ends everything in the container, also a paused one."""
        with contextlib.suppress(NotFound):
            answer = self.link.ask(told(lambda api: api.kill(self.name, signal)))
            if isinstance(answer, Refusal) and answer.status != NOT_RUNNING:
                raise answer

    def remove(self, force: bool = False) -> None:
        """Take it away; its volumes stay."""
        with contextlib.suppress(NotFound):
            granted(self.link.ask(told(lambda api: api.remove_container(self.name, force=force, v=False)), LONG_S))

    def put(self, command: WorkerCommand, control: PurePosixPath) -> None:
        """A command's file, whole at once: written aside and renamed by the container itself."""
        text, target = command.model_dump_json(), str(control / f"{command.id}.json")
        answer = self.link.ask(told(lambda api: exit_code(api, self.name, ["sh", "-c", PUT, "put", text, target])))
        if not isinstance(answer, Refusal):
            if answer != 0:
                raise Refusal(f"the command's file could not be written ({answer})")
            return
        if answer.status != NOT_RUNNING:
            raise answer
        # Held still: nobody can read half of it.
        item = Item(f"{command.id}.json", text.encode(), 0o600)
        granted(self.link.ask(told(lambda api: send(api, self.name, [item], control))))

    def tail(self, path: PurePosixPath, offset: int, heard: Callable[[bytes], None]) -> bool:
        """What a file of a running container has from an offset on, in pieces; False if it does not run now."""
        command = ["tail", "-c", f"+{offset + 1}", str(path)]

        def work(api: docker.APIClient) -> bool:
            for piece in carried_out(api, self.name, command):
                heard(piece)
            return True

        answer = self.link.ask(told(work), TAIL_S)
        if isinstance(answer, Refusal):
            if answer.status == NOT_RUNNING:
                return False
            raise answer
        return answer

    def pieces(self, folder: PurePosixPath, pattern: str) -> list[tuple[str, int]]:
        """Names and sizes of files of a running container."""
        command = ["find", str(folder), "-maxdepth", "1", "-name", pattern, "-printf", "%f %s\\n"]

        def work(api: docker.APIClient) -> bytes:
            return b"".join(carried_out(api, self.name, command))

        answer = self.link.ask(told(work))
        if isinstance(answer, Refusal):
            if answer.status == NOT_RUNNING:
                return []
            raise answer
        words = [line.split(" ") for line in answer.decode(errors="replace").splitlines()]
        return [(name, int(size)) for name, size in words]

    def stopped_inside(self) -> bool:
        """Whether the worker's process is held by a signal or a debugger."""
        try:
            answer = self.link.ask(told(lambda api: api.top(self.name, "-eo pid,stat,args")))
        except NotFound:
            return False
        if isinstance(answer, Refusal):
            return False
        return any(
            row[1][:1] in ("T", "t") and "engine.compute.worker " in f"{row[2]} " and names.PARENT not in row[2]
            for row in answer["Processes"] or []
        )


def listed(link: Link, **wanted: str) -> list[dict[str, Any]]:
    """Containers of ours that carry these labels: what the engine lists of them.

    Those listed as alive are looked at once more: an engine whose disk was full when a container ended lists it as
    running until it is started anew, and knows better when asked for that one.
    """
    labels = [f"{names.MANAGED}=1", *(f"{getattr(names, name)}={value}" for name, value in wanted.items())]
    rows = []
    for row in link.ask(lambda api: api.containers(all=True, filters={"label": labels})):
        state = Remote(link, row["Id"]).state() if row["State"] in LIVE else None
        if state is not None:
            row["State"] = state.status
        elif row["State"] in LIVE:
            continue  # it went meanwhile
        rows.append(row)
    return rows
