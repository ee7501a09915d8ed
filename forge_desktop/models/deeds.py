"""What can be done to a run in its present state: one list for the page's buttons and the row's menu."""

from __future__ import annotations

from dataclasses import dataclass

from engine.contract.adapter_start import GOES_ON
from engine.contract.api import RunSummary
from engine.contract.stages import stage_of
from engine.contract.states import LIVE, Mark, Phase, RunState
from forge_desktop.theme.language import tr


@dataclass(frozen=True)
class Deed:
    """Something a person may want; `why_not` says why it cannot be done now."""

    key: str
    text: str
    icon: str
    why_not: str = ""


def deeds_of(run: RunSummary) -> list[Deed]:
    """Everything that makes sense, the most wanted first."""
    if run.kind == "serve":
        return [*_serving(run), *_keeping(run)]
    return [*_going_on(run), *_at_work(run), *_keeping(run)]


def _serving(run: RunSummary) -> list[Deed]:
    """An instance learns nothing: it is stopped and started, and its own page shows how it does."""
    found = [Deed("serving", tr("Open in Serving"), "upload")]
    if run.state in (RunState.DRAFT, RunState.PAUSED, RunState.FAILED, RunState.STOPPED, RunState.COMPLETED):
        found.append(Deed("start", tr("Start"), "play"))
    elif run.state in LIVE or run.state is RunState.QUEUED:
        found.append(Deed("stop", tr("Stop…"), "square"))
    return found


def _going_on(run: RunSummary) -> list[Deed]:
    gone = tr("Its working files were deleted.") if run.cleaned else ""
    if run.state is RunState.DRAFT:
        return [Deed("start", tr("Start"), "play")]
    if run.state in (RunState.PAUSED, RunState.FAILED, RunState.STOPPED):
        return [
            Deed("resume", tr("Resume"), "play", gone),
            Deed("resume_from", tr("Resume from checkpoint…"), "rotate-ccw", gone),
            Deed("extend", tr("Extend…"), "plus", gone),
        ]
    if run.state is RunState.COMPLETED:
        return [
            Deed("extend", tr("Extend…"), "plus", gone),
            Deed("resume_from", tr("Resume from checkpoint…"), "rotate-ccw", gone),
        ]
    return []


def _writes_text(run: RunSummary) -> bool:
    """Its model answers in words; the method begins with the stage."""
    return run.kind != "train" or not stage_of(run.method.partition(" ")[0]).scores


def _at_work(run: RunSummary) -> list[Deed]:
    found = []
    if run.state is RunState.RUNNING:
        early = "" if run.phase is Phase.TRAINING else tr("Possible once training goes on.")
        silent = "" if _writes_text(run) else tr("This model writes no answers.")
        found += [
            Deed("ask", tr("Ask the model now…"), "message-square", silent or early),
            Deed("pause", tr("Pause"), "pause"),
            Deed("save", tr("Save checkpoint now"), "save", early),
            Deed("log_every", tr("Change the logging interval…"), "gauge", early),
        ]
    elif run.state is RunState.PREPARING:
        found.append(Deed("pause", tr("Pause"), "pause"))
    if run.state in (RunState.RUNNING, RunState.PREPARING):
        silent = tr("Its node does not answer now.") if run.mark is Mark.UNREACHABLE else ""
        found.append(Deed("move", tr("Move to another node…"), "arrow-left-right", silent))
    if run.state in LIVE or run.state in (RunState.QUEUED, RunState.PAUSED):
        found.append(Deed("stop", tr("Stop…"), "square"))
    return found


def _keeping(run: RunSummary) -> list[Deed]:
    found = [] if run.kind == "serve" else [Deed("copy", tr("Copy as draft"), "copy")]
    if run.kind == "train" and run.state is RunState.COMPLETED:
        found.append(Deed("sample", tr("Sample a dataset…"), "flask-conical"))
    if run.kind == "train" and run.attempt and run.state not in (RunState.QUEUED, RunState.PREPARING):
        silent = "" if _writes_text(run) else tr("This model writes no answers.")
        gone = tr("Its working files were deleted.") if run.cleaned and run.state is not RunState.COMPLETED else ""
        found.append(Deed("chat", tr("Chat with it…"), "message-square", silent or gone))
    if run.kind == "train":
        found.append(Deed("template", tr("Save as template…"), "layers"))
    if run.method.rpartition(" ")[2] in GOES_ON and run.state in (RunState.COMPLETED, RunState.STOPPED):
        found.append(Deed("train_on", tr("Train its adapter further…"), "plus"))
    if run.attempt and run.cleaned is None:
        found.append(Deed("unpin", tr("Unpin"), "flag") if run.pinned else Deed("pin", tr("Pin"), "flag"))
        if run.state.ended:
            found.append(Deed("delete_files", tr("Delete working files now…"), "trash-2"))
    busy = tr("A run at work cannot be deleted: stop it first.") if run.state in LIVE else ""
    return [*found, Deed("delete", tr("Delete…"), "trash-2", busy)]
