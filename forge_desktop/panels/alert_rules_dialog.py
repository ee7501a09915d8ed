"""When alerts are raised: every rule as a row, what is wrong beside it, and where alerts are sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.node_alerts import AlertRules
from forge_desktop.bridge.session import Session
from forge_desktop.models.alert_draft import AlertDraft
from forge_desktop.panels.alert_addresses import AlertAddresses
from forge_desktop.panels.alert_rule_row import RuleRow, heads
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import button, clear, column, label, line, row, scrolled, set_enabled
from forge_desktop.theme.language import tr

WIDTH, HEIGHT = 800, 640


class AlertRulesDialog(QDialog):
    """Asks for the rules, and keeps all of them at once."""

    def __init__(
        self, session: Session, parent: QWidget, kept: Callable[[AlertRules], object] = lambda _found: None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("alerts")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Rules of alerts"))
        self.resize(WIDTH, HEIGHT)
        self._session, self._kept, self._saving = session, kept, False
        self.draft = AlertDraft()
        self.rows: list[RuleRow] = []
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
        session.ask(lambda backend: backend.alert_rules(), self._got, self._failed, owner=self)

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
        layout = column(
            label(self.windowTitle(), "card-title"), label(sentence, "hint", wrap=True), self._error, spacing=12,
            margins=(20, 18, 20, 18),
        )  # fmt: skip
        layout.addWidget(scrolled(inner), 1)
        layout.addLayout(row(self.restore, None, self.cancel, self.save, spacing=10))
        self.setLayout(layout)

    def _got(self, found: AlertRules) -> None:
        self._error.show_error(None)
        self.draft = AlertDraft(found.rules)
        self.addresses.show_rules(found)
        self._fill()

    def _fill(self) -> None:
        clear(self._rules)
        self.rows = []
        if self.draft.rows:
            self._rules.addWidget(heads())
        for index, typed in enumerate(self.draft.rows):
            made = RuleRow(typed, partial(self._typed, index))
            self.rows.append(made)
            self._rules.addWidget(line())
            self._rules.addWidget(made)
        self._refresh()

    def _typed(self, index: int, name: str, value: Any) -> None:
        self.draft.set(index, name, value)
        self._refresh()

    def _restore(self) -> None:
        self.draft.restore()
        self._fill()

    def _refresh(self) -> None:
        problems = self.draft.problems()
        for index, made in enumerate(self.rows):
            mine = {name: problem for (place, name), problem in problems.items() if place == index}
            made.show_state(self.draft.rows[index].enabled, mine)
        there = bool(self.draft.rows)
        set_enabled(self.restore, there, tr("The rules are not here yet."))
        why = tr("Correct what is marked first.") if problems else tr("Nothing was changed.")
        set_enabled(self.save, there and not problems and self.draft.changed and not self._saving, why)
        self.save.setText(" " + (tr("Saving…") if self._saving else tr("Save")))

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
