"""Values that others recommend for a setting, each with where it comes from; a form offers them, nothing takes them."""

from __future__ import annotations

from dataclasses import dataclass

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
