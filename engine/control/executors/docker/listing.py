"""Every container of ours on a node's engine: how it stands and what it takes of the machine."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

from docker.errors import NotFound

from engine.contract.errors import UserError
from engine.contract.nodes import InstanceKind, InstanceState
from engine.control.executors.docker import files, names
from engine.control.executors.docker.link import Link
from engine.control.executors.docker.outcome import moment
from engine.control.executors.docker.remote import Refusal, Remote, granted, listed, told
from engine.control.executors.seen import Seen

THREADS = 8
STATS_S = 5.0
BETWEEN_S = 0.25
"""Between two looks at what a container takes, where there was none before."""
STATES: dict[str, InstanceState] = {
    "created": "created",
    "running": "running",
    "restarting": "running",
    "paused": "paused",
}
Sample = tuple[float, float, int]
"""Nanoseconds of processor, of the machine's processors, and how many there are."""


class Containers:
    """Of one node. Remembers what each took, so that the next look can tell how busy it is."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._samples: dict[str, Sample] = {}
        self._guard = threading.Lock()

    def listed(self) -> Sequence[Seen]:
        """All that carry our label."""
        rows = listed(self._link)
        with ThreadPoolExecutor(THREADS, "instances") as threads:
            found = [one for one in threads.map(self._look, rows) if one is not None]
        with self._guard:
            there = {one.handle for one in found}
            self._samples = {name: sample for name, sample in self._samples.items() if name in there}
        return found

    def end(self, seen: Seen, save: bool) -> None:
        """A signal to the worker's parent; SIGKILL ends all of it."""
        with self._explained(seen):
            Remote(self._link, seen.handle).kill("SIGTERM" if save else "SIGKILL")

    def remove(self, seen: Seen) -> None:
        """One that has ended; its volume stays. What does not carry our label is never touched."""
        remote = Remote(self._link, seen.handle)
        state = remote.state()
        if state is None:
            return
        if state.labels.get(names.MANAGED) != "1" or state.live:
            raise UserError("instances.not_ended", id=seen.handle)
        with self._explained(seen):
            remote.remove()

    def order(self, seen: Seen) -> bytes | None:
        """From its volume, whether it runs or not."""
        path = names.JOB / "runs" / seen.run / "attempts" / str(seen.attempt) / "order.json"
        return self._link.ask(lambda api: files.read(api, seen.handle, path, names.SMALL_BYTES))

    def _look(self, row: dict[str, Any]) -> Seen | None:
        try:
            found = self._link.ask(lambda api: api.inspect_container(row["Id"]))
        except NotFound:
            return None  # it went meanwhile
        labels, state = row.get("Labels") or {}, found["State"]
        handle = str(row["Id"])[: names.ID_LENGTH]
        status = STATES.get(str(state["Status"]), "exited")
        percent, memory = self._usage(handle) if status in ("running", "paused") else (None, None)
        ended = status == "exited"
        attempt = str(labels.get(names.ATTEMPT, ""))
        return Seen(
            handle, str(labels.get(names.RUN, "")), int(attempt) if attempt.isdecimal() else 0, _kind(labels), status,
            str(labels.get(names.LEASE, "")), str(labels.get(names.CONTROLLER, "")), str(labels.get(names.OWNER, "")),
            str(found["Config"].get("Image") or row.get("Image") or ""), _devices(found), moment(str(found["Created"])),
            moment(str(state["StartedAt"])), moment(str(state["FinishedAt"])) if ended else None,
            int(state["ExitCode"]) if ended else None, names.days_of(labels.get(names.EXPIRES)), percent, memory,
            computer=str(labels.get(names.COMPUTER, "")),
        )  # fmt: skip

    def _usage(self, handle: str) -> tuple[float | None, int | None]:
        """Percent of one core, and bytes; nothing where the engine does not say in time."""
        with self._guard:
            before = self._samples.get(handle)
        try:
            said = self._stats(handle)
            now = _sample(said)
            if before is None and now is not None:
                time.sleep(BETWEEN_S)
                before, said = now, self._stats(handle)
                now = _sample(said)
        except (UserError, NotFound, Refusal):  # of a container that is just ending an engine says nothing at all
            return None, None
        if now is not None:
            with self._guard:
                self._samples[handle] = now
        return _percent(before, now), _memory(said)

    def _stats(self, handle: str) -> dict[str, Any]:
        found = self._link.ask(told(lambda api: api.stats(handle, stream=False, one_shot=True)), STATS_S)
        return dict(granted(found))

    @contextlib.contextmanager
    def _explained(self, seen: Seen) -> Any:
        try:
            yield
        except Refusal as error:
            detail = str(error)
            raise UserError("docker.refused", node=self._link.node, container=seen.handle, detail=detail) from error


def _kind(labels: dict[str, Any]) -> InstanceKind:
    """What it is for; what fills a cache or looks into a volume is a helper of ours."""
    kind = str(labels.get(names.KIND, ""))
    for known in get_args(InstanceKind):
        if kind == known:
            return known  # type: ignore[no-any-return]
    return "probe"


def _devices(found: dict[str, Any]) -> tuple[str, ...]:
    requests = (found.get("HostConfig") or {}).get("DeviceRequests") or []
    return tuple(str(device) for request in requests for device in request.get("DeviceIDs") or [])


def _sample(said: dict[str, Any]) -> Sample | None:
    usage = said.get("cpu_stats") or {}
    total, system = (usage.get("cpu_usage") or {}).get("total_usage"), usage.get("system_cpu_usage")
    if total is None or system is None:
        return None
    return float(total), float(system), int(usage.get("online_cpus") or 1)


def _percent(before: Sample | None, now: Sample | None) -> float | None:
    """100 is one core."""
    if before is None or now is None or now[1] <= before[1]:
        return None
    return round(max(0.0, now[0] - before[0]) / (now[1] - before[1]) * now[2] * 100, 1)


def _memory(said: dict[str, Any]) -> int | None:
    """What it holds, without what the system may take back from its file cache."""
    memory = said.get("memory_stats") or {}
    if memory.get("usage") is None:
        return None
    stats = memory.get("stats") or {}
    cache = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    return max(0, int(memory["usage"]) - int(cache))
