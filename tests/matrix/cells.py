"""What the matrix is made of: from the registries of stages and tuners, so that a new one is in it by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.contract.scratch_shape import ARCHITECTURES
from engine.contract.stages import STAGES, Stage
from engine.contract.tuner import RUNNABLE_TUNERS
from engine.contract.tuners import TUNERS

MAIN_TUNERS = ("lora", "qlora", "dora", "full", "freeze")
"""With every stage; all others with the first stage only, since they do not know what they learn."""
INITS = ("gaussian", "orthogonal", "pissa", "olora", "eva", "corda", "lora_ga")
DATA = {
    "conversation": "demo",
    "text": "demo",
    "preference": "demo/preferences",
    "verdict": "demo/verdicts",
    "class": "demo/months",
    "pair": "demo/pairs",
    "prompt": "demo",
}
"""The bundled rows of each sort."""
SAMPLED = {"rollouts": {"answers": 4, "max_tokens": 12, "rewards": [{"kind": "length"}]}}
SETTINGS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("grpo", "rloo", "online_dpo", "ppo"), SAMPLED),
    "gkd": {"rollouts": {"max_tokens": 12}},
}
"""What a stage cannot do without."""
SMALL: dict[str, dict[str, Any]] = {
    "vblora": {"options": {"num_vectors": 8, "vector_length": 16}, "rank": 4},
    "boft": {"options": {"boft_block_size": 4}},
    "oft": {"options": {"oft_block_size": 8}},
    "fourierft": {"options": {"n_frequency": 50}},
    "freeze": {"layers": 1},
    "lisa": {"layers": 1, "every": 3},
    "llama_pro": {"blocks": 2},
    "adalora": {"target_rank": 2},
    "trainable_tokens": {"tokens": ["<|im_end|>", "1"]},
}
"""What a tuner needs instead of its usual values, for a small model."""

SCRATCH: dict[str, Any] = {
    "hidden": 64, "layers": 2, "intermediate": 128, "experts": 4, "expert_size": 64, "context": 128,
    "tokenizer": "base", "tokenizer_path": "demo",
}  # fmt: skip
"""The form of a model from scratch."""


@dataclass(frozen=True)
class Cell:
    """One way to train."""

    stage: str
    tuner: str
    init: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, compare=False)
    family: str = ""
    """Of a model that begins with fresh weights."""

    @property
    def name(self) -> str:
        """As the table and the tests call it."""
        return " ".join(part for part in (self.stage, self.tuner, self.init, self.family) if part)

    @property
    def variant(self) -> str:
        """The tuner with what is other about it, as the table has it."""
        return ", ".join(filter(None, (self.tuner, self.init, self.family and f"{self.family} from scratch")))

    @property
    def tuner_settings(self) -> dict[str, Any]:
        """The `tuner` part of its config."""
        ranked = {"rank": 4, "alpha": 8} if "rank" in TUNERS[self.tuner].settings else {}
        taken = {name: value for name, value in ranked.items() if name in TUNERS[self.tuner].settings}
        begun = {"init": self.init} if self.init else {}
        return {"kind": self.tuner, **taken, **begun, **SMALL.get(self.tuner, {})}

    @property
    def other_beginning(self) -> dict[str, Any] | None:
        """The same with another rank, or without its init, which must change what is trained; None: it has neither."""
        if self.init:
            return {**self.tuner_settings, "init": "default"}
        if "rank" in TUNERS[self.tuner].settings:
            return {**self.tuner_settings, "rank": 8, "alpha": 8} if "alpha" in TUNERS[self.tuner].settings else {
                **self.tuner_settings, "rank": 8,
            }  # fmt: skip
        return {**self.tuner_settings, "layers": 2} if self.tuner == "freeze" else None


def rows_of(stage: Stage) -> str:
    """The bundled dataset a stage learns from."""
    return next(DATA[sort] for sort in stage.rows if sort in DATA)


def cells() -> Iterator[Cell]:
    """All of them: every stage with the main tuners, then every other tuner and beginning with the first stage."""
    stages = [stage for stage in STAGES.values() if stage.runs]
    for stage in stages:
        for tuner in MAIN_TUNERS:
            yield Cell(stage.name, tuner, settings=SETTINGS.get(stage.name, {}))
    first = stages[0].name
    yield from (Cell(first, tuner) for tuner in RUNNABLE_TUNERS if tuner not in MAIN_TUNERS)
    yield from (Cell(first, "lora", init) for init in INITS)
    yield Cell(first, "qlora", "loftq")
    for family in ARCHITECTURES:
        begun = {"model": {"path": "matrix", "hub": "scratch"}, "scratch": {**SCRATCH, "family": family}}
        yield Cell("pretrain", "full", settings=begun, family=family)
