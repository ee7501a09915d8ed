"""The part of the settings about alerts: what is wrong now, which rules are on, and the way to change them."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.node_alerts import Alert, AlertRules, Alerts, words
from forge_desktop.bridge.session import Session
from forge_desktop.models.alert_draft import TITLES
from forge_desktop.panels.alert_rules_dialog import AlertRulesDialog
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Chip, button, clear, column, label, line, row, set_enabled
from forge_desktop.theme.language import count, explain, sentences, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import moment

OVER_SHOWN = 10


class AlertsPanel(QWidget):
    """Follows the session's alerts."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._alerts: dict[int, Alert] = {}
        self._error = ErrorCard("alerts.panel.error")
        self._on = QVBoxLayout()
        self._on.setSpacing(10)
        self._over = QVBoxLayout()
        self._over.setSpacing(8)
        self._over_card = Card(tr("Over"), margins=(20, 16, 20, 18))
        self._over_card.body.addLayout(self._over)
        now = Card(tr("Now"), margins=(20, 16, 20, 18))
        now.body.addLayout(self._on)
        self._summary = label("", "hint", wrap=True)
        self._summary.setObjectName("alerts.summary")
        self.edit = button(tr("Rules and addresses…"), icon="pencil", on_click=self.open_rules, name="alerts.edit")
        rules = Card(tr("Rules"), margins=(20, 16, 20, 18))
        layout = row(self._summary, self.edit, spacing=16)
        layout.setStretch(0, 1)
        rules.body.addLayout(layout)
        self.setLayout(column(self._error, now, rules, self._over_card, spacing=14))
        session.online.connect(self._fetch)
        session.offline.connect(self._away)
        session.alert_changed.connect(self._changed)
        session.alert_rules_changed.connect(self._fetch)
        self._show()
        self._fetch()

    @Slot()
    def open_rules(self) -> None:
        """The dialog."""
        AlertRulesDialog(self._session, self.window(), self._heard_rules).open()

    @Slot()
    def _fetch(self, *_news: object) -> None:
        self._session.ask(lambda b: (b.alerts(), b.alert_rules()), self._heard, self._failed, owner=self)

    def _heard(self, found: tuple[Alerts, AlertRules]) -> None:
        self._error.show_error(None)
        set_enabled(self.edit, True)
        self._alerts = {alert.id: alert for alert in found[0].alerts}
        self._show()
        self._heard_rules(found[1])

    def _heard_rules(self, found: AlertRules) -> None:
        on = [tr(TITLES[rule.kind]) for rule in found.rules if rule.enabled and not rule.node]
        targets = count(found.targets, "They are also sent to 1 address.", "They are also sent to {n} addresses.")
        listed = tr("Watched: {rules}.", rules=" · ".join(on)) if on else tr("No rule is on: nothing raises an alert.")
        where = targets if found.targets else tr("They are shown in this window only.")
        self._summary.setText(sentences(listed, where))

    @Slot(object)
    def _changed(self, alert: Alert) -> None:
        self._alerts[alert.id] = alert
        self._show()

    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error if self._session.is_online else None)

    @Slot(object)
    def _away(self, _error: ErrorBody) -> None:
        set_enabled(self.edit, False, tr("The job controller does not answer."))

    def _show(self) -> None:
        clear(self._on)
        clear(self._over)
        every = sorted(self._alerts.values(), key=lambda alert: -alert.began)
        on = [alert for alert in every if alert.ended is None]
        for alert in on:
            if self._on.count():
                self._on.addWidget(line())
            self._on.addWidget(self._line(alert))
        if not on:
            well = label(tr("Nothing is out of order."), "hint")
            well.setObjectName("alerts.none")
            picture = label()
            picture.setPixmap(icons.pixmap("circle-check", tokens().ok_text, 18))
            holder = QWidget()
            holder.setLayout(row(picture, well, None, spacing=10))
            self._on.addWidget(holder)
        over = [alert for alert in every if alert.ended is not None][:OVER_SHOWN]
        for alert in over:
            self._over.addWidget(_past(alert))
        self._over_card.setVisible(bool(over))

    def _line(self, alert: Alert) -> QWidget:
        what, why, fix = explain(words(alert))
        picture = label()
        picture.setPixmap(icons.pixmap("triangle-alert", tokens().warn_text, 18))
        seen = button(tr("Mark as seen"), icon="check", on_click=partial(self._acknowledge, alert.id),
                      name=f"alerts.seen.{alert.id}")  # fmt: skip
        seen.setAccessibleName(tr("Mark as seen: {what}", what=what))
        chip = Chip(tr("Seen"), "plain", "check")
        chip.setToolTip(_seen(alert))
        seen.setVisible(not alert.acknowledged)
        chip.setVisible(alert.acknowledged)
        since = tr("Since {moment}", moment=moment(alert.began))
        texts = column(
            label(what, "strong", wrap=True, select=True), label(sentences(why, fix), "hint", wrap=True, select=True),
            label(" · ".join(part for part in (since, _seen(alert)) if part), "hint", wrap=True), spacing=3,
        )  # fmt: skip
        holder = QWidget()
        holder.setObjectName(f"alerts.line.{alert.id}")
        layout = row(picture, spacing=12)
        layout.addLayout(texts, 1)
        layout.addWidget(seen)
        layout.addWidget(chip)
        holder.setLayout(layout)
        return holder

    def _acknowledge(self, number: int) -> None:
        self._session.ask(lambda b: b.acknowledge(number), self._changed, self._failed, owner=self)


def _seen(alert: Alert) -> str:
    """By whom and when somebody said that they had seen it."""
    if not alert.acknowledged or alert.acknowledged_at is None:
        return ""
    if not alert.acknowledged_by:
        return tr("seen at {moment}", moment=moment(alert.acknowledged_at))
    return tr("seen by {person} at {moment}", person=alert.acknowledged_by, moment=moment(alert.acknowledged_at))


def _past(alert: Alert) -> QWidget:
    what = explain(words(alert))[0]
    times = tr("{begin} to {end}", begin=moment(alert.began), end=moment(alert.ended))
    times = " · ".join(part for part in (times, _seen(alert)) if part)
    layout = row(label(what, "", wrap=True, select=True), label(times, "hint"), spacing=16)
    layout.setStretch(0, 1)
    holder = QWidget()
    holder.setLayout(layout)
    return holder
