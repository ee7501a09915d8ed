"""What is wrong with rules of alerts: all of it, each with its field. The dialog, the API and the command ask here."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from engine.contract.errors import Problem
from engine.contract.node_alerts import ALERT_KINDS, AlertKind

RANGES: dict[AlertKind, tuple[float, float]] = {
    "gpu_temperature": (30, 120),
    "gpu_idle": (0, 100),
    "gpu_memory_full": (1, 100),
    "gpu_lost": (1, 1),
    "disk_full": (1, 100),
    "unreachable": (1, 1),
    "run_stalled": (1, 10_000),
    "queue_long": (1, 100_000),
    "budget": (1, 1000),
}
"""Of the limit. Of a GPU that is lost and a node that does not answer there is only yes and no."""
LOW: frozenset[AlertKind] = frozenset({"gpu_idle"})
"""An alert when the value is too small."""
NODELESS: frozenset[AlertKind] = frozenset({"queue_long", "budget"})
YES_OR_NO: frozenset[AlertKind] = frozenset({"gpu_lost", "unreachable"})
MOST_MINUTES = 10_000
MOST_RULES = 500


def problems_of(rules: Any, nodes: Collection[str] | None = None) -> list[Problem]:
    """Every problem of these rules as they came. `nodes`: those there are; None: not looked at."""
    if not isinstance(rules, Sequence) or isinstance(rules, str) or not all(isinstance(one, Mapping) for one in rules):
        return [Problem(code="alerts.not_rules", field="rules", params={})]
    if len(rules) > MOST_RULES:
        return [Problem(code="alerts.range", field="rules", params={"least": 0, "most": MOST_RULES})]
    problems: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    for index, rule in enumerate(rules):
        problems += _of_rule(rule, f"rules.{index}", nodes)
        pair = (str(rule.get("kind")), str(rule.get("node", "")))
        if pair in seen:
            problems.append(Problem(code="alerts.twice", field=f"rules.{index}.kind", params={}))
        seen.add(pair)
    return problems


def _of_rule(rule: Mapping[str, Any], field: str, nodes: Collection[str] | None) -> Iterator[Problem]:
    kind, node = rule.get("kind"), rule.get("node", "")
    if kind not in ALERT_KINDS:
        params = {"value": str(kind)[:60], "kinds": ", ".join(ALERT_KINDS)}
        yield Problem(code="alerts.kind", field=f"{field}.kind", params=params)
        return
    if not isinstance(node, str) or (nodes is not None and node and node not in nodes):
        params = {"node": str(node)[:60], "nodes": ", ".join(nodes or ())}
        yield Problem(code="alerts.node", field=f"{field}.node", params=params)
    least, most = RANGES[kind]
    threshold = yield from _number(rule, "threshold", field, least, most)
    floor = 0.0
    recover = yield from _number(rule, "recover", field, floor, max(most, 100.0))
    yield from _number({"minutes": 5.0, **rule}, "minutes", field, 0, MOST_MINUTES)
    if threshold is None or recover is None:
        return
    if kind in LOW and recover < threshold:
        yield Problem(code="alerts.recover_below", field=f"{field}.recover", params={"threshold": f"{threshold:g}"})
    if kind not in LOW and recover > threshold:
        yield Problem(code="alerts.recover_above", field=f"{field}.recover", params={"threshold": f"{threshold:g}"})


def _number(rule: Mapping[str, Any], name: str, field: str, least: float, most: float) -> Any:
    """Tell what is wrong with a number; the number, if it is one and within its range."""
    value = rule.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        shown = "" if value is None else str(value)[:60]
        yield Problem(code="alerts.number", field=f"{field}.{name}", params={"value": shown})
        return None
    if not least <= value <= most:
        params = {"least": f"{least:g}", "most": f"{most:g}"}
        yield Problem(code="alerts.range", field=f"{field}.{name}", params=params)
        return None
    return float(value)
