"""Tells what happens: each thing as a line of the journal for programs and as a line of the log for people."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from engine.compute.worker.journal import Journal
from engine.contract import events
from engine.contract.errors import ErrorBody, render
from engine.contract.held_adapters import AdapterChange
from engine.contract.messages import MESSAGES
from engine.contract.reproduction import RunManifest
from engine.contract.states import EndReason, Phase, RunState

READY_BYTES = events.MAX_LINE_BYTES // 3
"""Of the names of an instance's models in its journal, the rest is told when it is asked."""
log = logging.getLogger("worker")
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Reporter:
    """The one voice of a worker."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.step = 0
        self.values: dict[str, float] = {}
        self._phase: Phase | None = None
        self.figures: Callable[[int, dict[str, float]], None] = lambda _step, _values: None
        """Also told each point of the curves."""

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
        self.figures(step, {**values, "epoch": epoch})
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
        self.figures(step, values)
        log.info("Validation at step %d: loss %.4f", step, values.get("validation_loss", float("nan")))

    def scored(
        self,
        when: Literal["before", "after"],
        correct: int | None,
        rows: int,
        answers_file: str | None,
        metric: str = "exact_match",
        value: float | None = None,
        **more: Any,
    ) -> None:
        """How good the model is on held-out rows: the share that is right, unless a value says it."""
        if value is None:
            value = (correct or 0) / rows if rows else 0.0
        self.values[f"{metric}_{when}"] = value
        told = {"when": when, "metric": metric, "value": value, "correct": correct, "rows": rows}
        self.journal.write(events.Score, **told, answers_file=answers_file, **more)
        log.info("%s %s training: %.1f %% on %d rows", metric, when, 100 * value, rows)

    def rewarded(self, when: Literal["before", "after"], mean: float, rows: int, answers_file: str) -> None:
        """The mean reward of the answers to held-out questions."""
        self.values[f"mean_reward_{when}"] = mean
        told = {"when": when, "metric": "mean_reward", "value": mean, "correct": None, "rows": rows}
        self.journal.write(events.Score, **told, answers_file=answers_file)
        log.info("mean reward %s training: %.4f over %d answers", when, mean, rows)

    def sampled(self, when: Literal["before", "after", "now", "checkpoint"], index: int, **content: Any) -> None:
        """One question and its answer."""
        self.journal.write(events.Sample, when=when, index=index, **content)
        log.info("Sample (%s): %r -> %r", when, content["prompt"][-80:], content["answer"][:80])

    def saved(self, **content: Any) -> None:
        """A result lies complete and durable in the attempt's folder."""
        self.journal.write(events.ArtifactSaved, **content)
        log.info("Saved %s: %s (%d bytes)", content["artifact"], content["path"], content.get("bytes", 0))

    def ready(self, host: str, port: int, models: list[str], change: AdapterChange | None = None) -> None:
        """An instance answers, with these models; or an adapter of it came or went."""
        self.journal.write(events.Ready, host=host, port=port, models=_as_many(models, READY_BYTES), change=change)
        if change is None:
            log.info("Answers at http://%s:%d with %d models", host, port, len(models))
        else:
            log.info("Adapter %s %s: %d models", change.name, "loaded" if change.loaded else "let go", len(models))

    def checkpointed(self, **content: Any) -> None:
        """The state of training lies complete and durable in the run's folder."""
        self.journal.write(events.CheckpointSaved, **content)
        log.info("Checkpoint at step %d (%s): %s", content["step"], content["cause"], content["path"])

    def checkpoint_removed(self, path: str) -> None:
        """A checkpoint made room for newer ones."""
        self.journal.write(events.CheckpointRemoved, path=path)

    def rows_saved(self, **content: Any) -> None:
        """A file with losses of rows is whole and durable."""
        self.journal.write(events.RowLossesSaved, **content)

    def manifest(self, manifest: RunManifest) -> None:
        """What the attempt's losses depend on."""
        self.journal.write(events.ManifestMade, manifest=manifest.model_dump(mode="json"))
        log.info("Manifest: model %s, rows %s, order %s", manifest.model[:12], manifest.rows[:12], manifest.order[:12])

    def resumed(self, attempt: int, step: int, path: str) -> None:
        """Training goes on from a checkpoint."""
        self.step = step
        self.journal.write(events.Resumed, attempt=attempt, step=step, path=path)
        log.info("Going on from attempt %d, step %d: %s", attempt, step, path)

    def memory_forecast(self, **content: Any) -> None:
        """How much memory the run will take."""
        self.journal.write(events.MemoryForecast, **content)
        measured = content.get("measured")
        said = f", measured {measured / 1e6:.0f} MB of tensors" if measured else ""
        log.info("Memory: forecast %.0f MB%s", content["total"] / 1e6, said)

    def memory(self, **content: Any) -> None:
        """How much memory training took."""
        self.journal.write(events.MemoryFact, **content)
        log.info("Memory: %.0f MB at most", content["peak"] / 1e6)

    def guarded(self, **content: Any) -> None:
        """A guard saw something, and what was done."""
        self.journal.write(events.GuardActed, **content)
        parts = [MESSAGES[content["code"]], MESSAGES[content["done"]]]
        text = " ".join(render(part, content["params"]) for one in parts for part in (one.what, one.why) if part)
        log.log(LEVELS[content["level"]], "%s [%s]", text, content["code"])

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


def _as_many(names: list[str], most_bytes: int) -> list[str]:
    """The first of them, as many as fit."""
    room = most_bytes
    for place, name in enumerate(names):
        room -= len(name.encode()) + len('"",')
        if room < 0:
            return names[:place]
    return names
