"""Makes an attempt's container and lays into it what its worker needs, then starts it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from docker.errors import NotFound

from engine.contract import PROTOCOL_VERSION
from engine.contract.checkpoints import MANIFEST
from engine.contract.errors import UserError
from engine.contract.network import LOCAL_HUBS, models_of, needs_network
from engine.contract.nodes import NodeProfile
from engine.contract.paths import AttemptFolder
from engine.contract.reproduction import IMAGE_VARIABLE
from engine.contract.run_spec import AttemptOrder
from engine.control.executors.base import Launch
from engine.control.executors.docker import container, files, names, whole
from engine.control.executors.docker.container import Plan
from engine.control.executors.docker.files import Item
from engine.control.executors.docker.follow import Follower, NodeFault
from engine.control.executors.docker.inputs import Inputs
from engine.control.executors.docker.labels import PROTOCOL
from engine.control.executors.docker.link import LONG_S, Link
from engine.control.executors.docker.outcome import never_started
from engine.control.executors.docker.remote import LIVE, Refusal, Remote, granted, listed, told

log = logging.getLogger(__name__)
MOST_CHECKPOINTS = 2
"""Sent to a node that has none: the best choice, and one should it be damaged."""
NAME_TAKEN = 409


@dataclass
class Preparation:
    """One start on one node."""

    link: Link
    profile: NodeProfile
    image_name: Callable[[], str]
    controller: str
    launch: Launch
    inputs: Inputs
    image_id: str = ""
    """Of the image, once it was looked at."""

    @property
    def image(self) -> str:
        """The run's own, else as node or settings say now."""
        order = self.launch.order
        return (order.spec.compute.image if order is not None else None) or self.image_name()

    def carry_out(self, follower: Follower) -> None:
        """All of it. Raises NodeFault where the node is to blame, Aborted when nobody wants it any more."""
        folder, remote = self.launch.folder, follower.remote
        uid, attempt = names.run_of(folder)
        order = self.launch.order or AttemptOrder.model_validate_json(folder.order.read_bytes())
        self.check_image()
        self._fence(uid, remote.name)
        there = remote.state()
        if there is not None and there.labels.get(names.LEASE) == order.lease and not never_started(there):
            return  # an earlier try came through, and only its answer was lost
        rewritten, mounted = self.inputs.find(order, follower.check)
        self.make_volume(names.volume_name(uid), self.labels(uid, order.spec.owner) | {names.KIND: order.spec.kind})
        for entry in self.inputs.entries.values():
            self.make_volume(entry.volume, entry.labels)
        plan = self._plan(remote.name, uid, attempt, order, rewritten, mounted)
        self._create(remote, plan)
        self._check_owner(remote.name, plan.volume)
        try:
            self.inputs.fill(self.link, self.profile, plan, follower.check)
        except NodeFault:
            remote.remove(force=True)
            self.inputs.drop_half(self.link)
            raise
        self._lay_in(remote.name, folder, order, rewritten)
        follower.check()
        with follower.lock:
            self._send(remote.name, self._commands(folder))
            follower.check()
            answer = self.link.ask(told(lambda api: api.start(remote.name)), LONG_S)
            if isinstance(answer, Refusal):
                raise NodeFault(UserError("docker.not_started", node=self.link.node, detail=str(answer)))
            follower.preparing = False
        folder.secrets.unlink(missing_ok=True)

    def check_image(self) -> None:
        """It is there, and speaks our version."""
        node = self.link.node
        try:
            found = self.link.ask(lambda api: api.inspect_image(self.image))
        except NotFound as error:
            detail = str(error.explanation or error)
            raise NodeFault(UserError("docker.image_missing", node=node, image=self.image, detail=detail)) from None
        labels = found["Config"].get("Labels") or {}
        theirs = labels.get(PROTOCOL)
        if theirs is None:
            raise NodeFault(UserError("docker.image_not_worker", node=node, image=self.image))
        self.image_id = str(found.get("Id") or "")
        if theirs != str(PROTOCOL_VERSION):
            params: dict[str, Any] = {"image": self.image, "theirs": theirs, "ours": PROTOCOL_VERSION}
            raise NodeFault(UserError("docker.image_protocol", node=node, **params))

    def _fence(self, uid: str, name: str) -> None:
        """End other attempts of the run on this node: they would write into the same volume."""
        for other in listed(self.link, RUN=uid):
            if f"/{name}" not in other["Names"] and other["State"] in LIVE:
                log.warning("%s is ended: attempt %s takes its place", other["Names"], name)
                Remote(self.link, other["Id"]).kill("SIGKILL")

    def make_volume(self, name: str, labels: dict[str, str]) -> None:
        """There from now on; one of this name may be there already."""
        answer = self.link.ask(told(lambda api: api.create_volume(name, labels=labels)))
        if isinstance(answer, Refusal):
            raise NodeFault(UserError("docker.not_created", node=self.link.node, detail=str(answer)))

    def labels(self, uid: str, owner: str) -> dict[str, str]:
        """Of everything that is made for the run."""
        return {
            names.MANAGED: "1", names.RUN: uid, names.OWNER: self.launch.owner or owner,
            names.EXPIRES: names.days_text(self.launch.keep_days), names.CONTROLLER: self.controller,
            names.COMPUTER: names.computer(),
        }  # fmt: skip

    def _plan(
        self, name: str, uid: str, attempt: int, order: AttemptOrder, rewritten: AttemptOrder, mounted: dict[str, str]
    ) -> Plan:
        labels = self.labels(uid, order.spec.owner) | {
            names.ATTEMPT: str(attempt), names.LEASE: order.lease, names.KIND: order.spec.kind,
            names.PRIVATE: "1" if self.inputs.private else "0",
        }  # fmt: skip
        root = names.there(self.launch.folder.root, self.launch.folder.run)
        ports = self.launch.ports if self.link.forwards else ()  # else the engine leads there, and no port need be open
        return Plan(
            name, self.image, ["python", "-m", names.PARENT, str(root)], labels, names.volume_name(uid), mounted,
            {**self.launch.environment, IMAGE_VARIABLE: f"{self.image}@{self.image_id}"},
            self.launch.devices, self._network(rewritten), ports,
        )  # fmt: skip

    def _network(self, order: AttemptOrder) -> bool:
        """A hub's model that lies here already needs no hub; a teacher's is fetched over there."""
        asked = order.spec.compute.network == "open"
        taught = any(source.hub not in LOCAL_HUBS for source in models_of(order.spec.job)[1:])
        return asked or (needs_network(order.spec) and (taught or not self.inputs.links))

    def _create(self, remote: Remote, plan: Plan) -> None:
        """Made anew; one that an earlier try left is in the way."""
        node = self.link.node
        for again in (True, False):
            try:
                answer = self.link.ask(told(lambda api: container.create(api, plan, self.profile)), LONG_S)
            except NotFound as error:
                params: dict[str, Any] = {"image": self.image, "detail": str(error.explanation or error)}
                raise NodeFault(UserError("docker.image_missing", node=node, **params)) from None
            if not isinstance(answer, Refusal):
                return
            there = remote.state() if answer.status == NAME_TAKEN and again else None
            if there is None or there.labels.get(names.CONTROLLER) != self.controller or there.live:
                raise NodeFault(UserError("docker.not_created", node=node, detail=str(answer)))
            remote.remove(force=True)

    def _check_owner(self, name: str, volume: str) -> None:
        user = self.link.ask(lambda api: files.owner(api, name, names.JOB))
        if user != names.USER:
            params: dict[str, Any] = {"volume": volume, "user": user, "wanted": names.USER}
            raise NodeFault(UserError("docker.volume_owner", node=self.link.node, **params))

    def _lay_in(self, name: str, folder: AttemptFolder, order: AttemptOrder, rewritten: AttemptOrder) -> None:
        """The order, what was told in confidence, and checkpoints to go on from."""
        root, run = names.there(folder.root, folder.run), folder.run
        items = [*files.parents(root.relative_to(names.JOB)), *_below(root, "control", "outputs")]
        items.append(Item(_name(root / folder.order.name), rewritten.model_dump_json(indent=1).encode()))
        if folder.secrets.exists():
            items.append(Item(_name(root / "control" / folder.secrets.name), folder.secrets.read_bytes(), 0o600))
        for place in (folder.model_choice, folder.teacher_choice):
            choice = self.inputs.choices.get(place.name) or (place.read_bytes() if place.exists() else b"")
            if choice:
                items.append(Item(_name(names.there(place, run)), choice))
        for link, target in self.inputs.links.items():
            path = PurePosixPath(link)
            items += [*files.parents(path.parent.relative_to(names.JOB)), Item(_name(path), link=target)]
        items += _below(names.there(run, run), "checkpoints")
        self._send(name, items)
        sent = 0
        for point in order.resume:
            ours = files.place(run, point.path)
            if sent < MOST_CHECKPOINTS and whole.is_whole(ours):
                sent += 1
                self._lay_checkpoint(name, ours, names.there(ours, run))

    def _lay_checkpoint(self, name: str, ours: Path, there: PurePosixPath) -> None:
        """A checkpoint, unless it lies there already; its manifest comes last."""
        manifest = (ours / MANIFEST).read_bytes()
        if self.link.ask(lambda api: files.read(api, name, there / MANIFEST)) == manifest:
            return
        items = [item for item in files.folder_items(ours, _name(there)) if not item.name.endswith(f"/{MANIFEST}")]
        self._send(name, [*items, Item(_name(there / MANIFEST), manifest)])

    def _commands(self, folder: AttemptFolder) -> Iterator[Item]:
        """Commands that came before the worker was there."""
        there = names.there(folder.control, folder.run)
        for path in sorted(folder.control.glob("*.json")):
            yield Item(_name(there / path.name), path.read_bytes(), 0o600)

    def _send(self, name: str, items: Any) -> None:
        found = list(items)
        if not found:
            return
        try:
            granted(self.link.stream(told(lambda api: files.send(api, name, found))))
        except Refusal as error:
            raise NodeFault(UserError("docker.not_created", node=self.link.node, detail=str(error))) from error


def _below(folder: PurePosixPath, *more: str) -> list[Item]:
    return [Item(_name(folder / name)) for name in more]


def _name(path: PurePosixPath) -> str:
    """As an archive that is put into /job has it."""
    return str(path.relative_to(names.JOB))
