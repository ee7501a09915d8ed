"""One notice: something a person may want to hear about, kept as facts and put into words in the language in force."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from forge_desktop.models import notice_moves
from forge_desktop.theme.language import count, explain, note_text, sentences, tr, word
from forge_desktop.theme.measures import duration, figure, percent, size

START, COMPLETION, FAILURE, ALERT = KINDS = ("start", "completion", "failure", "alert")
KIND_TEXTS = (
    ("all", "Everything"),
    ("failure", "Failures"),
    ("alert", "Alerts"),
    ("completion", "Completions"),
    ("start", "Starts"),
)
LOOKS: dict[str, tuple[str, str]] = {
    START: ("info", "play"),
    COMPLETION: ("ok", "circle-check"),
    FAILURE: ("bad", "circle-x"),
    ALERT: ("warn", "triangle-alert"),
}
"""Tone and icon of a kind."""
AT_NODE = "node/"
"""Begins what an address of the Nodes page says of the node to be selected."""
AWAY, FOLDED, AGAIN, ALARM = "away", "folded", "again", "alarm"


@dataclass
class Notice:
    """What happened, to which run, when; `key` is the same for the same event, however often it is heard of."""

    key: str
    kind: str
    what: str
    """started, completed, failed, retry, mark, note, disk, alarm, moved, not_moved; away, folded speak of several."""
    at: float
    run: str = ""
    name: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    read: bool = False
    gone: bool = False
    """Its run was deleted."""

    def stored(self) -> dict[str, Any]:
        """As the preferences keep it."""
        return asdict(self)

    @property
    def node(self) -> str:
        """The node an alert is about."""
        error = self.facts.get("error")
        params = error.get("params") if isinstance(error, dict) else None
        return str(params.get("node") or "") if self.what == ALARM and isinstance(params, dict) else ""

    @property
    def address(self) -> str:
        """Where opening it leads: its run, its node, or where something is set; nothing for several at once."""
        if self.what == "disk":
            return "settings/data"
        if self.what == ALARM and not self.run:
            return f"nodes/{AT_NODE}{self.node}" if self.node else "settings/alerts"
        return f"run/{self.run}" if self.run and not self.gone else ""


def from_stored(found: Any) -> Notice | None:
    """A kept notice, unless it is damaged or of another version's form."""
    try:
        made = Notice(**found)
        sound = made.kind in KINDS and isinstance(made.key, str) and isinstance(made.facts, dict)
        made.at = float(made.at)
    except (TypeError, ValueError):
        return None
    return made if sound else None


def of_run(run: RunSummary, kind: str, what: str, **facts: Any) -> Notice:
    """Something about a run; the attempt tells apart what may happen again."""
    at = run.finished if what in ("completed", "failed") and run.finished is not None else time.time()
    return Notice(f"{run.uid}:{run.attempt}:{what}", kind, what, at, run.uid, run.name, facts)


def facts_of_end(run: RunSummary) -> dict[str, Any]:
    """What is told of a run that ended."""
    error = run.error.model_dump() if run.error is not None else None
    return {
        "seconds": run.seconds, "loss": run.loss, "score": run.score, "reason": run.reason, "state": run.state,
        "error": error,
    }  # fmt: skip


def title(notice: Notice) -> str:
    """What happened, in a few words."""
    number, name = int(notice.facts.get("n", 0)), notice.name
    match notice.what:
        case "started":
            return tr("'{name}' is training", name=name)
        case "completed":
            return tr("'{name}' completed", name=name)
        case "failed" if notice.facts.get("state") == "stopped":
            return tr("'{name}' was stopped", name=name)
        case "failed":
            return tr("'{name}' failed", name=name)
        case "retry":
            return tr("'{name}' broke off and will try again", name=name)
        case "mark":
            return tr("'{name}': {mark}", name=name, mark=word("mark", str(notice.facts.get("mark", ""))))
        case "disk":
            return tr("The disk is nearly full")
        case notice_moves.MOVED | notice_moves.NOT_MOVED:
            return notice_moves.title(notice.what, name, notice.facts)
        case "alarm":
            said = explain(ErrorBody.model_validate(notice.facts["error"]))[0]
            return tr("Over: {what}", what=said) if notice.facts.get("over") else said
        case "again":
            return tr("Connected again")
        case "away":
            return tr("While the window was closed")
        case "folded":
            return _folded(notice.kind, number)
        case _:
            return tr("'{name}' needs a look", name=name)


def _folded(kind: str, number: int) -> str:
    match kind:
        case "start":
            return count(number, "1 run is training", "{n} runs are training")
        case "completion":
            return count(number, "1 run completed", "{n} runs completed")
        case "failure":
            return count(number, "1 run failed", "{n} runs failed")
        case _:
            return count(number, "1 alert", "{n} alerts")


def text(notice: Notice) -> str:
    """The rest of it, in a sentence or two."""
    facts = notice.facts
    match notice.what:
        case "completed":
            return _result(facts)
        case "failed":
            return _cause(facts)
        case "retry":
            return sentences(_cause(facts), tr("It goes on from its last checkpoint by itself."))
        case "mark":
            return tr("Nothing was heard from it for a while. It is ended if it stays silent.")
        case "note":
            return note_text(str(facts.get("code", "")), dict(facts.get("params", {})))
        case "disk":
            free = size(facts.get("free"))
            return tr("{free} are free in {folder}. Training stops when it is full.", free=free, folder=facts["folder"])
        case notice_moves.MOVED | notice_moves.NOT_MOVED:
            return notice_moves.text(notice.what, facts)
        case "alarm":
            return sentences(*explain(ErrorBody.model_validate(facts["error"]))[1:])
        case "again":
            return tr("The job controller answers; everything shown is up to date.")
        case "away":
            parts = [_folded(kind, int(facts.get(kind, 0))) for kind in KINDS if facts.get(kind)]
            return " · ".join(parts)
        case "folded":
            return ", ".join(str(name) for name in facts.get("names", []))
        case _:
            return ""


def _result(facts: dict[str, Any]) -> str:
    parts = [tr("took {time}", time=duration(facts.get("seconds")))] if facts.get("seconds") else []
    if facts.get("loss") is not None:
        parts.append(tr("loss {loss}", loss=figure(facts["loss"])))
    if facts.get("score") is not None:
        parts.append(tr("exact match {share}", share=percent(facts["score"], 1)))
    return " · ".join(parts)


def _cause(facts: dict[str, Any]) -> str:
    if facts.get("error"):
        what, why, fix = explain(ErrorBody.model_validate(facts["error"]))
        return sentences(what, fix or why)
    return word("reason", str(facts["reason"])) if facts.get("reason") else ""


def folded(notices: list[Notice]) -> Notice:
    """Several of one kind as one."""
    names = list(dict.fromkeys(notice.name for notice in notices if notice.name))
    facts = {"n": len(notices), "names": names}
    return Notice(f"folded:{notices[0].key}", notices[0].kind, FOLDED, max(n.at for n in notices), facts=facts)


def connected_again() -> Notice:
    """For a message only; no book keeps it."""
    return Notice("again", COMPLETION, AGAIN, time.time())


def away(notices: list[Notice]) -> Notice:
    """What happened while nobody looked, as one."""
    facts = {kind: sum(notice.kind == kind for notice in notices) for kind in KINDS}
    worst = FAILURE if facts[FAILURE] else COMPLETION
    return Notice(f"away:{notices[0].key}", worst, AWAY, time.time(), facts=facts)
