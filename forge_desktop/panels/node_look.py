"""How the condition of a node looks: tone and icon, beside its word."""

from __future__ import annotations

from engine.contract.nodes import NodeView
from forge_desktop.models.node_words import HOT, Condition, condition
from forge_desktop.theme.language import word

TONES: dict[Condition, tuple[str, str]] = {
    "healthy": ("ok", "check"),
    "hot": ("bad", "thermometer"),
    "alert": ("warn", "triangle-alert"),
    "draining": ("warn", "arrow-down-to-line"),
    "offline": ("plain", "power"),
    "unreachable": ("bad", "unplug"),
    "broken": ("bad", "circle-alert"),
    "checking": ("info", "loader-circle"),
}


def chip_of(node: NodeView, hot: float = HOT) -> tuple[str, str, str]:
    """Word, tone and icon."""
    kind = condition(node, hot)
    tone, icon = TONES[kind]
    return word("node_state", kind), tone, icon
