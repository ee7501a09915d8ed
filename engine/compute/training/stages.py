"""What each stage makes of rows and of the loss. They are declared in the contract; the trainer knows none by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.compute.data.headed import HeadTokeniser
from engine.compute.data.labels import Labels
from engine.compute.data.preference import AnswerTokeniser
from engine.compute.data.questions import QuestionTokeniser
from engine.compute.data.rows import Example
from engine.compute.data.templates import Template
from engine.compute.data.tokenise import Tokeniser
from engine.contract.errors import Problem, Refused, UserError
from engine.contract.heads import HeadConfig
from engine.contract.objective import ObjectiveConfig
from engine.contract.rollouts import RolloutConfig
from engine.contract.run_spec import TrainJob
from engine.contract.stages import STAGES as DECLARED
from engine.contract.stages import Stage as Declared
from engine.contract.stages import keeps_copy, loss_of, stages_for

if TYPE_CHECKING:  # a row is shown without torch
    from engine.compute.training.objectives import Objective

MOST_PROBLEMS = 50


@dataclass(frozen=True)
class Stage:
    """How a stage learns from rows."""

    declared: Declared

    @property
    def name(self) -> str:
        """As the config calls it."""
        return self.declared.name

    @property
    def takes_text(self) -> bool:
        """Rows of plain text can be learned from."""
        return "text" in self.declared.rows

    @property
    def scores(self) -> bool:
        """The model gives numbers, not text."""
        return self.declared.scores

    @property
    def samples(self) -> bool:
        """It learns from answers of its own."""
        return self.declared.samples

    @property
    def compares(self) -> bool:
        """Rows have answers apart from what was asked."""
        return bool({"preference", "verdict"} & set(self.declared.rows))

    def tokeniser(
        self,
        template: Template,
        max_length: int,
        assistant_only_loss: bool,
        objective: ObjectiveConfig = ObjectiveConfig(),
        head: HeadConfig = HeadConfig(),
        labels: Labels | None = None,
        rollouts: RolloutConfig = RolloutConfig(),
    ) -> Tokeniser:
        """The tokeniser for this stage; `labels` are the classes of its rows, once they are known."""
        if self.declared.samples:
            return QuestionTokeniser(template, max_length, rollouts.max_tokens)
        taken = self.declared.settings
        truncation = objective.truncation if "truncation" in taken else "end"
        if self.declared.head:
            loss = loss_of(self.declared, objective.loss)
            return HeadTokeniser(template, max_length, truncation, self.name, loss, head, labels)
        if self.compares:
            made = AnswerTokeniser(template, max_length, truncation="drop" if self.scores else truncation)
            made.whole = self.scores
            return made
        last_only = objective.mask_history and "mask_history" in taken
        answers_only = assistant_only_loss and not self.takes_text
        return Tokeniser(template, max_length, answers_only or last_only, truncation, last_only)

    def objective(self, job: TrainJob, model: Any) -> Objective:
        """What its steps make smaller. The model stands as it is before its first step, also where the run goes on."""
        from engine.compute.training.continuing import began_with
        from engine.compute.training.experts import Balanced
        from engine.compute.training.reference import Reference

        module, _, name = self.declared.objective.rpartition(".")
        mixture = job.from_scratch and job.scratch.mixture
        kind = Balanced if mixture else getattr(importlib.import_module(module), name)
        made: Objective = kind(self.declared, job.objective, job.rollouts)
        if isinstance(made, Balanced):
            made.weight = job.scratch.balance
        made.head = job.head
        made.meet(model)
        if self.declared.reference:
            free = job.reference_free and self.declared.may_be_free
            copied = keeps_copy(self.name, free, job.tuner.kind, job.tuner.init)
            without = free or job.asks_beforehand
            began = began_with(model) if job.tuner.adapter and not (without or copied) else None
            made.compare_with(None if without else Reference(model, copied, began))
        return made

    def check(self, examples: Sequence[Example]) -> None:
        """Refuse rows this stage cannot learn from, each with its line."""
        wrong = [(example, example.teaches) for example in examples if example.teaches not in self.declared.rows]
        if not wrong:
            return
        found = [self._problem(example, teaches) for example, teaches in wrong[:MOST_PROBLEMS]]
        if len(wrong) == 1 or (len({problem.code for problem in found}) == 1 and len(wrong) == len(examples)):
            raise UserError(found[0].code, **found[0].params)
        raise Refused("data.refused_for_stage", problems=found, count=len(wrong), stage=self.name)

    def _problem(self, example: Example, teaches: str) -> Problem:
        if teaches == "text" and self.name == "sft":
            return Problem(code="data.text_needs_pretrain", line=example.line, params={"line": example.line})
        able = ", ".join(stages_for(teaches)) or "—"
        params = {"line": example.line, "format": example.form, "stage": self.name, "able": able}
        return Problem(code="data.not_for_stage", line=example.line, params=params)


STAGES: dict[str, Stage] = {name: Stage(declared) for name, declared in DECLARED.items() if declared.runs}
