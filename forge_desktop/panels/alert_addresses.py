"""Where alerts are sent besides the window: addresses that can be written and tried, and are never shown again."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.node_alerts import AlertRules, AlertsSent
from forge_desktop.bridge.session import Session
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.controls import Chip, button, column, label, restyle, row, set_enabled
from forge_desktop.theme.language import count, explain, sentences, tr

HEIGHT = 62


class AlertAddresses(QWidget):
    """Keeps, tries and forgets them; independent of the rules, which are saved by themselves."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._targets, self._busy = session, 0, False
        self._chip = Chip(tr("Not set"), "plain")
        self._chip.setObjectName("alerts.addresses.state")
        self.text = QPlainTextEdit()
        self.text.setObjectName("alerts.addresses")
        self.text.setProperty("role", "input")
        self.text.setAccessibleName(tr("Addresses alerts are sent to"))
        self.text.setPlaceholderText("mailto://user:password@example.org\nslack://…")
        self.text.setTabChangesFocus(True)
        self.text.setFixedHeight(HEIGHT)
        self.text.textChanged.connect(self._refresh)
        self.keep = button(tr("Keep"), icon="check", on_click=self._keep, name="alerts.addresses.keep")
        self.test = button(tr("Send a test"), icon="message-square", on_click=self._test, name="alerts.addresses.test")
        self.forget = button(tr("Delete"), "danger", on_click=self._forget, name="alerts.addresses.delete")
        self._said = label("", "hint", wrap=True)
        self._said.setObjectName("alerts.addresses.said")
        self._said.hide()
        why = tr("One address of Apprise a line: mail, chat, web hooks. They hold passwords: they are kept as a "
                 "secret, and never shown again.")  # fmt: skip
        layout = column(spacing=6)
        layout.addLayout(row(label(tr("Also sent to"), "strong"), self._chip, None))
        layout.addWidget(label(why, "hint", wrap=True))
        layout.addWidget(self.text)
        layout.addLayout(row(self.keep, self.test, self.forget, None))
        layout.addWidget(self._said)
        self.setLayout(layout)
        self._refresh()

    def show_rules(self, found: AlertRules) -> None:
        """How many are set, and whether the latest alert reached them."""
        self._targets = found.targets
        text = count(found.targets, "1 address is set", "{n} addresses are set") if found.targets else tr("Not set")
        self._chip.set(text, "ok" if found.targets else "plain", "check" if found.targets else "")
        if found.trouble is not None:
            self._tell(sentences(*explain(found.trouble)), "bad")
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        typed = bool(self.text.toPlainText().strip())
        busy = tr("It takes a moment.")
        self.keep.setText(" " + (tr("Replace") if self._targets else tr("Keep")))
        set_enabled(self.keep, typed and not self._busy, busy if self._busy else tr("Type it first."))
        set_enabled(self.test, bool(self._targets) and not self._busy, busy if self._busy else tr("Keep one first."))
        self.forget.setVisible(bool(self._targets))
        set_enabled(self.forget, not self._busy, busy)

    def _ask(self) -> None:
        self._busy = True
        self._said.hide()
        self._refresh()

    def _keep(self) -> None:
        text = self.text.toPlainText().strip()
        if text and not self._busy:
            self._ask()
            self._session.ask(lambda b: b.set_alert_addresses(text), self._kept, self._failed, owner=self)

    def _kept(self, found: AlertRules) -> None:
        self._busy = False
        self.text.clear()
        self.show_rules(found)
        self._tell(tr("They are kept. Send a test to see whether they work."), "ok")

    def _test(self) -> None:
        self._ask()
        self._tell(tr("Sending…"))
        self._session.ask(lambda b: b.test_alerts(), self._tested, self._failed, owner=self)

    def _tested(self, found: AlertsSent) -> None:
        self._busy = False
        self._refresh()
        missed = [one.place for one in found.results if not one.sent]
        if missed:
            places = ", ".join(missed)
            said = tr("It did not arrive at: {places}. Correct the address, or look at the network.", places=places)
            self._tell(said, "bad")
        else:
            self._tell(count(len(found.results), "1 address has taken it.", "{n} addresses have taken it."), "ok")

    def _forget(self) -> None:
        ask_before(self, tr("Delete the addresses?"), tr("Alerts are then shown in the window only."), tr("Delete"),
                   "alerts.addresses.yes", self._forgotten)  # fmt: skip

    def _forgotten(self) -> None:
        self._ask()
        self._session.ask(lambda b: b.set_alert_addresses(""), self._gone, self._failed, owner=self)

    def _gone(self, found: AlertRules) -> None:
        self._busy = False
        self.show_rules(found)
        self._tell(tr("They are deleted."))

    def _failed(self, error: ErrorBody) -> None:
        self._busy = False
        self._refresh()
        self._tell(sentences(*explain(error)), "bad")

    def _tell(self, text: str, tone: str = "") -> None:
        self._said.setText(text)
        self._said.show()
        restyle(self._said, tone=tone)
