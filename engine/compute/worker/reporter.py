"""Tells what happens: each thing as a line of the journal for programs and as a line of the log for people."""

from __future__ import annotations

import logging
from typing import Any, Literal

from engine.compute.worker.journal import Journal
from engine.contract import events
from engine.contract.errors import ErrorBody, render
from engine.contract.messages import MESSAGES
from engine.contract.states import EndReason, Phase, RunState

log = logging.getLogger("worker")
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Reporter:
    """The one voice of a worker."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.step = 0
        self.values: dict[str, float] = {}
        self._phase: Phase | None = None

    def started(self, pid: int, environment: dict[str, Any]) -> None:
        """The worker is up."""
        self.journal.write(events.Started, pid=pid, environment=environment)
        log.info("Worker %d: %s", pid, ", ".join(f"{name} {value}" for name, value in environment.items()))

    def read_devices(self, values: dict[str, float], names: dict[str, str]) -> None:
        """A reading of the machine; too frequent for the log."""
        self.journal.write(events.Device, values=values, names=names)

    def phase(self, phase: Phase, done: float | None = None, **amounts: float | None) -> None:
        """The worker turns to something else, or got further in it."""
        self.journal.write(events.PhaseBegan, phase=phase, done=done, **amounts)
        if phase != self._phase:
            log.info("Phase: %s", phase.value.replace("_", " "))
        self._phase = phase

    def note(self, code: str, level: Literal["info", "warning", "error"] = "info", **params: Any) -> None:
        """Something a person should know."""
        self.journal.write(events.Note, level=level, code=code, params=params)
        message = MESSAGES[code]
        text = " ".join(render(part, params) for part in (message.what, message.why, message.fix) if part)
        log.log(LEVELS[level], "%s [%s]", text, code)

    def planned(self, **content: Any) -> None:
        """What will be done."""
        self.journal.write(events.Planned, **content)
        log.info("Plan: %s", ", ".join(f"{name} {value}" for name, value in content.items() if value is not None))

    def stepped(self, step: int, epoch: float, values: dict[str, float]) -> None:
        """An optimiser step, or the mean over several."""
        self.step = step
        self.values.update({name: values[name] for name in ("loss",) if name in values})
        self.journal.write(events.Step, step=step, epoch=epoch, values=values)
        log.info(
            "Step %d  loss %.4f  lr %.3g  grad norm %.3g  %.0f tok/s",
            step,
            values.get("loss", float("nan")),
            values.get("learning_rate", float("nan")),
            values.get("grad_norm", float("nan")),
            values.get("tokens_per_second", float("nan")),
        )

    def validated(self, step: int, values: dict[str, float]) -> None:
        """Loss on the validation rows."""
        self.values.update(values)
        self.journal.write(events.Validation, step=step, values=values)
        log.info("Validation at step %d: loss %.4f", step, values.get("validation_loss", float("nan")))

    def scored(self, when: Literal["before", "after"], correct: int, rows: int, answers_file: str | None) -> None:
        """Exact match on the held-out rows."""
        value = correct / rows if rows else 0.0
        self.values[f"exact_match_{when}"] = value
        self.journal.write(events.Score, when=when, value=value, correct=correct, rows=rows, answers_file=answers_file)
        log.info("Exact match %s training: %d of %d (%.1f %%)", when, correct, rows, 100 * value)

    def sampled(self, when: Literal["before", "after", "now"], index: int, **content: Any) -> None:
        """One question and its answer."""
        self.journal.write(events.Sample, when=when, index=index, **content)
        log.info("Sample (%s): %r -> %r", when, content["prompt"][-80:], content["answer"][:80])

    def saved(self, **content: Any) -> None:
        """A result lies complete and durable in the attempt's folder."""
        self.journal.write(events.ArtifactSaved, **content)
        log.info("Saved %s: %s (%d bytes)", content["artifact"], content["path"], content.get("bytes", 0))

    def checkpointed(self, **content: Any) -> None:
        """The state of training lies complete and durable in the run's folder."""
        self.journal.write(events.CheckpointSaved, **content)
        log.info("Checkpoint at step %d (%s): %s", content["step"], content["cause"], content["path"])

    def checkpoint_removed(self, path: str) -> None:
        """A checkpoint made room for newer ones."""
        self.journal.write(events.CheckpointRemoved, path=path)

    def resumed(self, attempt: int, step: int, path: str) -> None:
        """Training goes on from a checkpoint."""
        self.step = step
        self.journal.write(events.Resumed, attempt=attempt, step=step, path=path)
        log.info("Going on from attempt %d, step %d: %s", attempt, step, path)

    def acknowledged(self, command: str, error: ErrorBody | None = None) -> None:
        """A command was carried out or refused."""
        self.journal.write(events.Acknowledged, command=command, error=error)
        log.info("Command %s: %s", command, error.what if error else "done")

    def ended(self, state: RunState, reason: EndReason, error: ErrorBody | None = None) -> None:
        """The last word."""
        self.journal.write(events.Ended, state=state, reason=reason, step=self.step, values=self.values, error=error)
        if error is not None:
            text = " ".join(part for part in (error.what, error.why, error.fix) if part) + f" [{error.code}]"
            log.error("%s", text, extra={"error": error})
            for problem in error.problems:
                log.error("  - %s", problem)
        log.info("Ended: %s (%s)", state.value, reason.value)
