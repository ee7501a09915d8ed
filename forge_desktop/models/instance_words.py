"""What instances say in words, and what can be done to them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.contract.nodes import Instance, InstanceVerb
from forge_desktop.models.node_words import title_of
from forge_desktop.theme.language import count, labelled, sentences, tr, word
from forge_desktop.theme.measures import duration, moment, size

AT_WORK = ("created", "running", "paused")
KIND_ICONS = {
    "train": "activity",
    "serve": "globe",
    "evaluate": "flask-conical",
    "sample": "message-square",
    "query": "search",
    "spare": "zap",
    "probe": "stethoscope",
}
STATE_LOOKS = {
    "created": ("plain", "hourglass"),
    "running": ("info", "play"),
    "paused": ("warn", "pause"),
    "exited": ("plain", "square"),
    "unreachable": ("warn", "unplug"),
    "gone": ("bad", "circle-x"),
}
VERBS: tuple[InstanceVerb, ...] = ("stop", "kill", "remove", "adopt")


def kind_text(one: Instance) -> str:
    """What it is for."""
    return word("instance_kind", one.kind)


def run_text(one: Instance) -> str:
    """The run it works for; its handle where there is none."""
    if one.run_name:
        return one.run_name
    return tr("Unknown run {uid}", uid=one.run) if one.run else one.id.partition("/")[2]


def below_run(one: Instance) -> str:
    """Attempt, person, handle."""
    handle = one.id.partition("/")[2]
    parts = [tr("attempt {n}", n=one.attempt)] if one.attempt else []
    return " · ".join([*parts, *([one.owner] if one.owner else []), *([handle] if run_text(one) != handle else [])])


def chip_of(one: Instance) -> tuple[str, str, str]:
    """Word, tone and icon of its state; one that ended badly and one nobody knows say so."""
    if not one.known:
        return tr("Unknown"), "accent", "circle-question-mark"
    tone, icon = STATE_LOOKS[one.state]
    if one.state == "exited" and one.exit_code is not None:
        if one.exit_code:
            return tr("Ended, code {code}", code=one.exit_code), "bad", "x"
        return word("instance_state", one.state), "ok", "check"
    return word("instance_state", one.state), tone, icon


def devices_text(one: Instance) -> str:
    """`GPU 0, 1`; a dash for the processor alone."""
    return tr("GPU {n}", n=", ".join(one.devices)) if one.devices else "—"


def age_of(one: Instance, now: float | None = None) -> float | None:
    """Seconds it has been there, or was at work."""
    begun = one.started if one.started is not None else one.created
    if begun is None:
        return None
    return (one.ended if one.ended is not None else (time.time() if now is None else now)) - begun


def removed_text(one: Instance, now: float | None = None) -> str:
    """When it is removed."""
    if one.expires is None:
        return "—"
    left = one.expires - (time.time() if now is None else now)
    return duration(left) if left > 0 else tr("soon")


def cell_text(one: Instance, key: str) -> str:
    """What a cell of the table says."""
    match key:
        case "kind":
            return kind_text(one)
        case "run":
            return run_text(one)
        case "node":
            return title_of(one.node)
        case "state":
            return chip_of(one)[0]
        case "devices":
            return devices_text(one)
        case "cpu":
            return "—" if one.cpu_percent is None else f"{one.cpu_percent:.0f}%"
        case "memory":
            return size(one.memory)
        case "age":
            return duration(age_of(one))
        case "expires":
            return removed_text(one)
    return ""


def tip_of(one: Instance) -> str:
    """All there is to know of it, a line each."""
    cpu = "" if one.cpu_percent is None else labelled(tr("CPU"), cell_text(one, "cpu"))
    memory = "" if one.memory is None else labelled(tr("Memory"), size(one.memory))
    devices = devices_text(one) if one.devices else ""
    lines = [one.id, one.image, one.endpoint, " · ".join(filter(None, (devices, cpu, memory)))]
    if one.started is not None:
        lines.append(tr("Started {when}", when=moment(one.started)))
    if one.ended is not None:
        lines.append(tr("Ended {when}", when=moment(one.ended)))
    if one.expires is not None:
        lines.append(tr("Is removed {when}", when=moment(one.expires)))
    return "\n".join(filter(None, lines))


def matches(one: Instance, text: str) -> bool:
    """Every word typed is found somewhere in what is shown of it."""
    words = text.lower().split()
    if not words:
        return True
    shown = " ".join(
        (run_text(one), one.run, one.id, one.owner, one.image, kind_text(one), chip_of(one)[0], title_of(one.node),
         one.kind, one.state, one.endpoint)
    ).lower()  # fmt: skip
    return all(part in shown for part in words)


def why_not(one: Instance, verb: str) -> str:
    """Why something cannot be done to it; empty if it can."""
    if one.state == "unreachable":
        return tr("Its node does not answer now.")
    if one.state == "gone":
        return tr("Nothing of it is left on its node.")
    if verb == "adopt":
        return tr("The history knows it already.") if one.known else ""
    if one.kind == "spare":
        return tr("It is a worker that waits for the next run; the controller looks after it.")
    if verb == "remove":
        return tr("It is at work: stop it first.") if one.state in AT_WORK else ""
    return "" if one.state in AT_WORK else tr("It is not at work.")


def why_not_any(some: Sequence[Instance], verb: str) -> str:
    """Why it can be done to none of them; empty if it can be done to one."""
    reason = ""
    for one in some:
        why = why_not(one, verb)
        if not why:
            return ""
        reason = reason or why
    return reason


def names_of(some: Sequence[Instance], most: int = 5) -> str:
    """The first of them by name and node, and how many more."""
    named = [tr("{run} on {node}", run=run_text(one), node=title_of(one.node)) for one in some[:most]]
    rest = len(some) - most
    return "\n".join(f"• {text}" for text in [*named, *([count(rest, "1 more", "{n} more")] if rest > 0 else [])])


def kill_loses(some: Sequence[Instance]) -> str:
    """What is lost by killing."""
    lost = tr("What was learned since the last checkpoint is lost. Stopping and saving keeps it.")
    return f"{lost}\n\n{names_of(some)}"


def remove_loses(some: Sequence[Instance]) -> str:
    """What is lost by removing."""
    unknown = sum(not one.known for one in some)
    lost = tr("The container and its files on the node are deleted. Results in the library and the history stay.")
    strange = count(unknown, "1 of them is unknown to the history: nothing of it is kept.",
                    "{n} of them are unknown to the history: nothing of them is kept.")  # fmt: skip
    return f"{sentences(lost, strange if unknown else '')}\n\n{names_of(some)}"


def summary(some: Sequence[Instance]) -> str:
    """`12 instances · 8 at work · on 6 nodes`."""
    nodes = len({one.node for one in some})
    working = sum(one.state in AT_WORK for one in some)
    parts = [count(len(some), "1 instance", "{n} instances"), tr("{n} at work", n=working),
             count(nodes, "on 1 node", "on {n} nodes")]  # fmt: skip
    return " · ".join(parts)


def done_text(verb: str, number: int) -> str:
    """What was done to so many."""
    match verb:
        case "stop":
            return count(number, "1 instance saves its state and stops.", "{n} instances save their state and stop.")
        case "kill":
            return count(number, "1 instance was killed.", "{n} instances were killed.")
        case "remove":
            return count(number, "1 instance was removed.", "{n} instances were removed.")
    return count(number, "1 instance was adopted.", "{n} instances were adopted.")
