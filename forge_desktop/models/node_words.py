"""How a node is spoken of: its state in a word, what it is, what goes on there, and what is the matter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.contract.node_alerts import DEFAULT_RULES
from engine.contract.nodes import LOCAL, NodeView
from forge_desktop.models.node_figures import figures_of, gpu_count
from forge_desktop.theme.language import count, explain, sentences, tr, word
from forge_desktop.theme.measures import ago, duration, money

Condition = Literal["healthy", "hot", "alert", "draining", "offline", "unreachable", "broken", "checking"]
HOT = next(rule.threshold for rule in DEFAULT_RULES if rule.kind == "gpu_temperature")
"""°C; where nobody set another limit."""


@dataclass(frozen=True)
class Trouble:
    """What a banner says of the worst that is the matter now."""

    key: str
    node: str
    condition: Condition
    what: str
    more: str
    runs: int = 0


def condition(node: NodeView, hot: float = HOT) -> Condition:
    """What matters most about a node."""
    if node.state == "offline":
        return "offline"
    if node.reach == "unreachable":
        return "unreachable"
    if node.error is not None:
        return "broken"
    if node.state == "draining":
        return "draining"
    if node.reach == "checking":
        return "checking"
    warm = figures_of(node.values).temperature
    if warm is not None and warm >= hot:
        return "hot"
    return "alert" if node.alerts else "healthy"


def is_healthy(node: NodeView, hot: float = HOT) -> bool:
    """It takes runs, and nothing is the matter."""
    return condition(node, hot) == "healthy"


def title_of(name: str) -> str:
    """What a node is called."""
    return tr("This computer") if name == LOCAL else name


def gpu_text(node: NodeView) -> str:
    """`4 × NVIDIA H200 · 141 GB`; cores and memory where there is no GPU."""
    gpus, memory = gpu_count(node), 0.0
    if gpus:
        first = node.facts.gpus[0] if node.facts.gpus else None
        name = first.name if first is not None and first.name else node.names.get("gpu0", "GPU")
        memory = float(first.memory) if first is not None and first.memory else node.values.get("gpu0.memory_total", 0)
        name = name.removeprefix("NVIDIA ").removeprefix("GeForce ")
        room = f" · {memory / 1e9:,.0f} GB" if memory else ""
        return f"{gpus} × {name}{room}"
    memory = float(node.facts.memory) or node.values.get("ram.total", 0.0)
    parts = [count(node.facts.cpus, "1 core", "{n} cores")] if node.facts.cpus else []
    return " · ".join([*parts, *([f"{memory / 1e9:,.0f} GB"] if memory else [])])


def facts_line(node: NodeView) -> str:
    """Its devices, and how it is reached."""
    return " · ".join(part for part in (gpu_text(node), word("node_kind", node.profile.kind)) if part)


def runs_line(node: NodeView, now: float | None = None) -> str:
    """What goes on there; of a lost one since when nothing is known."""
    runs = count(len(node.runs), "1 run", "{n} runs") if node.runs else ""
    if node.reach == "unreachable":
        seen = tr("Last seen {when}", when=ago(node.last_seen, now)) if node.last_seen else tr("Never seen")
        return " · ".join(part for part in (seen, runs) if part)
    if node.state == "offline":
        return runs or tr("Takes no runs")
    left = max((run.eta_seconds for run in node.runs if run.eta_seconds is not None), default=None)
    if node.state == "draining":
        if not node.runs:
            return tr("Empty: nothing is at work")
        return f"{runs} · {tr('{time} left', time=duration(left))}" if left is not None else runs
    if not node.runs:
        return tr("Idle")
    if len(node.runs) == 1:
        return node.runs[0].name
    return f"{runs} · {node.runs[0].name}"


def runs_tip(node: NodeView) -> str:
    """Every run at work, a line each."""
    return "\n".join(
        " · ".join(
            part
            for part in (
                run.name,
                word("state", run.state),
                tr("{time} left", time=duration(run.eta_seconds)) if run.eta_seconds is not None else "",
                run.owner,
            )
            if part
        )
        for run in node.runs
    )


def price_text(node: NodeView) -> str:
    """What an hour costs."""
    price = node.profile.price
    return "" if price is None else tr("{price} an hour", price=money(price, node.profile.currency))


def summary(nodes: Sequence[NodeView], hot: float = HOT) -> str:
    """`6 nodes · 11 GPUs · 3 healthy · 1 unreachable`."""
    gpus = sum(map(gpu_count, nodes))
    parts = [count(len(nodes), "1 node", "{n} nodes"), count(gpus, "1 GPU", "{n} GPUs")]
    fine = sum(is_healthy(node, hot) for node in nodes)
    lost = sum(condition(node, hot) == "unreachable" for node in nodes)
    parts.append(tr("{n} healthy", n=fine))
    if lost:
        parts.append(tr("{n} unreachable", n=lost))
    return " · ".join(parts)


def worst(nodes: Sequence[NodeView], hot: float = HOT, now: float | None = None) -> Trouble | None:
    """The worst that is the matter now; a hot GPU before one that cannot be reached."""
    found = [trouble for node in nodes if (trouble := _trouble(node, hot, now)) is not None]
    return min(found, key=lambda one: ("hot", "broken", "unreachable", "alert").index(one.condition), default=None)


def _trouble(node: NodeView, hot: float, now: float | None) -> Trouble | None:
    name, kind = node.profile.name, condition(node, hot)
    title = title_of(name)
    now = time.time() if now is None else now
    if kind == "hot":
        warm = figures_of(node.values).temperature or 0.0
        what = tr("{node} is at {value} °C, above its limit of {limit} °C", node=title, value=f"{warm:.0f}",
                  limit=f"{hot:.0f}")  # fmt: skip
        more = tr("New runs go to other nodes until it has cooled down. Look at its cooling, or move its runs.")
        return Trouble(f"{name}:hot", name, kind, what, more, len(node.runs))
    if kind == "alert":
        what = tr("{node} has an alert", node=title)
        return Trouble(f"{name}:alert:{node.alerts}", name, kind, what, tr("The notices say what it is about."))
    if kind not in ("unreachable", "broken") or node.error is None:
        return None
    what, why, fix = explain(node.error)
    if kind == "unreachable":
        runs = count(len(node.runs), "Its run most likely goes on; it catches up when the node answers again.",
                     "Its {n} runs most likely go on; they catch up when the node answers again.")  # fmt: skip
        more = sentences(why, runs) if node.runs else sentences(why, fix)
        return Trouble(f"{name}:{kind}", name, kind, what, more, len(node.runs))
    return Trouble(f"{name}:{kind}", name, kind, what, sentences(why, fix), len(node.runs))
