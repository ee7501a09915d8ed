"""How a node is spoken of: its state in a word, what it is, what goes on there, and what is the matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from engine.contract.node_alerts import DEFAULT_RULES
from engine.contract.nodes import LOCAL, NodeView
from forge_desktop.models.node_figures import figures_of, gpu_count
from forge_desktop.theme.language import count, tr, word
from forge_desktop.theme.measures import ago, duration, money

Condition = Literal["healthy", "hot", "alert", "draining", "offline", "unreachable", "broken", "checking"]
HOT = next(rule.threshold for rule in DEFAULT_RULES if rule.kind == "gpu_temperature")
"""°C; where nobody set another limit."""


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


def summary(nodes: Sequence[NodeView], hot_at: Callable[[str], float] = lambda _name: HOT) -> str:
    """`6 nodes · 11 GPUs · 3 healthy · 1 unreachable`."""
    gpus = sum(map(gpu_count, nodes))
    parts = [count(len(nodes), "1 node", "{n} nodes"), count(gpus, "1 GPU", "{n} GPUs")]
    fine = sum(is_healthy(node, hot_at(node.profile.name)) for node in nodes)
    lost = sum(condition(node) == "unreachable" for node in nodes)
    parts.append(tr("{n} healthy", n=fine))
    if lost:
        parts.append(tr("{n} unreachable", n=lost))
    return " · ".join(parts)
