"""Workers in containers of one node's Docker engine; the attempt's folder on this computer is a true copy of theirs."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from docker.errors import NotFound

from engine.contract.commands import WorkerCommand
from engine.contract.durable import write_durably
from engine.contract.errors import Unreachable, UserError
from engine.contract.ids import new_id
from engine.contract.nodes import NodeProfile, Transfer
from engine.contract.paths import AttemptFolder, Home
from engine.contract.preflight import ADAPTER_FILES
from engine.contract.states import EXIT_SAVED_ON_REQUEST
from engine.control.executors.base import Exit, Launch, SparePlan, SpareStatus
from engine.control.executors.docker import container, names, outcome
from engine.control.executors.docker.cache import Cache
from engine.control.executors.docker.container import Plan
from engine.control.executors.docker.files import CutOff, Item, parents, send
from engine.control.executors.docker.follow import Follower, done_before
from engine.control.executors.docker.inputs import Inputs, Sums
from engine.control.executors.docker.keep import Keep
from engine.control.executors.docker.link import LONG_S, Link
from engine.control.executors.docker.mirror import Mirror
from engine.control.executors.docker.ports import Port, open_port
from engine.control.executors.docker.prepare import Preparation
from engine.control.executors.docker.remote import Refusal, Remote, granted, told

log = logging.getLogger(__name__)
GIVEN = "given"
"""Folder of /job that adapters come into while a worker serves."""
ENDS = ("stop", "stop_without_saving", "pause")
"""Commands that end a worker; one that has not been started is then never started."""


class DockerExecutor:
    """The executor of one node. `told` hears of copies to the node; `image` is asked for at each start."""

    name = "docker"

    def __init__(
        self,
        link: Link,
        profile: NodeProfile,
        home: Home,
        image: Callable[[], str],
        told: Callable[[Transfer], None] = lambda _transfer: None,
    ) -> None:
        self.link, self.profile, self.home = link, profile, home
        self.controller = names.controller_id(home)
        self.session = secrets.token_hex(8)
        self.cache = Cache(self.controller, told, self.session)
        self.keep = Keep(link, self.controller, self.session, self._is_copied)
        self._image = image
        self.sums = Sums(home.nodes / "sums.json")
        self._followers: dict[Path, Follower] = {}
        self._guard = threading.Lock()

    def start(self, launch: Launch) -> str:
        """Begin to make the container. Copies may take long: a thread does it, and `poll` tells what came of it."""
        uid, attempt = names.run_of(launch.folder)
        name = names.container_name(uid, attempt)
        with self._guard:
            if launch.folder.root not in self._followers:
                inputs = Inputs(self.home, self.profile, self.cache, self.sums)
                made = Preparation(
                    self.link, self.profile, self.image_name, self.controller, launch, inputs
                )  # fmt: skip
                self._followers[launch.folder.root] = self._follower(launch.folder, name, made.carry_out)
        return json.dumps({"node": self.link.node, "container": name, "volume": names.volume_name(uid)})

    def adopt(self, folder: AttemptFolder, handle: str, lease: str = "") -> bool:
        """Take over what an earlier controller left. While the node cannot be reached, `poll` says so."""
        del handle  # names follow from the folder
        if not folder.root.is_dir():
            return False
        with self._guard:
            if folder.root in self._followers or done_before(folder) is not None:
                return True
        uid, attempt = names.run_of(folder)
        remote = Remote(self.link, names.container_name(uid, attempt))
        try:
            state = remote.state()
        except Unreachable as error:
            log.warning("%s is taken up unseen: %s", remote.name, error.text)
            return self._take_up(folder, remote.name, lease)
        if state is not None and lease and state.labels.get(names.LEASE) != lease:
            log.error(
                "%s belongs to lease %s, not to %s: left alone", remote.name, state.labels.get(names.LEASE), lease
            )
            return False
        if state is None:
            return _has_begun(folder) and self._take_up(folder, remote.name, lease)
        if outcome.never_started(state):
            remote.remove(force=True)  # who made it may not be done: now it can never start
            return False
        return self._take_up(folder, remote.name, lease)

    def poll(self, folder: AttemptFolder, handle: str) -> Exit | None:
        """None while the worker lives, or its files are on their way here."""
        follower = self._find(folder, handle)
        return follower.poll() if isinstance(follower, Follower) else follower

    def stop(self, folder: AttemptFolder, handle: str) -> None:
        """SIGTERM to the worker, by way of its parents; before it was started, it never will be."""
        self._end(folder, handle, "SIGTERM", Exit(code=EXIT_SAVED_ON_REQUEST))

    def send(self, folder: AttemptFolder, handle: str, command: WorkerCommand) -> None:
        """A file in its control folder over there, whole at once."""
        follower = self._find(folder, handle)
        if not isinstance(follower, Follower):
            return
        with follower.lock:
            if follower.preparing:
                write_durably(folder.control / f"{command.id}.json", command.model_dump_json().encode())
                if command.verb in ENDS:
                    follower.abort(Exit(code=EXIT_SAVED_ON_REQUEST))
                return
        try:
            follower.remote.put(command, follower.mirror.there / folder.control.name)
        except NotFound:
            return
        except Refusal as error:
            raise self._refused(follower, error) from error

    def frozen(self, folder: AttemptFolder, handle: str) -> bool:
        """It is paused, stopped inside, or not started yet: silence proves nothing then."""
        follower = self._find(folder, handle)
        if not isinstance(follower, Follower):
            return False
        if follower.preparing:
            return True
        state = follower.remote.state()
        return state is not None and (state.status == "paused" or (state.live and follower.remote.stopped_inside()))

    def kill(self, folder: AttemptFolder, handle: str) -> None:
        """End the container, at once."""
        self._end(folder, handle, "SIGKILL", Exit(signal=9))

    def keep_spares(self, plan: Callable[[], SparePlan | None]) -> None:
        """A container starts cold."""

    def spare(self) -> SpareStatus:
        """None."""
        return SpareStatus()

    def close(self) -> None:
        """Stop following; containers go on."""
        with self._guard:
            followers, self._followers = list(self._followers.values()), {}
        for follower in followers:
            follower.leave()

    def reach(self, folder: AttemptFolder, port: int) -> Port:
        """A port of this computer that leads to one an attempt's worker serves; whoever asked closes it."""
        uid, attempt = names.run_of(folder)
        try:
            return open_port(self.link, names.container_name(uid, attempt), port)
        except NotFound as error:
            container = names.container_name(uid, attempt)
            raise UserError("docker.refused", node=self.link.node, container=container, detail=str(error)) from error

    def give(self, folder: AttemptFolder, adapter: Path) -> str:
        """Put an adapter of this computer beside a worker at work; where the worker finds it."""
        uid, attempt = names.run_of(folder)
        container, below = names.container_name(uid, attempt), PurePosixPath(GIVEN, new_id())
        found = [adapter] if adapter.is_file() else [adapter / name for name in ADAPTER_FILES]
        items = [*parents(below), *(Item(str(below / one.name), one) for one in found)]
        try:
            granted(self.link.stream(told(lambda api: send(api, container, items))))
        except (NotFound, Refusal, CutOff) as error:
            raise UserError("docker.refused", node=self.link.node, container=container, detail=str(error)) from error
        return str(names.JOB / below / (adapter.name if adapter.is_file() else ""))

    def fence(self, uid: str, lease: str) -> int:
        """End attempts of a run that another lease than this has; how many there were."""
        return self.keep.fence(uid, lease)

    def _is_copied(self, uid: str, attempt: int) -> bool:
        """Everything of the attempt is here, or nobody here wants it any more."""
        folder = self.home.attempt(uid, attempt)
        return not folder.root.is_dir() or folder.exit.exists()

    def image_name(self) -> str:
        """The worker image, as node or settings say now."""
        return self.profile.image or self._image()

    def _end(self, folder: AttemptFolder, handle: str, signal: str, unstarted: Exit) -> None:
        follower = self._find(folder, handle)
        if not isinstance(follower, Follower):
            return
        if follower.preparing:
            follower.abort(unstarted)  # heeded between two steps of the start, or too late
            with follower.lock:
                if follower.preparing:
                    return
        try:
            follower.remote.kill(signal)
        except Refusal as error:
            raise self._refused(follower, error) from error

    def _refused(self, follower: Follower, error: Refusal) -> UserError:
        return UserError("docker.refused", node=self.link.node, container=follower.remote.name, detail=str(error))

    def _find(self, folder: AttemptFolder, handle: str) -> Follower | Exit | None:
        """Who follows it; how it ended, if it has."""
        with self._guard:
            known = self._followers.get(folder.root)
            if known is not None:
                if known.exit is not None:
                    del self._followers[folder.root]
                    return known.exit
                return known
        ended = done_before(folder)
        if ended is not None:
            return ended
        self._take_up(folder, str((json.loads(handle) if handle else {}).get("container", "")), "")
        return self._followers.get(folder.root)

    def _take_up(self, folder: AttemptFolder, name: str, lease: str) -> bool:
        uid, attempt = names.run_of(folder)
        with self._guard:
            if folder.root not in self._followers:
                found = name or names.container_name(uid, attempt)
                self._followers[folder.root] = self._follower(folder, found, None, lease)
        return True

    def _follower(
        self, folder: AttemptFolder, name: str, prepare: Callable[[Follower], None] | None, lease: str = ""
    ) -> Follower:
        mirror = Mirror(self.link, folder, self.profile.mirror_minutes)
        uid, _ = names.run_of(folder)
        follower = Follower(
            Remote(self.link, name), mirror, self.link.node, prepare, lambda: self._make_reader(uid),
            lambda: self.keep.tidy_private(name), lease,
        )  # fmt: skip
        follower.begin()
        return follower

    def _make_reader(self, uid: str) -> str | None:
        """A container that never runs, to look into a run's volume through; None where there is no volume."""
        volume = names.volume_name(uid)
        try:
            self.link.ask(lambda api: api.inspect_volume(volume))
        except NotFound:
            return None
        labels = {
            names.MANAGED: "1", names.KIND: "probe", names.RUN: uid, names.CONTROLLER: self.controller,
            names.SESSION: self.session,
        }  # fmt: skip
        plan = Plan(f"forge-look-{uid}-{secrets.token_hex(4)}", self.image_name(), ["true"], labels, volume)
        bare: Any = self.profile.model_copy(update={"mounts": []})
        granted(self.link.ask(told(lambda api: container.create(api, plan, bare)), LONG_S))
        return plan.name


def _has_begun(folder: AttemptFolder) -> bool:
    """Its worker was heard of."""
    try:
        return folder.journal.stat().st_size > 0
    except FileNotFoundError:
        return False
