"""Lays a run that is to be moved here into its volume: inputs and checkpoint first, read back by the node itself."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker.errors import NotFound

from engine.contract.checkpoints import MANIFEST
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import AttemptOrder
from engine.control.executors.base import Launch
from engine.control.executors.docker import container, files, names
from engine.control.executors.docker.container import Plan
from engine.control.executors.docker.executor import DockerExecutor
from engine.control.executors.docker.files import Item
from engine.control.executors.docker.follow import NodeFault
from engine.control.executors.docker.inputs import Inputs
from engine.control.executors.docker.link import LONG_S
from engine.control.executors.docker.prepare import Preparation
from engine.control.executors.docker.remote import Refusal, Remote, granted, told
from engine.control.executors.docker.trouble import plain
from engine.control.executors.stage import Check, Tell

LIMIT_S = 3600
SUMS = 'cd "$1" && sha256sum -- *'
DIGITS = 64


class DockerStage:
    """Of one node."""

    def __init__(self, executor: DockerExecutor) -> None:
        self._executor = executor
        self._link = executor.link

    @property
    def _node(self) -> str:
        return self._link.node

    def ready(self, launch: Launch, check: Check) -> None:
        """Worker image, the run's volume, and its inputs in the cache."""
        with _explained(self._node):
            made = self._preparation(launch)
            made.check_image()
            check()
            order = launch.order or AttemptOrder.model_validate_json(launch.folder.order.read_bytes())
            _, mounted = made.inputs.find(order, check)
            for entry in made.inputs.entries.values():
                made.make_volume(entry.volume, entry.labels)
            try:
                with self._looking(launch, mounted) as plan:
                    made.inputs.fill(self._link, self._executor.profile, plan, check)
            except BaseException:
                made.inputs.drop_half(self._link)
                raise

    def send(self, folder: AttemptFolder, checkpoint: Path, tell: Tell, check: Check) -> None:
        """Its manifest comes last: what has one is whole."""
        there = names.there(checkpoint, folder.run)
        manifest = (checkpoint / MANIFEST).read_bytes()
        name = str(there.relative_to(names.JOB))
        found = [item for item in files.folder_items(checkpoint, name) if item.name != f"{name}/{MANIFEST}"]
        total = sum(path.stat().st_size for path in checkpoint.rglob("*") if path.is_file())
        with _explained(self._node), self._looking(Launch(folder, [])) as plan:
            if self._link.ask(lambda api: files.read(api, plan.name, there / MANIFEST)) == manifest:
                tell(total, total)
                return
            items = [*files.parents(there.relative_to(names.JOB)), *found, Item(f"{name}/{MANIFEST}", manifest)]

            def send(api: Any) -> None:
                api.put_archive(plan.name, str(names.JOB), _counted(files.packed(items), total, tell, check))

            granted(self._link.stream(told(send)))

    def sums(self, folder: AttemptFolder, checkpoint: Path) -> dict[str, str]:
        """By a small container that reads every file."""
        there = str(names.there(checkpoint, folder.run))
        command = ["sh", "-c", SUMS, "sums", there]
        with _explained(self._node), self._looking(Launch(folder, []), command=command) as plan:
            granted(self._link.ask(told(lambda api: api.start(plan.name)), LONG_S))
            code = self._link.stream(lambda api: api.wait(plan.name, timeout=LIMIT_S)["StatusCode"])
            said = self._link.ask(lambda api: api.logs(plan.name, stdout=True, stderr=code != 0))
        text = said.decode(errors="replace")
        if code != 0:
            raise plain(UserError("move.not_read", node=self._node, detail=text.strip() or f"code {code}"))
        lines = [line.split(maxsplit=1) for line in text.splitlines()]
        return {line[1]: line[0] for line in lines if len(line) == 2 and len(line[0]) == DIGITS}

    def _preparation(self, launch: Launch) -> Preparation:
        executor = self._executor
        inputs = Inputs(executor.home, executor.profile, executor.cache, executor.sums)
        return Preparation(self._link, executor.profile, executor.image_name, executor.controller, launch, inputs)

    @contextmanager
    def _looking(
        self, launch: Launch, mounted: dict[str, str] | None = None, command: Iterable[str] = ("true",)
    ) -> Iterator[Plan]:
        """A container with the run's volume, to lay things in through; the volume stays."""
        uid, _ = names.run_of(launch.folder)
        made = self._preparation(launch)
        order = launch.order or AttemptOrder.model_validate_json(launch.folder.order.read_bytes())
        labels = made.labels(uid, order.spec.owner)
        made.make_volume(names.volume_name(uid), labels | {names.KIND: order.spec.kind})
        own = {names.KIND: "probe", names.SESSION: self._executor.session}
        plan = Plan(
            f"forge-look-{uid}-{secrets.token_hex(4)}", made.image, list(command), labels | own,
            names.volume_name(uid), mounted or {},
        )  # fmt: skip
        bare: Any = self._executor.profile.model_copy(update={"mounts": []})
        granted(self._link.ask(told(lambda api: container.create(api, plan, bare)), LONG_S))
        try:
            yield plan
        finally:
            with contextlib.suppress(Refusal, UserError):
                Remote(self._link, plan.name).remove(force=True)


def _counted(pieces: Iterable[bytes], total: int, tell: Tell, check: Check) -> Iterator[bytes]:
    """The same bytes, told about; headers and padding make them a little more than the files are."""
    done = 0
    for piece in pieces:
        check()
        yield piece
        done += len(piece)
        tell(min(done, total), total)


@contextmanager
def _explained(node: str) -> Iterator[None]:
    """What a node or its engine refuses, in words for people."""
    try:
        yield
    except NodeFault as fault:
        raise fault.error from fault
    except NotFound as error:
        raise UserError("move.not_laid", node=node, detail=str(error.explanation or error)) from error
    except (Refusal, files.CutOff, files.BadArchive) as error:
        raise plain(UserError("move.not_laid", node=node, detail=str(error))) from error
    except OSError as error:
        raise UserError("move.not_laid", node=node, detail=str(error)) from error
