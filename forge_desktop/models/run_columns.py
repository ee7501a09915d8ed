"""The columns of the list of runs: what each is called, says and sorts by, and which stay where room is short."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.contract.api import RunSummary
from engine.contract.states import LIVE, Mark, RunState
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import ago, count_of, duration, figure, moment, money, percent


@dataclass(frozen=True)
class Column:
    """One column. `sort` is the controller's name of its order; `rank` 0 stays longest."""

    key: str
    title: str
    sort: str
    width: int
    rank: int
    shown: bool = True
    right: bool = False


COLUMNS = (
    Column("run", "Run", "name", 240, 0),
    Column("status", "Status", "state", 138, 1),
    Column("loss", "Loss", "loss", 156, 3),
    Column("progress", "Progress", "step", 176, 2),
    Column("node", "Node", "", 140, 6),
    Column("eta", "Time left", "", 104, 4, right=True),
    Column("cost", "Cost", "cost", 88, 5, right=True),
    Column("created", "Created", "created", 112, 7, shown=False),
    Column("started", "Started", "started", 112, 9, shown=False),
    Column("finished", "Finished", "finished", 112, 10, shown=False),
    Column("seconds", "Time taken", "seconds", 112, 11, shown=False, right=True),
    Column("score", "Score", "score", 84, 8, shown=False, right=True),
    Column("tokens", "Tokens", "tokens", 96, 16, shown=False, right=True),
    Column("priority", "Priority", "priority", 104, 12, shown=False),
    Column("owner", "Owner", "", 104, 13, shown=False),
    Column("project", "Project", "project", 120, 14, shown=False),
    Column("tags", "Tags", "", 150, 15, shown=False),
    Column("more", "More", "", 44, 0),
)
PLACE = {column.key: place for place, column in enumerate(COLUMNS)}
FIXED = ("run", "more")
"""They are always there: the first and the last."""
URGENT, HIGH, NORMAL, LOW = 20, 10, 0, -10
PRIORITIES = ((URGENT, "urgent"), (HIGH, "high"), (NORMAL, "normal"), (LOW, "low"))
"""The four a person chooses from; any number in between reads as the next lower one."""


def priority_word(priority: int) -> str:
    """urgent, high, normal or low."""
    if priority >= URGENT:
        return "urgent"
    if priority > NORMAL:
        return "high"
    return "normal" if priority == NORMAL else "low"


def progress(run: RunSummary) -> float | None:
    """The share of its steps a run has done; None before it is known."""
    if run.state is RunState.COMPLETED:
        return 1.0
    if not run.total_steps:
        return None
    return min(1.0, (run.step or 0) / run.total_steps)


def status_text(run: RunSummary) -> str:
    """The state in a word; what matters more than the state where something is the matter."""
    if run.mark is not None:
        return word("mark", run.mark)
    if run.retry_at is not None and run.state is RunState.QUEUED:
        return tr("Retry {n}", n=run.retries)
    return word("state", run.state)


def lost_text(run: RunSummary, now: float | None = None) -> str:
    """Of a run whose node does not answer: how far it was, and since when nothing is known; else empty."""
    if run.mark is not Mark.UNREACHABLE:
        return ""
    parts = [word("mark", run.mark)]
    if run.step is not None:
        parts.append(tr("last step {step}", step=f"{run.step:,}"))
    if run.mark_since is not None:
        passed = max(0.0, (time.time() if now is None else now) - run.mark_since)
        parts.append(tr("{time} ago", time=duration(passed)))
    return " · ".join(parts)


def below_name(run: RunSummary) -> str:
    """Model, dataset and method, the last part of each path; of one that cannot be reached how it was last."""
    if lost := lost_text(run):
        return lost
    return " · ".join(part.rstrip("/").rpartition("/")[2] for part in (run.model, run.dataset, run.method) if part)


def cell_text(run: RunSummary, key: str, currency: str = "USD") -> str:
    """What a cell says, also to a screen reader."""
    match key:
        case "run":
            return run.name
        case "status":
            return status_text(run)
        case "loss":
            return figure(run.loss)
        case "progress":
            return percent(progress(run))
        case "eta":
            return duration(run.eta_seconds) if run.state in LIVE else "—"
        case "cost":
            return money(run.cost, currency)
        case "created" | "started" | "finished":
            return ago(getattr(run, key))
        case "seconds":
            return duration(run.seconds) if run.seconds else "—"
        case "score":
            return percent(run.score, 1)
        case "tokens":
            return count_of(run.tokens_seen)
        case "priority":
            return word("priority", priority_word(run.priority))
        case "tags":
            return ", ".join(run.tags) or "—"
        case "more":
            return ""
    return str(getattr(run, key, "")) or "—"


def read_aloud(run: RunSummary, key: str, currency: str = "USD") -> str:
    """The cell for somebody who cannot see it: what the picture adds is said in words."""
    text = cell_text(run, key, currency)
    if key == "run":
        pinned = tr("pinned") if run.pinned else ""
        return ", ".join(part for part in (run.name, below_name(run), pinned) if part)
    if key == "more":
        return tr("Actions of '{name}'", name=run.name)
    return tr("not known") if text == "—" else text


def tooltip(run: RunSummary, key: str) -> str:
    """What a cell says to somebody who rests on it."""
    match key:
        case "run":
            tags = ", ".join(run.tags)
            return "\n".join(part for part in (run.name, below_name(run), tags, run.uid) if part)
        case "status":
            return word("reason", run.reason) if run.reason else word("state", run.state)
        case "created" | "started" | "finished":
            then = getattr(run, key)
            return moment(then) if then is not None else ""
        case "tokens":
            return "" if run.tokens_seen is None else tr("{count} tokens seen", count=f"{run.tokens_seen:,}")
        case "tags":
            return ", ".join(run.tags)
        case "more":
            return tr("What can be done with it")
    return ""
