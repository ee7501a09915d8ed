"""What training makes smaller. Which of it a stage takes stands in `stages`."""

from typing import Literal

from engine.contract.setting import Settings, setting

LossName = Literal[
    "auto", "nll", "dft", "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
    "aot_unpaired", "apo_zero", "apo_down", "discopop", "sigmoid_norm", "kto", "apo_zero_unpaired", "odds_ratio",
    "simpo", "ranking", "classes", "info_nce", "cosine", "pairwise", "listwise", "pointwise",
    "dapo", "grpo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "rloo", "ppo",
    "jsd", "forward_kl", "reverse_kl",
]  # fmt: skip
Truncation = Literal["end", "start", "drop", "split"]


class ObjectiveConfig(Settings):
    """The loss of a stage and its weights."""

    loss: LossName = setting(
        "auto", "Which loss the stage uses; auto takes its usual one. Names are those of trl.", label="Loss"
    )
    beta: float | None = setting(
        None,
        "How much a preference weighs: in DPO and KTO, higher stays closer to the base model. Empty: 0.1, for SimPO 2.",
        label="Beta",
        gt=0,
        le=1000,
    )
    label_smoothing: float = setting(
        0.0, "Share of the pairs that are thought to be the wrong way round.", label="Label smoothing", ge=0, lt=0.5
    )
    reference_free: bool = setting(
        False, "Compare with no base model: saves a pass, and lets the model go further.", label="Without reference"
    )
    precompute_ref_log_probs: bool = setting(
        False,
        "Ask the base model about all rows once before the first step: each batch saves a pass, and no copy of the "
        "weights is held.",
        label="Ask the base model beforehand",
    )
    rpo_alpha: float | None = setting(
        None,
        "Also learn the better answer itself, with this weight (RPO); empty: not.",
        label="Weight of the better answer",
        ge=0,
        le=1000,
    )
    ld_alpha: float | None = setting(
        None,
        "Weight of what the longer answer has more (LD-DPO): below 1 length counts less; empty: all alike.",
        label="Weight of length",
        ge=0,
        le=1,
    )
    discopop_tau: float = setting(
        0.05, "Temperature of the loss discopop.", label="DiscoPOP temperature", gt=0, le=1000
    )
    desirable_weight: float = setting(
        1.0,
        "Weight of answers called good; raise it where they are few.",
        label="Weight of good answers",
        ge=0,
        le=1000,
    )
    undesirable_weight: float = setting(
        1.0, "Weight of answers called bad; raise it where they are few.", label="Weight of bad answers", ge=0, le=1000
    )
    simpo_gamma: float = setting(0.5, "How far apart the two answers should be.", label="SimPO margin", ge=0, le=1000)
    cpo_alpha: float | None = setting(
        None,
        "Weight of the likelihood of the better answer; empty: 1 for CPO, 0 for SimPO.",
        label="Likelihood weight",
        ge=0,
        le=1000,
    )
    center_rewards: float | None = setting(
        None,
        "Pull of the scores towards zero, so that they are comparable; 0.01 is usual, empty: none.",
        label="Centre the scores",
        ge=0,
        le=1000,
    )
    neftune_alpha: float | None = setting(
        None,
        "Noise on the embeddings while training (NEFTune), against learning by heart; 5 is usual, empty: none.",
        label="Noise on embeddings",
        gt=0,
        le=1000,
        usual=(1, 15),
    )
    mask_history: bool = setting(
        False, "Of each conversation learn the last answer only.", label="Learn the last answer only"
    )
    truncation: Truncation = setting(
        "end",
        "What happens to rows that are too long: cut at the end, cut at the start, dropped, or split into several "
        "(not for pairs and verdicts).",
        label="Long rows",
    )
