"""Which weights are trained. What each kind takes stands in `tuners`."""

from typing import Annotated, Literal

from pydantic import Field

from engine.contract.setting import Settings, setting
from engine.contract.tuners import TUNERS

TunerKind = Literal[
    "lora", "qlora", "full", "dora", "freeze", "ia3", "loha", "lokr", "vera", "boft", "oft", "fourierft", "hra",
    "randlora", "vblora", "miss", "shira", "ln_tuning",
]  # fmt: skip
RUNNABLE_TUNERS = tuple(TUNERS)
Rank = Annotated[int, Field(ge=1, le=4096)]
Alpha = Annotated[float, Field(gt=0, le=65536)]


class TunerConfig(Settings):
    """An adapter beside frozen weights, some weights, or all of them."""

    kind: TunerKind = setting(
        "lora",
        "LoRA trains a small adapter beside frozen weights; full trains every weight.",
        label="Method",
        basic=True,
        executable=RUNNABLE_TUNERS,
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
    init: Literal["default", "gaussian", "orthogonal", "pissa", "olora", "eva", "corda", "loftq", "lora_ga"] = setting(
        "default",
        "What the adapter begins with: nothing added, or directions taken from the weights or from the rows.",
        label="Adapter's beginning",
        executable=("default", "gaussian", "orthogonal", "pissa", "olora", "eva"),
    )
    plus_ratio: float | None = setting(
        None,
        "LoRA+: how many times faster the second matrix of the adapter learns; 16 is usual, empty: alike.",
        label="LoRA+ ratio",
        ge=1,
        le=1024,
    )
    freeze_a: bool = setting(
        False, "LoRA-FA: the first matrix stays as it began; less memory for activations.", label="Freeze first matrix"
    )
    rank_pattern: dict[str, Rank] = setting(
        dict, "Other ranks for some modules: the end of a name, or a pattern, and its rank.", label="Rank by module",
        max_length=256,
    )  # fmt: skip
    alpha_pattern: dict[str, Alpha] = setting(
        dict, "Other alphas for some modules, by the same names.", label="Alpha by module", max_length=256
    )
    modules_to_save: list[str] = setting(
        list,
        "Modules trained whole beside the adapter, such as embed_tokens and lm_head.",
        label="Modules trained whole",
        max_length=64,
    )
    layers: int = setting(
        2,
        "With freeze: how many of the last layers are trained; a negative number means the first ones.",
        label="Trained layers",
        ge=-1024,
        le=1024,
    )
    options: dict[str, bool | int | float | str] = setting(
        dict, "More options of the method, by the names peft gives them.", label="Options of the method", max_length=64
    )
