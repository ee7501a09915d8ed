"""What the strip above the nodes says: the alerts that are on and that nobody has seen, and nodes that are broken."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from engine.contract.node_alerts import Alert, AlertKind, words
from engine.contract.nodes import NodeView
from forge_desktop.models.node_words import condition
from forge_desktop.theme.language import count, explain, sentences, tr

ORDER: tuple[AlertKind, ...] = (
    "gpu_temperature", "gpu_lost", "unreachable", "disk_full", "gpu_memory_full", "run_stalled", "gpu_idle",
    "queue_long", "budget",
)  # fmt: skip
"""What may cost something first comes first."""
LOOKS: dict[AlertKind, tuple[str, str]] = {
    "gpu_temperature": ("bad", "thermometer"),
    "gpu_lost": ("bad", "circle-alert"),
    "unreachable": ("warn", "unplug"),
    "disk_full": ("warn", "hard-drive"),
    "gpu_memory_full": ("warn", "memory-stick"),
    "run_stalled": ("warn", "hourglass"),
    "gpu_idle": ("warn", "gauge"),
    "queue_long": ("warn", "list-ordered"),
    "budget": ("warn", "coins"),
}


@dataclass(frozen=True)
class Trouble:
    """One thing that is the matter now."""

    node: str
    tone: str
    icon: str
    what: str
    more: str
    since: str = ""
    alert: int = 0
    """To be acknowledged by this number; 0: it is no alert, it goes when it is put right."""
    runs: int = 0
    """At work there, and better moved."""
    doctor: bool = False
    """The doctor may know more."""


def troubles(alerts: Iterable[Alert], nodes: Iterable[NodeView]) -> list[Trouble]:
    """The worst first."""
    known = {node.profile.name: node for node in nodes}
    unseen = [alert for alert in alerts if alert.ended is None and not alert.acknowledged]
    unseen.sort(key=lambda alert: (ORDER.index(alert.kind), -alert.worst, alert.began))
    found = [_of_alert(alert, known.get(alert.node)) for alert in unseen]
    broken = [node for node in known.values() if node.error is not None and condition(node) == "broken"]
    place = next((n for n, alert in enumerate(unseen) if ORDER.index(alert.kind) > ORDER.index("gpu_lost")), len(found))
    return [*found[:place], *map(_of_broken, broken), *found[place:]]


def _of_alert(alert: Alert, node: NodeView | None) -> Trouble:
    tone, icon = LOOKS[alert.kind]
    what, why, fix = explain(words(alert))
    runs = len(node.runs) if node is not None else 0
    more = sentences(why, fix)
    if alert.kind == "unreachable" and node is not None and node.error is not None:
        _what, why, fix = explain(node.error)
        goes_on = count(runs, "Its run most likely goes on; it catches up when the node answers again.",
                        "Its {n} runs most likely go on; they catch up when the node answers again.")  # fmt: skip
        more = sentences(why, goes_on if runs else fix)
    since = tr("since {moment}", moment=clock(alert.began))
    movable = runs if alert.kind in ("gpu_temperature", "gpu_lost") else 0
    doctor = node is not None and alert.kind in ("unreachable", "disk_full", "gpu_lost")
    return Trouble(alert.node, tone, icon, what, more, since, alert.id, movable, doctor)


def _of_broken(node: NodeView) -> Trouble:
    what, why, fix = explain(node.error) if node.error is not None else ("", "", "")
    return Trouble(node.profile.name, "bad", "circle-alert", what, sentences(why, fix), doctor=True)


def clock(then: float, now: float | None = None) -> str:
    """The time of day of `then`; with its day where that is not the day of `now` (the present without one)."""
    at, today = time.localtime(then), time.localtime(now)
    return time.strftime("%H:%M" if at[:3] == today[:3] else "%Y-%m-%d %H:%M", at)
