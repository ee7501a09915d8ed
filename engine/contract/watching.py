"""What is shown of a run while it trains: answers to fixed prompts, and the programs its figures go to."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from engine.contract.errors import Problem
from engine.contract.setting import Settings, setting

TRACKERS: dict[str, str] = {"mlflow": "mlflow-skinny", "wandb": "wandb", "swanlab": "swanlab", "trackio": "trackio"}
"""Tracker, which is also the module that is imported, to the package pip installs it by."""
Prompt = Annotated[str, Field(min_length=1, max_length=8000)]


class WatchingConfig(Settings):
    """None of it changes what is learned."""

    prompts: list[Prompt] = setting(
        list, "Asked of the model at its checkpoints, to see how its answers change.", label="Fixed prompts",
        max_length=20,
    )  # fmt: skip
    prompts_every: int = setting(
        1, "Ask at every nth checkpoint.", label="Ask every", unit="checkpoints", ge=1, le=10_000
    )
    prompt_tokens: int = setting(
        64, "Longest answer to a fixed prompt.", label="Longest answer", unit="tokens", ge=1, le=2048
    )
    trackers: list[str] = setting(
        list, "Programs that also get the figures (mlflow, wandb, swanlab, trackio); each must be installed in the "
        "worker's environment.", label="Trackers", max_length=8,
    )  # fmt: skip
    tracker_project: str = setting(
        "loraforge", "What the run is filed under there.", label="Project there", min_length=1, max_length=100
    )
    tracker_address: str = setting(
        "",
        "Address of an MLflow server or of a W&B of your own; empty: files on the worker's computer, nothing is sent.",
        label="Tracker address",
        max_length=500,
    )
    tracker_online: bool = setting(
        False, "Let W&B and SwanLab send to their service; off, they write files only.", label="Send to the service"
    )


def contradictions(watching: dict[str, Any]) -> list[Problem]:
    """Trackers nobody knows."""
    named = watching.get("trackers")
    return [
        Problem(
            code="tracking.unknown",
            field=f"watching.trackers.{index}",
            params={"value": str(name)[:80], "choices": ", ".join(TRACKERS)},
        )
        for index, name in enumerate(named if isinstance(named, list) else [])
        if name not in TRACKERS
    ]
