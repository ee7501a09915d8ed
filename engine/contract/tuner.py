"""Which weights are trained."""

from typing import Literal

from engine.contract.setting import Settings, setting


class TunerConfig(Settings):
    """LoRA, or all weights."""

    kind: Literal["lora", "full", "qlora", "dora"] = setting(
        "lora",
        "LoRA trains a small adapter beside frozen weights; full trains every weight.",
        label="Method",
        basic=True,
        executable=("lora", "full"),
    )
    rank: int = setting(
        16,
        "Width of the adapter: higher learns more and costs more memory.",
        label="LoRA rank",
        basic=True,
        ge=1,
        le=4096,
        usual=(4, 256),
    )
    alpha: float = setting(
        32.0, "Strength of the adapter; its output is scaled by alpha / rank.", label="LoRA alpha", gt=0, le=65536
    )
    dropout: float = setting(
        0.0, "Share of adapter inputs dropped while training.", label="LoRA dropout", ge=0, lt=1, usual=(0, 0.3)
    )
    targets: list[str] = setting(
        lambda: ["all-linear"],
        "Modules that get an adapter: names as in the model, or all-linear.",
        label="Target modules",
        min_length=1,
        max_length=256,
    )
    rslora: bool = setting(False, "Scale by alpha / √rank, steadier at high ranks.", label="Rank-stabilised scaling")
