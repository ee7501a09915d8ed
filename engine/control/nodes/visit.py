"""One examination of a node with Docker: what several checks ask for is asked once."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from engine.contract.errors import UserError
from engine.contract.nodes import NodeFacts, NodeProfile
from engine.control.executors.docker.images import WorkerImage, find_image
from engine.control.executors.docker.link import Link
from engine.control.nodes.probe import ContainerProbe, Probe, Report


class Visit:
    """What is known so far."""

    def __init__(
        self, profile: NodeProfile, link: Link, image: str, controller: str, probe: Probe | None = None
    ) -> None:
        self.profile = profile
        self.link = link
        self.image = image
        self.controller = controller
        self.facts = NodeFacts()
        self._probe = probe or ContainerProbe(link, profile, image, controller)

    @property
    def node(self) -> str:
        """Its name, for texts."""
        return self.profile.name

    @cached_property
    def version(self) -> dict[str, Any]:
        """What the engine says of its version."""
        return dict(self.link.ask(lambda api: api.version()))

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the engine says of itself and its computer."""
        info = dict(self.link.ask(lambda api: api.info(), 30.0))
        self.facts.cpus, self.facts.memory = int(info.get("NCPU") or 0), int(info.get("MemTotal") or 0)
        self.facts.engine_id = str(info.get("ID", ""))
        return info

    @cached_property
    def found_image(self) -> WorkerImage | None:
        """The worker image, if it is there."""
        return self.link.ask(lambda api: find_image(api, self.image)) if self.image else None

    @cached_property
    def seen(self) -> Report:
        """From inside a container that was really started; raises why there was none."""
        self._need_image()
        return self._probe.look(gpus=False)

    @cached_property
    def seen_with_gpus(self) -> Report:
        """The same with all GPUs given to it."""
        self._need_image()
        return self._probe.look(gpus=True)

    @property
    def has_runtime(self) -> bool:
        """Whether the engine knows NVIDIA's runtime."""
        return "nvidia" in (self.info.get("Runtimes") or {})

    def _need_image(self) -> None:
        if self.found_image is None:
            raise UserError("node.image_first", node=self.node, image=self.image)
