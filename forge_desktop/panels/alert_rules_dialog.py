"""When alerts are raised: every rule as a row, what is wrong beside it, and where alerts are sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QDialog, QPushButton, QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.node_alerts import AlertRules
from engine.contract.nodes import Nodes
from forge_desktop.bridge.session import Session
from forge_desktop.models.alert_draft import AlertDraft
from forge_desktop.models.node_words import title_of
from forge_desktop.panels.alert_addresses import AlertAddresses
from forge_desktop.panels.alert_rule_row import RuleRow, heads
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Choice, button, clear, column, label, line, row, scrolled, set_enabled
from forge_desktop.theme.language import tr

WIDTH, HEIGHT = 800, 640


class AlertRulesDialog(QDialog):
    """Asks for the rules, and keeps all of them at once."""

    def __init__(
        self, session: Session, parent: QWidget, kept: Callable[[AlertRules], object] = lambda _found: None,
        node: str = "",
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.setObjectName("alerts")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Rules of alerts"))
        self.resize(WIDTH, HEIGHT)
        self._session, self._kept, self._saving = session, kept, False
        self.draft = AlertDraft()
        self._node = node
        self.scope = Choice([("", tr("All nodes"))])
        self.scope.setObjectName("alerts.scope")
        self.scope.setAccessibleName(tr("Rules for"))
        self.scope.setMinimumWidth(220)
        self.scope.currentIndexChanged.connect(self._scoped)
        self.rows: list[RuleRow] = []
        self._places: list[int] = []
        self._error = ErrorCard("alerts.error")
        self._rules = QVBoxLayout()
        self._rules.setSpacing(10)
        self._rules.setContentsMargins(0, 0, 0, 0)
        self.addresses = AlertAddresses(session)
        self.restore = button(tr("Restore the usual rules"), "link", "rotate-ccw", self._restore, "alerts.restore")
        self.cancel = button(tr("Cancel"), on_click=self.reject, name="alerts.cancel")
        self.save = button(tr("Save"), "primary", "check", self._save, name="alerts.save")
        self._build()
        self._refresh()
        session.ask(lambda b: (b.alert_rules(), b.nodes()), self._got, self._failed, owner=self)

    def _build(self) -> None:
        sentence = tr("An alert is raised once and stays until it is over: past the limit it begins, and it is over "
                      "when the value has come back to 'over at'.")  # fmt: skip
        inner = QWidget()
        body = column(spacing=14, margins=(0, 0, 10, 0))
        body.addLayout(self._rules)
        body.addWidget(line())
        body.addWidget(self.addresses)
        body.addStretch(1)
        inner.setLayout(body)
        head = QWidget()
        head.setLayout(row(label(self.windowTitle(), "card-title"), None, label(tr("Rules for"), "label"), self.scope,
                           spacing=10))  # fmt: skip
        layout = column(
            head, label(sentence, "hint", wrap=True), self._error, spacing=12,
            margins=(20, 18, 20, 18),
        )  # fmt: skip
        layout.addWidget(scrolled(inner), 1)
        layout.addLayout(row(self.restore, None, self.cancel, self.save, spacing=10))
        self.setLayout(layout)

    def _got(self, found: tuple[AlertRules, Nodes]) -> None:
        self._error.show_error(None)
        self.draft = AlertDraft(found[0].rules)
        self.addresses.show_rules(found[0])
        names = [node.profile.name for node in found[1].nodes]
        self.scope.blockSignals(True)
        for name in [*names, *(one for one in self.draft.nodes if one not in names)]:
            self.scope.addItem(title_of(name), name)
        self.scope.set_value(self._node)
        self.scope.blockSignals(False)
        self._scoped()

    @Slot()
    def _scoped(self) -> None:
        """The rules for all nodes, or of one."""
        self._node = self.scope.value()
        own = tr("As for all nodes again") if self._node else tr("Restore the usual rules")
        self.restore.setText(" " + own)
        self.restore.setAccessibleName(own)
        self._fill()

    def _fill(self) -> None:
        clear(self._rules)
        self.rows, self._places = [], self.draft.places(self._node)
        if self._places:
            self._rules.addWidget(heads())
        for index in self._places:
            toggle = partial(self._toggle_own, index) if self._node else None
            made = RuleRow(self.draft.rows[index], partial(self._typed, index), toggle)
            self.rows.append(made)
            self._rules.addWidget(line())
            self._rules.addWidget(made)
        self._refresh()

    def _toggle_own(self, index: int) -> None:
        kind = self.draft.rows[index].rule.kind
        if self.draft.rows[index].rule.node:
            self.draft.give_up(index)
        else:
            self.draft.make_own(index, self._node)
        self._fill()
        for made, place in zip(self.rows, self._places, strict=True):
            if self.draft.rows[place].rule.kind == kind:  # who works by keyboard stays with the rule
                (made.switch if made.switch.isEnabled() else made.findChild(QPushButton) or made).setFocus()

    def _typed(self, index: int, name: str, value: Any) -> None:
        self.draft.set(index, name, value)
        self._refresh()

    def _restore(self) -> None:
        self.draft.restore(self._node)
        self._fill()

    def _refresh(self) -> None:
        problems = self.draft.problems()
        for index, made in zip(self._places, self.rows, strict=True):
            mine = {name: problem for (place, name), problem in problems.items() if place == index}
            made.show_state(self.draft.rows[index].enabled, mine)
        there = bool(self.draft.rows)
        set_enabled(self.restore, there, tr("The rules are not here yet."))
        why = self._why_not(set(problems))
        set_enabled(self.save, there and not problems and self.draft.changed and not self._saving, why)
        self.save.setText(" " + (tr("Saving…") if self._saving else tr("Save")))

    def _why_not(self, problems: set[tuple[int, str]]) -> str:
        """Why the rules cannot be kept; what is wrong may stand under another node."""
        if not problems:
            return tr("Nothing was changed.")
        if any(index in self._places for index, _name in problems):
            return tr("Correct what is marked first.")
        node = self.draft.rows[min(problems)[0]].rule.node
        return tr("Correct what is marked under '{node}' first.", node=title_of(node) if node else tr("All nodes"))

    def _save(self) -> None:
        if self._saving or self.draft.problems():
            return
        rules = self.draft.rules()
        self._saving = True
        self._refresh()
        self._session.ask(lambda backend: backend.set_alert_rules(rules), self._done, self._failed, owner=self)

    def _done(self, found: AlertRules) -> None:
        self._saving = False
        self._kept(found)
        self.accept()

    def _failed(self, error: ErrorBody) -> None:
        self._saving = False
        self._error.show_error(error)
        self._refresh()
