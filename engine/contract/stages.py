"""Every stage of training by one declaration: what it learns, from which rows, with which settings, and what trains it.

The config, the wizard, the docs, the CLI and the worker are made from it. A stage without a class behind it cannot run
yet; it says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.contract import heads, rewards, teacher
from engine.contract.data_format import TEACHES
from engine.contract.errors import Problem
from engine.contract.tuners import SPLITTING, TUNERS

StageName = Literal[
    "sft", "pretrain", "dpo", "kto", "orpo", "cpo", "simpo", "reward", "grpo", "rloo", "online_dpo", "ppo", "gkd",
    "classification", "embedding", "reranker", "image_sft", "audio_sft", "video_sft",
]  # fmt: skip
Missing = Literal["", "media"]
"""Why a stage cannot run: it needs media."""
_CUT = ("truncation",)
_PAIRED = ("loss", "beta", "label_smoothing", *_CUT)
_OBJECTIVES = "engine.compute.training"
_SAMPLED = (
    "rewards", "answers", "max_tokens", "temperature", "top_p", "top_k", "iterations", "epsilon", "epsilon_high",
    "beta", "mask_truncated", "keep_every", "keep_answers",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A way of learning from rows."""

    name: StageName
    learns: str
    """One sentence, for the wizard and the docs."""
    rows: tuple[str, ...]
    """The sorts of rows it takes, as `TEACHES` names them."""
    objective: str = ""
    """The class behind it, by its dotted name; empty: not built yet."""
    settings: tuple[str, ...] = ()
    """Those of `ObjectiveConfig` it takes; the others are not used."""
    losses: tuple[str, ...] = ()
    """The losses it knows, its usual one first."""
    beta: float | None = None
    """What `beta` is when nothing is said."""
    cpo_alpha: float = 0.0
    """The same of the weight of the likelihood of the better answer."""
    reference: bool = False
    """It asks the model as it was before training for comparison."""
    sequences: int = 1
    """How many rows of tokens pass through the model with gradients for a row of the dataset."""
    scores: bool = False
    """The model gives numbers, not text."""
    head: tuple[str, ...] = ()
    """Settings of `HeadConfig` it takes."""
    vectors: bool = False
    """The numbers are a vector for each text: the model has no head at all."""
    rollouts: tuple[str, ...] = ()
    """Those of `RolloutConfig` it takes: it learns from answers it samples itself."""
    teacher: bool = False
    """It learns from another model, which `TeacherConfig` names."""
    unpairs: bool = False
    """A row of two answers is taken apart: two rows, each an answer with its verdict."""
    packs: bool = False
    """Its rows can share a sequence: the loss is a sum over tokens, whosever they are."""
    missing: Missing = ""

    @property
    def samples(self) -> bool:
        """It learns from its own answers and their rewards."""
        return "rewards" in self.rollouts

    @property
    def grouped(self) -> bool:
        """All its answers to a question are learned from, one by one."""
        return self.samples and self.sequences == 1

    @property
    def may_be_free(self) -> bool:
        """It can do without the base model that it compares with."""
        return "reference_free" in self.settings or "beta" in self.rollouts

    @property
    def runs(self) -> bool:
        """This version can train it."""
        return bool(self.objective)

    @property
    def splits(self) -> bool:
        """A row that is too long can be learned in pieces: it has no answer that belongs to a question before it."""
        return bool({"conversation", "text"} & set(self.rows))

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of datasets it can learn from."""
        return tuple(form for form, teaches in TEACHES.items() if teaches in self.rows)


_DPO_LOSSES = (
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sigmoid_norm",
)  # fmt: skip
_ALL = (
    Stage(
        "sft", "The answers of conversations.", ("conversation",), f"{_OBJECTIVES}.objectives.Tokens",
        ("loss", "neftune_alpha", "mask_history", *_CUT), ("nll", "dft"), packs=True,
    ),
    Stage(
        "pretrain", "Plain text, every word of it.", ("conversation", "text"), f"{_OBJECTIVES}.objectives.Tokens",
        ("loss", "neftune_alpha", *_CUT), ("nll", "dft"), packs=True,
    ),
    Stage(
        "dpo", "To prefer the better of two answers, without leaving the base model far behind.", ("preference",),
        f"{_OBJECTIVES}.preferences.Direct",
        (*_PAIRED, "reference_free", "precompute_ref_log_probs", "rpo_alpha", "ld_alpha", "discopop_tau"),
        _DPO_LOSSES, 0.1, reference=True, sequences=2,
    ),
    Stage(
        "kto", "From single answers that were called good or bad; of two answers the better is good, the worse bad.",
        ("verdict", "preference"), f"{_OBJECTIVES}.verdicts.Verdicts",
        ("loss", "beta", "desirable_weight", "undesirable_weight", *_CUT), ("kto", "apo_zero_unpaired"), 0.1,
        reference=True, unpairs=True,
    ),
    Stage(
        "orpo", "The better answer, and at the same time to prefer it to the worse one; no reference is asked.",
        ("preference",), f"{_OBJECTIVES}.preferences.OddsRatio", ("beta", *_CUT), ("odds_ratio",), 0.1, sequences=2,
    ),
    Stage(
        "cpo", "To prefer the better answer and to write it; no reference is asked.", ("preference",),
        f"{_OBJECTIVES}.preferences.Contrastive", (*_PAIRED, "cpo_alpha"), ("sigmoid", "hinge", "ipo"), 0.1, 1.0,
        sequences=2,
    ),
    Stage(
        "simpo", "To prefer the better answer by a margin, long and short answers alike; no reference is asked.",
        ("preference",), f"{_OBJECTIVES}.preferences.Contrastive",
        ("beta", "label_smoothing", "simpo_gamma", "cpo_alpha", *_CUT), ("simpo",), 2.0, sequences=2,
    ),
    Stage(
        "reward", "To score answers: the result is a model that gives a number, not text.", ("preference",),
        f"{_OBJECTIVES}.scores.Scores", ("center_rewards",), ("ranking",), sequences=2, scores=True,
    ),
    Stage(
        "grpo", "From rewards for groups of its own answers.", ("prompt", "conversation"),
        f"{_OBJECTIVES}.online.Group", ("loss",), ("dapo", "grpo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo"),
        reference=True, rollouts=(*_SAMPLED, "scale_rewards", "importance"),
    ),
    Stage(
        "rloo", "From rewards for its own answers, each against the others.", ("prompt", "conversation"),
        f"{_OBJECTIVES}.online.LeaveOneOut", (), ("rloo",), reference=True,
        rollouts=(*_SAMPLED, "normalize_advantages"),
    ),
    Stage(
        "online_dpo", "To prefer the better of its own answers.", ("prompt", "conversation"),
        f"{_OBJECTIVES}.own_pairs.OwnPairs", ("loss", "beta"), ("sigmoid", "ipo"), 0.1, reference=True, sequences=2,
        rollouts=(
            "rewards", "answers", "max_tokens", "temperature", "top_p", "top_k", "missing_eos_penalty", "keep_every",
            "keep_answers",
        ),
    ),
    Stage(
        "ppo", "From rewards for its own answers, with a critic.", ("prompt", "conversation"),
        f"{_OBJECTIVES}.proximal.Proximal", (), ("ppo",), reference=True,
        rollouts=(
            *_SAMPLED, "missing_eos_penalty", "gamma", "gae_lambda", "value_coef", "value_clip", "whiten_rewards",
        ),
    ),
    Stage(
        "gkd", "What a larger model would say.", ("conversation",), f"{_OBJECTIVES}.distillation.Distilled",
        ("loss", "mask_history", *_CUT), ("jsd", "forward_kl", "reverse_kl"),
        rollouts=("max_tokens", "temperature", "top_p", "top_k"), teacher=True,
    ),
    Stage(
        "classification", "To put texts into classes, or to give them a number.", ("class",),
        f"{_OBJECTIVES}.classes.Classes", _CUT, ("classes",), scores=True,
        head=("problem", "labels", "label_smoothing", "class_weights", "through_template"),
    ),
    Stage(
        "embedding", "To put texts that belong together close together: the result gives each text a vector.",
        ("pair",), f"{_OBJECTIVES}.vectors.Vectors", ("loss", *_CUT), ("info_nce", "cosine"), sequences=2, scores=True,
        head=("pooling", "normalise", "temperature", "symmetric", "negatives", "instruction", "through_template"),
        vectors=True,
    ),
    Stage(
        "reranker", "To order texts by how well they answer: the result gives a query and a document one number.",
        ("pair",), f"{_OBJECTIVES}.ranks.Ranks", ("loss", *_CUT), ("pairwise", "listwise", "pointwise"), sequences=2,
        scores=True, head=("negatives", "joined", "through_template"),
    ),
    Stage("image_sft", "Answers about images.", ("conversation",), missing="media"),
    Stage("audio_sft", "Answers about audio.", ("conversation",), missing="media"),
    Stage("video_sft", "Answers about videos.", ("conversation",), missing="media"),
)  # fmt: skip
STAGES: dict[str, Stage] = {stage.name: stage for stage in _ALL}
RUNNABLE_STAGES: tuple[str, ...] = tuple(stage.name for stage in _ALL if stage.runs)
REASONS: dict[str, str] = {
    "media": "It needs images, audio or videos; a later version will learn from them.",
}
"""What `missing` means."""
WHOLE_BATCH = ("kto", "aot", "aot_unpaired", "info_nce")
"""Losses in which the rows of a batch depend on each other: it cannot be cut into parts."""


def stage_of(name: str) -> Stage:
    """The declaration of a stage; of one that is not known, that of the first."""
    return STAGES.get(name, _ALL[0])


def stages_for(teaches: str) -> list[str]:
    """The stages that can learn from a sort of rows."""
    return [stage.name for stage in _ALL if stage.runs and teaches in stage.rows]


def loss_of(stage: Stage, chosen: str) -> str:
    """The loss that is meant: the stage's usual one unless another is named."""
    return stage.losses[0] if chosen == "auto" and stage.losses else chosen


def keeps_copy(stage: str, reference_free: bool, tuner: str, init: str, asked_before: bool = False) -> bool:
    """Whether a second model is held: an adapter is switched off instead, unless it began with more than nothing.

    `asked_before`: of every row it is known what that model makes of it.
    """
    declared = stage_of(stage)
    if not declared.reference or (reference_free and declared.may_be_free):
        return False
    if asked_before and "precompute_ref_log_probs" in declared.settings:
        return False
    method = TUNERS.get(tuner)
    return method is None or method.whole_model or init in SPLITTING or init == "loftq"


def objective_contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What of `objective`, `training` and `data` does not go with the stage, in a document that may not validate."""
    stage = STAGES.get(str(document.get("stage", "sft")))
    if stage is None or not stage.runs:
        return
    objective, training = (_group(document, name) for name in ("objective", "training"))
    loss = objective.get("loss", "auto")
    if loss != "auto" and loss not in stage.losses:
        params = {"loss": str(loss), "stage": stage.name, "choices": ", ".join(stage.losses)}
        yield Problem(code="config.stage_loss", field="objective.loss", params=params)
        return
    loss = loss_of(stage, loss)
    if loss == "exo_pair" and objective.get("label_smoothing", 0.0) in (0, 0.0):
        yield Problem(code="config.smoothing_needed", field="objective.label_smoothing", params={"loss": loss})
    if objective.get("truncation") == "split" and "truncation" in stage.settings and not stage.splits:
        yield Problem(code="config.split_for_stage", field="objective.truncation", params={"stage": stage.name})
    if objective.get("precompute_ref_log_probs") is True and "precompute_ref_log_probs" in stage.settings:
        yield from _beforehand(objective, document)
    if loss == "kto" and training.get("micro_batch_size", 8) == 1:
        yield Problem(code="config.kto_batch", field="training.micro_batch_size")
    if loss in WHOLE_BATCH and training.get("micro_batch_parts", 1) != 1:
        yield Problem(code="config.stage_parts", field="training.micro_batch_parts", params={"loss": loss})
    yield from _method(stage, _group(document, "tuner"))
    if stage.head:
        yield from heads.contradictions(document, stage.head, loss)
    yield from _formats(stage, document)
    if stage.samples:
        yield from rewards.contradictions(document)
    if stage.teacher:
        yield from teacher.contradictions(document)


def _beforehand(objective: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Problem]:
    """What does not go with a reference that is asked before the first step."""
    field, compute = "objective.precompute_ref_log_probs", _group(document, "compute")
    if objective.get("reference_free") is True:
        yield Problem(code="config.no_reference_to_ask", field=field)
    several = [compute.get(name) for name in ("gpus", "processes")]
    if any(isinstance(count, int) and count > 1 for count in several):
        yield Problem(code="config.reference_members", field=field)


def _method(stage: Stage, tuner: Mapping[str, Any]) -> Iterator[Problem]:
    """What of `tuner` is for stages that predict the tokens of rows."""
    method = TUNERS.get(str(tuner.get("kind", "lora")))
    if tuner.get("new_tokens") and (stage.teacher or stage.scores):
        yield Problem(code="config.new_tokens_stage", field="tuner.new_tokens", params={"stage": stage.name})
    if method is None or not (stage.rollouts or stage.scores or stage.head):
        return
    if method.virtual:
        params = {"tuner": method.name, "stage": stage.name}
        yield Problem(code="config.tuner_for_stage", field="tuner.kind", params=params)
    if "init" in method.settings and tuner.get("init") == "lora_ga" and not stage.teacher:
        yield Problem(code="config.init_for_stage", field="tuner.init", params={"init": "lora_ga", "stage": stage.name})


def _formats(stage: Stage, document: Mapping[str, Any]) -> Iterator[Problem]:
    """Datasets whose format was named and is not one the stage learns from."""
    data = _group(document, "data")
    for name in ("train", "validation"):
        listed = data.get(name)
        for index, source in enumerate(listed if isinstance(listed, list) else ()):
            form = source.get("format", "auto") if isinstance(source, Mapping) else "auto"
            if form in TEACHES and TEACHES[form] not in stage.rows:
                params = {"format": form, "stage": stage.name, "choices": ", ".join(stage.formats)}
                yield Problem(code="config.format_for_stage", field=f"data.{name}.{index}.format", params=params)
    myself = data.get("self_cognition")
    if isinstance(myself, Mapping) and myself.get("name") and "conversation" not in stage.rows:
        yield Problem(code="config.myself_for_stage", field="data.self_cognition.name", params={"stage": stage.name})


def _group(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}
