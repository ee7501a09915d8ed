"""What a node's profile becomes in earnest: a Docker executor and its link. The SDK is imported only where one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from engine.contract.api import Settings
from engine.contract.images import EngineSource
from engine.contract.nodes import CheckName, DoctorCheck, DoctorReport, NodeFacts, NodeProfile, Transfer
from engine.contract.paths import Home
from engine.control.executors.docker.link import Link
from engine.control.jobs.pool import Place
from engine.control.jobs.secrets import SecretStore
from engine.control.nodes.sampler import Sampler

Told = Callable[[Transfer], None]
QUICK_COPY = ("docker_local",)
"""Kinds of nodes whose way is faster than a core can pack."""


class Places:
    """Makes places; asks nobody by that."""

    def __init__(self, home: Home, secrets: SecretStore, settings: Callable[[], Settings], told: Told) -> None:
        self._home = home
        self._secrets = secrets
        self._settings = settings
        self._told = told

    def __call__(self, profile: NodeProfile) -> Place:
        """The place of a profile; UserError where something it names is missing."""
        from engine.control.executors.docker.executor import DockerExecutor
        from engine.control.executors.docker.listing import Containers
        from engine.control.executors.docker.opening import open_link
        from engine.control.executors.docker.stage import DockerStage
        from engine.control.jobs.node_secrets import NodeSecrets

        link = open_link(profile, NodeSecrets(self._secrets))
        executor = DockerExecutor(link, profile, self._home, self.image, self._told)

        def sweep(
            days: Mapping[str, float | None], may_go: Callable[[str], bool], is_over: Callable[[str, int], bool]
        ) -> list[str]:
            executor.keep.drop_probes()
            gone = executor.keep.sweep(may_go, days, is_over=is_over)
            executor.keep.drop_unused()
            return gone

        return Place(
            executor, link, partial(said_by, link), partial(self._examine, profile, link),
            partial(self._bring_image, profile, link), sweep, executor.keep.remove,
            executor.fence, self._sampler(profile, link), DockerStage(executor), Containers(link),
        )  # fmt: skip

    def _sampler(self, profile: NodeProfile, link: Link) -> Sampler:
        from engine.control.executors.docker.names import controller_id
        from engine.control.nodes.sampler_container import ContainerSampler
        from engine.control.nodes.sampler_fake import WithFakeGpus, fake_gpus

        real, fake = ContainerSampler(link, profile, self.image, controller_id(self._home)), fake_gpus(profile.name)
        return WithFakeGpus(real, fake) if fake is not None else real

    def image(self) -> str:
        """The worker image of nodes that name none."""
        from engine.control.executors.docker.labels import default_image

        return self._settings().worker_image or default_image()

    def _examine(
        self, profile: NodeProfile, link: Link, tell: Callable[[DoctorCheck], None], only: Sequence[CheckName]
    ) -> DoctorReport:
        from engine.control.executors.docker.names import controller_id
        from engine.control.nodes.doctor import engine_doctor

        return engine_doctor(profile, link, self.image(), controller_id(self._home)).examine(tell, only)

    def _bring_image(
        self, profile: NodeProfile, link: Link, image: str, tell: Told, engine: EngineSource | None = None
    ) -> None:
        from engine.control.executors.docker.copy_image import copy_image
        from engine.control.executors.docker.here import open_here

        source = open_here(engine)
        name = image or profile.image or self.image()

        tell(Transfer(node=profile.name, what=name))

        def note(progress: Any) -> None:
            tell(Transfer(node=profile.name, what=name, done=progress.done, total=progress.total))

        pack = profile.kind not in QUICK_COPY
        try:
            source.stream(
                lambda here: link.stream(lambda there: copy_image(here, there, name, note, pack, profile.name))
            )
        finally:
            source.close()


def said_by(link: Link) -> NodeFacts:
    """What an engine says of itself."""
    said: dict[str, Any] = link.ask(lambda api: api.info())
    return NodeFacts(
        engine=str(said.get("ServerVersion") or ""),
        system=str(said.get("OperatingSystem") or ""),
        cpus=int(said.get("NCPU") or 0),
        memory=int(said.get("MemTotal") or 0),
        live_restore=bool(said.get("LiveRestoreEnabled")),
        engine_id=str(said.get("ID") or ""),
    )
