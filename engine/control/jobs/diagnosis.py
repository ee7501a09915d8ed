"""Why a run failed, and what would help: rules over the end's reason, its error, the log's tail and the config.

A rule looks at the evidence and returns what it found, or None; the first that finds something speaks. Its texts
stand under `diagnosis.<rule>` in the messages. Rules are applied when somebody looks, so that old runs profit
from new rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.contract.api import ConfigChange, Diagnosis
from engine.contract.errors import ErrorBody, UserError
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.states import EndReason

FULL_SHARE = 90.0
"""Per cent of memory in use at the last reading from which a kill is laid to it."""
SHOWN_LINES = 12
TELLING = re.compile(r"error|exception|traceback|killed|fatal|cannot|no such|not found|denied|nan", re.IGNORECASE)


@dataclass(frozen=True)
class Evidence:
    """What is known about a failed run."""

    spec: RunSpec
    reason: EndReason | None
    error: ErrorBody | None
    log: str = ""
    """The last part of the worker's log."""
    readings: dict[str, float] = field(default_factory=dict)
    """The last device readings."""
    device: str = ""

    @property
    def job(self) -> TrainJob | None:
        """The training job, if it is one."""
        return self.spec.job if isinstance(self.spec.job, TrainJob) else None

    @property
    def code(self) -> str:
        """The error's code."""
        return self.error.code if self.error else ""

    def param(self, name: str) -> Any:
        """A parameter of the error."""
        return self.error.params.get(name, "") if self.error else ""


@dataclass(frozen=True)
class Finding:
    """What a rule found."""

    rule: str
    params: dict[str, Any] = field(default_factory=dict)
    changes: tuple[ConfigChange, ...] = ()


Rule = Callable[[Evidence], Finding | None]


def diagnose(evidence: Evidence) -> Diagnosis:
    """The first rule that finds something, with the lines of the log that matter."""
    finding = next((found for rule in RULES if (found := rule(evidence)) is not None), Finding("unknown"))
    text = UserError(f"diagnosis.{finding.rule}", **finding.params)
    return Diagnosis(
        rule=finding.rule,
        what=text.what,
        why=text.why,
        fix=text.fix,
        params=finding.params,
        lines=telling_lines(evidence.log),
        changes=list(finding.changes),
    )


def telling_lines(log: str) -> list[str]:
    """The last traceback, or the last lines that speak of something wrong; without any, simply the last ones."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    begins = [number for number, line in enumerate(lines) if line.lstrip().startswith("Traceback (most recent")]
    if begins:
        return _ends_of(lines[begins[-1] :])
    telling = [line for line in lines if TELLING.search(line)]
    return (telling or lines)[-SHOWN_LINES:]


def _ends_of(lines: list[str]) -> list[str]:
    """The first line and the last ones: where it began and what it said."""
    return lines if len(lines) <= SHOWN_LINES else [lines[0], "…", *lines[-(SHOWN_LINES - 2) :]]


def smaller_batch(job: TrainJob) -> tuple[ConfigChange, ...]:
    """Half the rows at once, twice as often: the same step with less memory. Else recompute, else cut shorter."""
    recipe = job.training
    if recipe.micro_batch_size > 1:
        half = recipe.micro_batch_size // 2
        accumulation = -(-recipe.micro_batch_size * recipe.accumulation // half)
        return (
            ConfigChange(field="training.micro_batch_size", value=half, was=recipe.micro_batch_size),
            ConfigChange(field="training.accumulation", value=accumulation, was=recipe.accumulation),
        )
    if not recipe.gradient_checkpointing:
        return (ConfigChange(field="training.gradient_checkpointing", value=True, was=False),)
    length = job.data.max_length
    return (ConfigChange(field="data.max_length", value=max(16, length // 2), was=length),)


def out_of_memory(evidence: Evidence) -> Finding | None:
    """torch, or the system's allocator, said that it has no more."""
    if evidence.reason is not EndReason.OUT_OF_MEMORY or evidence.job is None:
        return None
    job = evidence.job
    rule = "out_of_memory" if job.training.micro_batch_size > 1 else "out_of_memory_smallest"
    size, length = job.training.micro_batch_size, job.data.max_length
    return Finding(rule, {"size": size, "length": length, "device": evidence.device or "CPU"}, smaller_batch(job))


def loss_not_finite(evidence: Evidence) -> Finding | None:
    """NaN or infinity in loss or gradient."""
    if evidence.reason is not EndReason.LOSS_NOT_FINITE or evidence.job is None:
        return None
    recipe = evidence.job.training
    params = {"step": evidence.param("step"), "loss": evidence.param("loss") or evidence.param("norm")}
    if recipe.precision == "fp16":
        change = ConfigChange(field="training.precision", value="auto", was="fp16")
        return Finding("loss_not_finite_fp16", params, (change,))
    rate = float(f"{recipe.learning_rate / 10:.3g}")
    changes = [ConfigChange(field="training.learning_rate", value=rate, was=recipe.learning_rate)]
    if not 0 < recipe.max_grad_norm <= 1:
        changes.append(ConfigChange(field="training.max_grad_norm", value=1.0, was=recipe.max_grad_norm))
    return Finding("loss_not_finite", {**params, "rate": recipe.learning_rate}, tuple(changes))


def bad_rows(evidence: Evidence) -> Finding | None:
    """Rows that cannot be used; a form that no row fits is the choice's fault, not theirs."""
    if evidence.code != "data.refused" or evidence.error is None or not evidence.error.problems:
        return None
    first = evidence.error.problems[0]
    found = _wrong_format(evidence)
    if found is not None:
        return found
    params = {"count": evidence.param("count"), "line": first.line or 0, "reason": first.reason}
    return Finding("bad_rows", params)


def _wrong_format(evidence: Evidence) -> Finding | None:
    job, error = evidence.job, evidence.error
    if job is None or error is None or error.problems[0].line != 1:
        return None
    for number, source in enumerate(job.data.train):
        if source.format != "auto" and {p.code for p in error.problems} <= FORMAT_CODES and len(error.problems) > 1:
            change = ConfigChange(field=f"data.train.{number}.format", value="auto", was=source.format)
            return Finding("wrong_format", {"format": source.format}, (change,))
    return None


FORMAT_CODES = {"data.missing_column"}


def missing_file(evidence: Evidence) -> Finding | None:
    """A path of the config, or one that Python named, is not there."""
    path = evidence.param("path") if evidence.code in MISSING_CODES else ""
    if not path and evidence.reason in (EndReason.WORKER_ERROR, None):
        found = re.findall(r"No such file or directory: '([^']+)'", evidence.log + evidence.param("detail"))
        path = found[-1] if found else ""
    if not path:
        problems = evidence.error.problems if evidence.error else []
        path = next((p.params.get("value", "") for p in problems if p.code == "config.path_missing"), "")
    return Finding("missing_file", {"path": path}) if path else None


MISSING_CODES = {"data.missing", "model.missing"}


def disk_full(evidence: Evidence) -> Finding | None:
    """No room; fewer checkpoints help where there are several."""
    no_room = "No space left on device" in evidence.log and evidence.reason is EndReason.WORKER_ERROR
    if evidence.reason is not EndReason.DISK_FULL and not no_room:
        return None
    changes = []
    if evidence.job is not None and evidence.job.checkpoints.keep_last > 1:
        was = evidence.job.checkpoints.keep_last
        changes.append(ConfigChange(field="checkpoints.keep_last", value=1, was=was))
    return Finding("disk_full", {"path": evidence.param("path") or "its folder"}, tuple(changes))


def import_error(evidence: Evidence) -> Finding | None:
    """A package is missing or broken, said by the worker or by an interpreter that did not come that far."""
    text = f"{evidence.param('detail')}\n{evidence.log}"
    if evidence.code != "environment.import" and evidence.reason is not EndReason.WORKER_ERROR:
        return None
    found = re.findall(r"No module named '?([\w.]+)'?|cannot import name '(\w+)'", text)
    found += [(name, "") for name in re.findall(r"ImportError: ([\w./-]+\.so[\w.]*)", text)]
    if not found and evidence.code != "environment.import":
        return None
    module = next((one or other for one, other in reversed(found)), evidence.param("detail"))
    return Finding("import_error", {"module": module})


def killed(evidence: Evidence) -> Finding | None:
    """The system ended the worker: for memory if that was nearly full."""
    if evidence.reason is not EndReason.WORKER_KILLED or evidence.job is None:
        return None
    used, total = evidence.readings.get("ram.used", 0.0), evidence.readings.get("ram.total", 0.0)
    share = 100 * used / total if total else 0.0
    signal = evidence.param("signal")
    if share >= FULL_SHARE and str(signal) in ("9", ""):
        return Finding("killed_memory", {"share": round(share)}, smaller_batch(evidence.job))
    return Finding("killed", {"signal": signal})


RULES: Sequence[Rule] = (
    out_of_memory,
    loss_not_finite,
    bad_rows,
    disk_full,
    import_error,
    missing_file,
    killed,
)
