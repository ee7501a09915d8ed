"""Where a run works, how urgent it is, and where it must stop."""

from typing import Any, Literal

from pydantic import model_validator

from engine.contract.members import Strategy, members_of
from engine.contract.setting import Settings, setting


class Limits(Settings):
    """Bounds at which a run is stopped, its result saved."""

    max_hours: float | None = setting(None, "Stop and save after so many hours.", label="Time limit", unit="h", gt=0)
    max_cost: float | None = setting(
        None,
        "Stop and save when the run has cost so much, in the currency of its node; counts where a price is set.",
        label="Cost limit",
        gt=0,
    )
    retries: int = setting(
        3,
        "How often the run goes on by itself after a failure that was not its own fault (process killed, computer "
        "restarted, disk gone); 0: never.",
        label="Retries",
        ge=0,
        le=100,
    )
    out_of_memory: Literal["always", "ask", "never"] = setting(
        "ask",
        "When memory runs out: always lowers what the run takes, step by step, and goes on from the last checkpoint; "
        "ask pauses and offers what can be lowered; never fails.",
        label="When memory runs out",
    )
    hang_minutes: float = setting(
        15.0,
        "A worker that is silent for so long is ended and counts as failed.",
        label="Hang limit",
        unit="min",
        gt=0,
        le=100_000,
    )


class Placement(Settings):
    """The node and devices asked for."""

    node: str = setting(
        "local",
        "Name of the node; local is this computer, auto the scheduler's choice.",
        label="Node",
        basic=True,
        min_length=1,
        max_length=60,
    )
    executor: Literal["auto", "process", "docker"] = setting(
        "auto", "How the worker is started there; auto: as the node does it.", label="Started as"
    )
    gpus: int | None = setting(
        None,
        "GPUs to use, all on one node; empty: one if there is one, else the processor. Several share each micro batch.",
        label="GPUs",
        basic=True,
        ge=0,
        le=64,
    )
    processes: int = setting(
        1,
        "With gpus: 0, processes that share each micro batch on the processor; on GPUs there is one for each.",
        label="Processes",
        ge=1,
        le=64,
    )
    strategy: Strategy = setting(
        "ddp",
        "How several share the work: ddp keeps the whole model in each and adds up gradients; fsdp2 parts weights, "
        "gradients and the optimiser's state; so does DeepSpeed: zero1 the state, zero2 gradients too, zero3 all.",
        label="Sharing the work",
    )
    wait_minutes: float = setting(
        10.0,
        "Of several that work together, one that the others wait for so long within a step counts as hung.",
        label="Waiting for a member",
        unit="min",
        gt=0,
        le=1440,
    )
    share: bool = setting(False, "Let another run that also allows it use the same GPU.", label="Share the GPU")
    image: str | None = setting(
        None, "Container image of the worker; empty: the node's.", label="Image", max_length=500
    )
    network: Literal["auto", "none", "open"] = setting(
        "auto",
        "What a worker in a container may reach; auto: a hub where its model comes from one, else nothing; open: "
        "everything the node does, a tracker for instance.",
        label="Network",
    )
    labels: dict[str, str] = setting(dict, "Labels a node must have to be chosen.", label="Node labels", max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _without_ddp(cls, content: Any) -> Any:
        """Orders of earlier versions say that they do not use several GPUs."""
        if isinstance(content, dict) and content.get("ddp") is False:
            return {name: value for name, value in content.items() if name != "ddp"}
        return content

    @property
    def members(self) -> int:
        """Processes that train together."""
        return members_of(self.gpus, self.processes)


class ComputeConfig(Placement):
    """Placement, priority and limits, as a person writes them in a config."""

    priority: int = setting(0, "Higher goes first in the queue.", label="Priority", basic=True, ge=-100, le=100)
    limits: Limits = setting(Limits, "Bounds at which the run is stopped, its result saved.", label="Limits")
