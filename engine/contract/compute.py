"""Where a run works, how urgent it is, and where it must stop."""

from typing import Literal

from engine.contract.setting import Settings, setting


class Limits(Settings):
    """Bounds at which a run is stopped, its result saved."""

    max_hours: float | None = setting(None, "Stop and save after so many hours.", label="Time limit", unit="h", gt=0)
    retries: int = setting(
        3,
        "How often the run goes on by itself after a failure that was not its own fault (process killed, computer "
        "restarted, disk gone); 0: never.",
        label="Retries",
        ge=0,
        le=100,
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
        "local", "Name of the node; local is this computer.", label="Node", basic=True, executable=("local",)
    )
    executor: Literal["process", "docker"] = setting(
        "process", "How the worker is started there.", label="Started as", executable=("process",)
    )
    gpus: int | None = setting(
        None,
        "GPUs to use; empty: one if there is one, else the processor.",
        label="GPUs",
        basic=True,
        ge=0,
        le=1,
        executable=None,
    )
    ddp: bool = setting(False, "Train on several GPUs at once.", label="Several GPUs", executable=(False,))
    image: str | None = setting(None, "Container image of the worker.", label="Image", executable=(None,))


class ComputeConfig(Placement):
    """Placement, priority and limits, as a person writes them in a config."""

    priority: int = setting(0, "Higher goes first in the queue.", label="Priority", basic=True, ge=-100, le=100)
    limits: Limits = setting(Limits, "Bounds at which the run is stopped, its result saved.", label="Limits")
