"""Settings that are allowed and far from what is common: each is said with its reason, and nothing is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.contract.errors import Problem
from engine.contract.tuners import TUNERS

MOST_EPOCHS = 20
MOST_CUT = 0.05
BETAS: dict[str, tuple[float, float]] = {
    "dpo": (0.01, 0.5), "kto": (0.01, 0.5), "orpo": (0.01, 0.5), "cpo": (0.01, 0.5), "online_dpo": (0.01, 0.5),
    "simpo": (1.0, 10.0),
}  # fmt: skip
"""Stage to the values of beta its papers and recipes use: DPO 0.01 to 0.5, SimPO 2 to 10 (arXiv 2405.14734)."""


@dataclass(frozen=True)
class Known:
    """What is known beside the settings; what is not known gives no warning."""

    hidden: int | None = None
    """Width of the model."""
    cut: float | None = None
    """Share of the measured rows that are longer than they may be."""
    rows: int = 0
    """How many were measured."""


def unusual(path: str, settings: Mapping[str, Any], known: Known = Known()) -> Problem | None:
    """What is unusual about a setting, by its dotted name; None where nothing is, or it is not valid anyway."""
    value = settings.get(path)
    stage, tuner = str(settings.get("stage", "sft")), TUNERS.get(str(settings.get("tuner.kind", "lora")))
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    ranked = tuner is not None and "rank" in tuner.settings
    if path == "tuner.rank" and ranked and known.hidden and value > known.hidden:
        return Problem(code="unusual.rank", field=path, params={"rank": value, "hidden": known.hidden})
    if path == "training.epochs" and value > MOST_EPOCHS and not settings.get("training.max_steps"):
        return Problem(code="unusual.epochs", field=path, params={"epochs": f"{value:g}", "most": MOST_EPOCHS})
    if path in ("training.micro_batch_size", "training.accumulation"):
        both = [settings.get(f"training.{name}") for name in ("micro_batch_size", "accumulation")]
        if both == [1, 1]:
            return Problem(code="unusual.batch", field=path)
    if path == "data.max_length" and known.cut is not None and known.cut > MOST_CUT:
        params = {"share": f"{100 * known.cut:.0f}", "rows": known.rows}
        return Problem(code="unusual.length", field=path, params=params)
    if path == "objective.beta" and stage in BETAS and not BETAS[stage][0] <= value <= BETAS[stage][1]:
        low, high = BETAS[stage]
        params = {"beta": f"{value:g}", "low": f"{low:g}", "high": f"{high:g}", "stage": stage}
        return Problem(code="unusual.beta", field=path, params=params)
    return None
