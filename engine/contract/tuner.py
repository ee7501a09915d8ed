"""Which weights are trained. What each kind takes stands in `tuners`."""

from typing import Annotated, Literal

from pydantic import Field

from engine.contract.setting import Settings, setting
from engine.contract.tuners import TUNERS

TunerKind = Literal[
    "lora", "qlora", "full", "dora", "adalora", "freeze", "ia3", "loha", "lokr", "vera", "boft", "oft", "fourierft",
    "hra", "randlora", "vblora", "miss", "shira", "ln_tuning", "prompt_tuning", "prefix_tuning", "p_tuning",
    "trainable_tokens", "lisa", "llama_pro",
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
    )
    adapter: str = setting(
        "",
        "Folder of an adapter the run goes on with, such as outputs/adapter of another run: SFT first, then DPO. The "
        "other settings must be those it was trained with; empty: it begins afresh.",
        label="Goes on with adapter",
        max_length=4096,
    )
    init_rows: int = setting(
        256,
        "How many training rows CorDA and LoRA-GA look at before the first step.",
        label="Rows for the beginning",
        unit="rows",
        ge=1,
        le=100_000,
        usual=(32, 4096),
    )
    corda_method: Literal["ipm", "kpm"] = setting(
        "ipm",
        "CorDA: ipm learns in the directions the rows use most, kpm in those they use least, so that what the model "
        "knows of them stays.",
        label="CorDA mode",
    )
    ga_direction: Literal["ArBr", "A2rBr", "ArB2r", "random"] = setting(
        "ArB2r", "LoRA-GA: which of the gradient's directions go into the first and the second matrix.",
        label="LoRA-GA directions",
    )  # fmt: skip
    ga_scale: Literal["stable", "weight_svd", "gd_scale", "unit"] = setting(
        "stable", "LoRA-GA: how large the adapter begins.", label="LoRA-GA scale"
    )
    ga_gamma: int = setting(
        16, "LoRA-GA with the stable scale: the larger, the smaller the adapter begins.", label="LoRA-GA gamma",
        ge=1, le=1024,
    )  # fmt: skip
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
    target_rank: int = setting(
        8, "AdaLoRA: the rank that is left on average; it begins with the LoRA rank.", label="Rank at the end",
        ge=1, le=4096, usual=(2, 128),
    )  # fmt: skip
    tinit: int | None = setting(
        None, "AdaLoRA: steps before ranks begin to go; empty: a tenth of all steps.", label="Steps before",
        unit="steps", ge=0,
    )  # fmt: skip
    tfinal: int | None = setting(
        None, "AdaLoRA: steps at the end with the ranks that are left; empty: three tenths of all steps.",
        label="Steps after", unit="steps", ge=0,
    )  # fmt: skip
    delta_t: int | None = setting(
        None, "AdaLoRA: steps between two times that ranks go; empty: about fifty times in all.",
        label="Steps between", unit="steps", ge=1,
    )  # fmt: skip
    beta1: float = setting(
        0.85, "AdaLoRA: how slowly the importance of a rank follows the gradients.", label="Importance memory",
        gt=0, lt=1,
    )  # fmt: skip
    beta2: float = setting(
        0.85, "AdaLoRA: how slowly the doubt about that importance follows.", label="Uncertainty memory", gt=0, lt=1
    )
    orth_weight: float = setting(
        0.5, "AdaLoRA: how strongly the loss keeps the adapter's directions at right angles.",
        label="Orthogonality weight", ge=0, le=1000,
    )  # fmt: skip
    virtual_tokens: int = setting(
        20, "Learned tokens that stand before every row; they take as many places of the context.",
        label="Virtual tokens", unit="tokens", ge=1, le=1000, usual=(5, 200),
    )  # fmt: skip
    prompt_init: Literal["random", "text", "vocabulary"] = setting(
        "random", "Prompt tuning: the virtual tokens begin at random, as a text, or as tokens of the vocabulary.",
        label="Virtual tokens begin as",
    )  # fmt: skip
    prompt_text: str | None = setting(
        None, "Prompt tuning: the text the virtual tokens begin as.", label="Text to begin with", max_length=20000
    )
    prefix_projection: bool = setting(
        False, "Prefix tuning: a small network makes the prefix; steadier, and it is left out of the result.",
        label="Prefix by a network",
    )  # fmt: skip
    encoder: Literal["mlp", "lstm"] = setting(
        "mlp", "P-tuning: the network that makes the virtual tokens.", label="Prompt network"
    )
    encoder_size: int | None = setting(
        None, "Width of the network that makes virtual tokens; empty: the model's own.", label="Network width",
        ge=1, le=65536,
    )  # fmt: skip
    encoder_layers: int = setting(2, "P-tuning: layers of the LSTM.", label="Network layers", ge=1, le=16)
    encoder_dropout: float = setting(
        0.0, "P-tuning: share of the LSTM's values dropped while training.", label="Network dropout", ge=0, lt=1
    )
    tokens: list[Annotated[str, Field(min_length=1, max_length=200)]] = setting(
        list, "Tokens whose embeddings learn, as text; each must be a single token of the model.", label="Tokens",
        max_length=1024,
    )  # fmt: skip
    new_tokens: dict[str, Annotated[str, Field(max_length=2000)]] = setting(
        dict, "Tokens added to the vocabulary, each with words whose mean its embedding begins as; empty: the mean of "
        "all. They learn with the method.", label="New tokens", max_length=1024,
    )  # fmt: skip
    layers: int = setting(
        2,
        "With freeze: how many of the last layers are trained; a negative number means the first ones. With LISA: how "
        "many learn at a time.",
        label="Trained layers",
        ge=-1024,
        le=1024,
    )
    every: int = setting(
        20, "LISA: steps after which other layers learn, drawn by the seed.", label="Other layers every", unit="steps",
        ge=1, le=1_000_000, usual=(5, 200),
    )  # fmt: skip
    blocks: int = setting(
        4, "LLaMA-Pro: how many new blocks are put between those of the model.", label="New blocks", ge=1, le=1024,
        usual=(1, 16),
    )  # fmt: skip
    options: dict[str, bool | int | float | str] = setting(
        dict, "More options of the method, by the names peft gives them.", label="Options of the method", max_length=64
    )
