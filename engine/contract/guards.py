"""What is watched while a run trains, and what is done where something goes wrong."""

from __future__ import annotations

from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.setting import Settings, setting

GuardName = Literal[
    "not_finite",
    "loss_spike",
    "exploding_gradient",
    "vanishing_gradient",
    "no_trained_tokens",
    "stalled_data",
    "slow_step",
    "disk_filling",
]
Deed = Literal["warned", "skipped", "rolled_back", "stopped"]
"""What was done."""


class GuardsConfig(Settings):
    """A guard that is off looks at nothing; each takes only the actions that make sense for it."""

    not_finite: Literal["skip", "roll_back", "stop"] = setting(
        "stop",
        "When loss or gradient is no number any more: skip the batch, go back to the last good checkpoint, or stop.",
        label="Not a number",
    )
    loss_spike: Literal["off", "warn", "skip", "roll_back", "stop"] = setting(
        "warn", "When the loss jumps far above what it was lately.", label="Loss spike"
    )
    spike_threshold: float = setting(
        10.0,
        "How far above its median the loss must be to count as a spike, in robust deviations (from the median).",
        label="Spike threshold",
        gt=0,
        le=10_000,
        usual=(4, 50),
    )
    spike_window: int = setting(
        50, "Steps whose losses and gradients count as lately.", label="Window", unit="steps", ge=5, le=10_000
    )
    exploding_gradient: Literal["off", "warn", "skip", "roll_back", "stop"] = setting(
        "warn", "When the gradient is many times as long as it was lately.", label="Exploding gradient"
    )
    exploding_factor: float = setting(
        100.0, "How many times its median a gradient must be to count as exploding.", label="Exploding from", gt=1
    )
    vanishing_gradient: Literal["off", "warn", "roll_back", "stop"] = setting(
        "warn", "When the gradient stays next to nothing, so that nothing is learned.", label="Vanishing gradient"
    )
    vanishing_below: float = setting(
        1e-7, "Gradients shorter than this count as nothing.", label="Vanishing below", gt=0
    )
    vanishing_steps: int = setting(
        10, "Steps in a row before it counts.", label="Vanishing for", unit="steps", ge=1, le=100_000
    )
    no_trained_tokens: Literal["off", "warn", "skip", "stop"] = setting(
        "skip",
        "When a step holds nothing to learn; skip leaves the weights as they are.",
        label="Nothing to learn in a step",
    )
    stalled_data: Literal["off", "warn", "stop"] = setting(
        "warn", "When the next batch does not come.", label="Stalled data"
    )
    stalled_seconds: float = setting(
        120.0, "Seconds of waiting for a batch before it counts.", label="Stalled after", unit="s", gt=0, le=86_400
    )
    slow_step: Literal["off", "warn", "stop"] = setting(
        "warn", "When a step takes many times as long as the run's own steps usually do.", label="Slow step"
    )
    slow_factor: float = setting(
        10.0, "How many times its median a step must take to count as slow.", label="Slow from", gt=1
    )
    disk_filling: Literal["off", "warn", "stop"] = setting(
        "warn", "When the disk is about to be full; stop saves while there is still room.", label="Disk filling up"
    )
    disk_free_gb: float = setting(
        1.0, "Free space below which it counts.", label="Least free space", unit="GB", gt=0, le=1_000_000
    )
    max_skips: int = setting(
        20,
        "Batches skipped one after the other before the run stops: nothing is learned any more.",
        label="Most skips in a row",
        ge=1,
        le=100_000,
    )
    max_rollbacks: int = setting(
        3, "How often a run goes back before it stops instead.", label="Most roll backs", ge=1, le=1000
    )
    rollback_rate: float = setting(
        1.0,
        "At each roll back the learning rate is multiplied by this; 1 leaves it.",
        label="Learning rate after a roll back",
        gt=0,
        le=1,
    )


ROLLING = ("not_finite", "loss_spike", "exploding_gradient", "vanishing_gradient")


def contradictions(guards: dict[str, Any], checkpoints: dict[str, Any]) -> list[Problem]:
    """Going back needs something to go back to."""
    regular = checkpoints.get("every_minutes", 10.0), checkpoints.get("every_steps")
    if any(regular):
        return []
    return [
        Problem(code="guards.nothing_to_go_back_to", field=f"guards.{name}")
        for name in ROLLING
        if guards.get(name) == "roll_back"
    ]
