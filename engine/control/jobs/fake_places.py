"""A double that ships: nodes without computers, each with a pretended executor, for tests of the pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.contract.clock import now
from engine.contract.nodes import CHECKS, CheckName, DoctorCheck, DoctorReport, GpuFacts, NodeFacts, NodeProfile
from engine.control.executors.fake import FakeExecutor
from engine.control.executors.fake_fleet import FakeHands, FakeStage
from engine.control.jobs.pool import Place
from engine.control.nodes.sampler import Sampler


def facts_of(gpus: int = 0, engine_id: str = "", memory: int = 0) -> NodeFacts:
    """What a pretended machine says of itself."""
    found = [GpuFacts(index=str(index), name="Pretended", memory=memory) for index in range(gpus)]
    return NodeFacts(engine="0", cpus=8, gpus=found, gives_gpus=bool(gpus), engine_id=engine_id)


@dataclass
class FakePlaces:
    """Makes places; a node keeps its executor however often its profile changes."""

    executors: dict[str, FakeExecutor] = field(default_factory=dict)
    facts: dict[str, NodeFacts] = field(default_factory=dict)
    stages: dict[str, FakeStage] = field(default_factory=dict)
    hands: dict[str, FakeHands] = field(default_factory=dict)
    samplers: dict[str, Sampler] = field(default_factory=dict)
    """Who takes readings of a node, by its name."""
    made: list[NodeProfile] = field(default_factory=list)
    """Every profile a place was made of."""

    swept: list[str] = field(default_factory=list)
    """Names of nodes, each time one was swept."""

    def __call__(self, profile: NodeProfile) -> Place:
        """The pretended place of this name."""
        self.made.append(profile)
        executor = self.executor(profile.name)

        def ask() -> NodeFacts:
            executor.answer()
            return self.facts.get(profile.name, NodeFacts())

        def examine(tell: Callable[[DoctorCheck], None], only: Sequence[CheckName]) -> DoctorReport:
            facts = ask()
            checks = [DoctorCheck(name=name, state="ok") for name in only or CHECKS]
            for check in checks:
                tell(check)
            return DoctorReport(node=profile.name, at=now(), done=True, checks=checks, facts=facts)

        def sweep(*_told: object) -> list[str]:
            executor.answer()
            self.swept.append(profile.name)
            return []

        sampler = self.samplers.get(profile.name)
        return Place(
            executor, None, ask, examine, sweep=sweep, remove=executor.remove, stage=self.stage(profile.name),
            fence=executor.fence, sampler=sampler, instances=self.hand(profile.name),
        )  # fmt: skip

    def stage(self, name: str) -> FakeStage:
        """Who takes runs that are moved to the node of this name."""
        return self.stages.setdefault(name, FakeStage(self.executor(name)))

    def hand(self, name: str) -> FakeHands:
        """Who lists what is on the node of this name."""
        return self.hands.setdefault(name, FakeHands(self.executor(name)))

    def executor(self, name: str) -> FakeExecutor:
        """Whose workers are pretended on the node of this name."""
        return self.executors.setdefault(name, FakeExecutor(name))
