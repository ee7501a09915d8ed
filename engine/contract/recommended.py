"""Values that others recommend for a setting, each with where it comes from; a form offers them, nothing takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.contract.tuners import TUNERS

TRL = "trl 1.16"
ADAPTER_TIMES = 10.0
"""How much larger the steps of an adapter are than those of a whole model in the examples of trl (scripts sft.py,
dpo.py, distillation.py), after Schulman et al., LoRA Without Regret, 2025."""
FAR = 10.0
"""Beyond so many times more, or less, than recommended, a form warns."""
RATES: dict[str, tuple[float, str, bool]] = {
    "sft": (2e-5, "SFTConfig", True),
    "dpo": (1e-6, "DPOConfig", True),
    "kto": (1e-6, "KTOConfig", True),
    "orpo": (1e-6, "ORPOConfig", True),
    "cpo": (1e-6, "CPOConfig", True),
    "simpo": (1e-6, "CPOConfig", True),
    "reward": (1e-4, "RewardConfig", False),
    "grpo": (1e-6, "GRPOConfig", True),
    "rloo": (1e-6, "RLOOConfig", True),
    "online_dpo": (5e-7, "OnlineDPOConfig", True),
    "gkd": (2e-5, "GKDConfig", True),
}
"""Stage to the peak learning rate of a whole model, the class of trl whose default it is, and whether an adapter takes
larger steps."""


@dataclass(frozen=True)
class Recommended:
    """One value."""

    value: float
    source: str
    """The library or paper it comes from."""
    for_adapter: bool = False
    """It is the source's value for whole models, times what adapters take."""

    @property
    def usual(self) -> tuple[float, float]:
        """Outside of this a form warns."""
        return self.value / FAR, self.value * FAR


def learning_rate(stage: str, tuner: str) -> Recommended | None:
    """The peak learning rate for a stage and a method; None where no source says one."""
    method = TUNERS.get(tuner)
    if stage not in RATES or method is None or method.virtual:
        return None
    rate, source, larger = RATES[stage]
    larger = larger and not method.whole_model
    return Recommended(float(f"{rate * ADAPTER_TIMES if larger else rate:.6g}"), f"{TRL}, {source}", larger)


LORA_RANK, ALPHA_TIMES, LORA_SOURCE = 16, 2, f"{TRL}, ModelConfig"
"""trl's defaults for an adapter: the rank, and how many times as large alpha is."""
EPOCHS, STEP_ROWS, WARMUP, DECAY = 3.0, 8, 0.0, 0.0
"""The same in all of its classes named above: epochs, rows a step, warm-up, weight decay."""
FITS, LENGTH_STEP = 0.99, 64
"""A length is recommended that cuts none but the longest hundredth of the rows, as a multiple of so many tokens."""
MEASURED = "rows"
"""The source of what was read off the rows themselves."""


_FACTORS = {
    "training.accumulation": "training.micro_batch_size", "training.micro_batch_size": "training.accumulation",
}  # fmt: skip
"""Each with the other makes the rows of a step."""


def recommended(path: str, settings: Mapping[str, Any], lengths: Sequence[int] = ()) -> Recommended | None:
    """A value for a setting, by its dotted name; `lengths` are measured rows in tokens. None where nobody says one."""
    stage, tuner = str(settings.get("stage", "sft")), str(settings.get("tuner.kind", "lora"))
    if path == "training.learning_rate":
        return learning_rate(stage, tuner)
    if path in ("tuner.rank", "tuner.alpha"):
        return _of_adapter(path, tuner, settings)
    if path == "data.max_length" and lengths:
        at = sorted(lengths)[max(0, math.ceil(FITS * len(lengths)) - 1)]
        return Recommended(float(-(-at // LENGTH_STEP) * LENGTH_STEP), MEASURED)
    if stage not in RATES:
        return None
    source = f"{TRL}, {RATES[stage][1]}"
    if path in _FACTORS:
        other = settings.get(_FACTORS[path])
        return Recommended(float(max(1, STEP_ROWS // max(1, other))), source) if isinstance(other, int) else None
    known = {"training.epochs": EPOCHS, "training.warmup_share": WARMUP, "training.weight_decay": DECAY}
    return Recommended(known[path], source) if path in known else None


def _of_adapter(path: str, tuner: str, settings: Mapping[str, Any]) -> Recommended | None:
    method, rank = TUNERS.get(tuner), settings.get("tuner.rank")
    if method is None or path.removeprefix("tuner.") not in method.settings:
        return None
    if path == "tuner.rank":
        return Recommended(float(LORA_RANK), LORA_SOURCE)
    return Recommended(float(ALPHA_TIMES * rank), LORA_SOURCE) if isinstance(rank, int) else None
