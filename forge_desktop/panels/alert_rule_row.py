"""One rule of alerts as a row of a form: a switch, its limits, how long, and what is wrong below them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QGridLayout, QWidget

from engine.contract.errors import Problem
from forge_desktop.models.alert_draft import AT_ONCE, LIMITLESS, NUMBERS, SENTENCES, TITLES, UNITS, Typed
from forge_desktop.theme.controls import Field, button, column, label, restyle, row, set_enabled
from forge_desktop.theme.language import labelled, problem_text, tr, word

FIELD_WIDTH, UNIT_WIDTH = 64, 34
CELL_WIDTH = FIELD_WIDTH + 6 + UNIT_WIDTH
INDENT = 26
"""Of a text below a box with a tick."""
HEADS = {"threshold": "Limit", "recover": "Over at", "minutes": "For at least"}


class RuleRow(QWidget):
    """Shows a rule and tells what is typed."""

    def __init__(
        self, typed: Typed, changed: Callable[[str, Any], object], toggle_own: Callable[[], object] | None = None
    ) -> None:
        """`toggle_own`: in the rules of one node, for having a rule of its own, or the one for all again."""
        super().__init__()
        kind, node = typed.rule.kind, typed.rule.node
        self._name = f"alerts.{kind}.{node}" if node else f"alerts.{kind}"
        self._inherited = toggle_own is not None and not node
        title = tr(TITLES[kind])
        self.switch = QCheckBox(title)
        self.switch.setObjectName(f"{self._name}.enabled")
        self.switch.setChecked(typed.enabled)
        self.switch.setAccessibleDescription(tr(SENTENCES[kind]))
        self.switch.toggled.connect(lambda on: changed("enabled", on))
        sentence = label(tr(SENTENCES[kind]), "hint", wrap=True)
        sentence.setContentsMargins(INDENT, 0, 0, 0)
        self._wrong = label("", "hint", tone="bad", wrap=True)
        self._wrong.setObjectName(f"{self._name}.wrong")
        self._wrong.setContentsMargins(INDENT, 0, 0, 0)
        self._wrong.hide()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(14)
        layout.setVerticalSpacing(4)
        words = QWidget()
        words.setLayout(column(self.switch, sentence, spacing=2))
        layout.addWidget(words, 0, 0)
        if toggle_own is not None:
            layout.addWidget(self._own(title, toggle_own), 2, 0, 1, 4)
        self.fields: dict[str, Field] = {}
        for place, name in enumerate(NUMBERS, 1):
            layout.addWidget(self._cell(typed, name, title, changed), 0, place, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(self._wrong, 1, 0, 1, 4)
        layout.setColumnStretch(0, 1)
        self.show_state(typed.enabled, {})

    def _own(self, title: str, toggle: Callable[[], object]) -> QWidget:
        """Whether the rule is the node's own, and the way to the other."""
        said = tr("As for all nodes") if self._inherited else tr("Only for this node")
        text = tr("Give it its own rule") if self._inherited else tr("As for all nodes again")
        made = button(text, "link", on_click=toggle, name=f"{self._name}.own")
        made.setAccessibleName(labelled(title, text))
        holder = QWidget()
        layout = row(label(said, "hint"), made, None, spacing=12)
        layout.setContentsMargins(INDENT, 0, 0, 0)
        holder.setLayout(layout)
        return holder

    def _cell(self, typed: Typed, name: str, title: str, changed: Callable[[str, Any], object]) -> QWidget:
        """A number and its unit; empty where there is none of this kind."""
        holder = QWidget()
        holder.setFixedWidth(CELL_WIDTH)
        kind = typed.rule.kind
        if (kind in LIMITLESS and name != "minutes") or (kind in AT_ONCE and name == "minutes"):
            nothing = label("–", "hint")
            nothing.setFixedWidth(FIELD_WIDTH)
            nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
            holder.setLayout(row(nothing, None))
            return holder
        field = Field(getattr(typed, name), name=f"{self._name}.{name}")
        field.setFixedWidth(FIELD_WIDTH)
        field.setAlignment(Qt.AlignmentFlag.AlignRight)
        unit = word("unit", "min" if name == "minutes" else UNITS[kind])
        field.setAccessibleName(labelled(title, f"{tr(HEADS[name])} ({unit})"))
        field.textEdited.connect(lambda text: changed(name, text))
        self.fields[name] = field
        holder.setLayout(row(field, label(unit, "hint"), None, spacing=6))
        return holder

    def show_state(self, enabled: bool, problems: dict[str, Problem]) -> None:
        """What is wrong, field by field; a rule that is off needs no limits."""
        theirs = tr("It is the rule for all nodes. Give the node its own rule first.")
        set_enabled(self.switch, not self._inherited, theirs)
        for name, field in self.fields.items():
            why = theirs if self._inherited else tr("Switch the rule on first.")
            set_enabled(field, enabled and not self._inherited, why)
            problem = problems.get(name)
            restyle(field, tone="bad" if problem is not None else "")
            field.setAccessibleDescription(problem_text(problem) if problem is not None else "")
        said = [labelled(tr(HEADS[name]), problem_text(problems[name])) for name in NUMBERS if name in problems]
        said += [problem_text(problem) for name, problem in problems.items() if name not in NUMBERS]
        self._wrong.setText("\n".join(said))
        self._wrong.setVisible(bool(said))


def heads() -> QWidget:
    """What the columns are called."""
    holder = QWidget()
    layout = row(label(tr("Alert"), "label"), None, spacing=14)
    layout.setStretch(0, 1)
    for name in NUMBERS:
        made = label(tr(HEADS[name]), "label")
        made.setFixedWidth(CELL_WIDTH)
        layout.addWidget(made)
    holder.setLayout(layout)
    return holder
