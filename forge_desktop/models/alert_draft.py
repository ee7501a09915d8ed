"""Rules of alerts while somebody changes them: texts as they are typed, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from engine.contract import alert_check
from engine.contract.errors import Problem
from engine.contract.node_alerts import DEFAULT_RULES, AlertKind, AlertRule

TITLES: dict[AlertKind, str] = {
    "gpu_temperature": "GPU is hot",
    "gpu_idle": "GPU is hardly used",
    "gpu_memory_full": "GPU memory is nearly full",
    "gpu_lost": "GPU is lost",
    "disk_full": "Disk is nearly full",
    "unreachable": "Node does not answer",
    "run_stalled": "Run makes no step",
    "queue_long": "Runs wait long",
    "budget": "Budget is nearly spent",
}
SENTENCES: dict[AlertKind, str] = {
    "gpu_temperature": "A hot GPU slows down, and ages.",
    "gpu_idle": "While a run holds it: it may wait for data.",
    "gpu_memory_full": "While a run holds it: it may run out soon.",
    "gpu_lost": "The driver no longer sees a GPU it knew.",
    "disk_full": "Where Docker or the data folder lies.",
    "unreachable": "Its runs go on; nothing has failed.",
    "run_stalled": "It trains, and tells of no progress.",
    "queue_long": "No node has room for them.",
    "budget": "Of what may be spent, as the settings say.",
}
UNITS: dict[AlertKind, str] = {
    "gpu_temperature": "celsius",
    "gpu_idle": "percent",
    "gpu_memory_full": "percent",
    "disk_full": "percent",
    "run_stalled": "min",
    "queue_long": "min",
    "budget": "percent",
}
LIMITLESS = alert_check.YES_OR_NO
AT_ONCE: frozenset[AlertKind] = frozenset({"run_stalled", "queue_long", "budget"})
"""Their limit is a time already, or nothing that passes by itself."""
NUMBERS = ("threshold", "recover", "minutes")


@dataclass(frozen=True)
class Typed:
    """One rule as it stands in the form."""

    rule: AlertRule
    threshold: str
    recover: str
    minutes: str
    enabled: bool

    @classmethod
    def of(cls, rule: AlertRule) -> Typed:
        """As the form begins."""
        return cls(rule, f"{rule.threshold:g}", f"{rule.recover:g}", f"{rule.minutes:g}", rule.enabled)

    def with_value(self, name: str, value: Any) -> Typed:
        """With something else in one field."""
        return replace(self, **{name: value})

    def values(self) -> dict[str, Any]:
        """As the check takes them: numbers where they are."""
        numbers = {name: _number(getattr(self, name)) for name in NUMBERS}
        return {"kind": self.rule.kind, "node": self.rule.node, "enabled": self.enabled, **numbers}


class AlertDraft:
    """All rules of the form."""

    def __init__(self, rules: Iterable[AlertRule] = ()) -> None:
        self.rows: list[Typed] = [Typed.of(rule) for rule in rules]
        self._begun = list(self.rows)

    @property
    def changed(self) -> bool:
        """Something differs from what is kept."""
        return self.rows != self._begun

    def set(self, index: int, name: str, value: Any) -> None:
        """Somebody typed, or switched."""
        self.rows[index] = self.rows[index].with_value(name, value)

    def restore(self, node: str = "") -> None:
        """The usual rules, for all nodes; of one node: those for all."""
        if node:
            self.rows = [row for row in self.rows if row.rule.node != node]
        else:
            self.rows = [Typed.of(rule) for rule in DEFAULT_RULES]

    def places(self, node: str = "") -> list[int]:
        """Rows of what is in force for a node: its own, else those for all. Without a node: those for all."""
        general = [place for place, row in enumerate(self.rows) if not row.rule.node]
        if not node:
            return general
        own = {row.rule.kind: place for place, row in enumerate(self.rows) if row.rule.node == node}
        kinds = [(place, self.rows[place].rule.kind) for place in general]
        return [own.get(kind, place) for place, kind in kinds if kind not in alert_check.NODELESS]

    def make_own(self, place: int, node: str) -> None:
        """Let a node have a rule of its own, which begins as the one for all."""
        row = self.rows[place]
        self.rows = [*self.rows, replace(row, rule=row.rule.model_copy(update={"node": node}))]

    def give_up(self, place: int) -> None:
        """The rule for all is in force again."""
        self.rows = [row for at, row in enumerate(self.rows) if at != place]

    @property
    def nodes(self) -> list[str]:
        """Those with rules of their own."""
        return sorted({row.rule.node for row in self.rows if row.rule.node})

    def problems(self) -> dict[tuple[int, str], Problem]:
        """Row and field to what is wrong there."""
        found: dict[tuple[int, str], Problem] = {}
        for problem in alert_check.problems_of([row.values() for row in self.rows]):
            _rules, index, name = problem.field.split(".")
            found.setdefault((int(index), name), problem)
        return found

    def rules(self) -> list[AlertRule]:
        """As they are kept; ask for problems first."""
        return [AlertRule.model_validate(row.values()) for row in self.rows]


def _number(text: str) -> float | str:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return text.strip()
