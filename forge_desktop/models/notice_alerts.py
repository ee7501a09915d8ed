"""Alerts become notices: each once, marked when it is over, read when somebody has said that they saw it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Slot

from engine.contract.node_alerts import Alert, Alerts, words
from forge_desktop.bridge.session import Session
from forge_desktop.models.notices import ALARM, ALERT, Notice


class AlertNotices(QObject):
    """Follows a session for a book of notices."""

    def __init__(
        self, session: Session, enter: Callable[[Notice], object], seen: Callable[[str], object],
        over: Callable[[str], object], parent: QObject,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._session, self._enter, self._seen, self._over = session, enter, seen, over
        session.alert_changed.connect(self._changed)
        session.online.connect(self._online)

    @Slot(object)
    def _changed(self, alert: Alert) -> None:
        if alert.ended is not None:
            self._over(key_of(alert))
            return
        self._enter(notice_of(alert))
        if alert.acknowledged:
            self._seen(key_of(alert))

    @Slot()
    def _online(self) -> None:
        """Alerts are not replayed: ask for those that are on."""
        self._session.ask(lambda backend: backend.alerts(), self._heard, lambda _error: None, owner=self)

    def _heard(self, found: Alerts) -> None:
        for alert in reversed(found.alerts):
            self._changed(alert)


def key_of(alert: Alert) -> str:
    """The same for the same alert, in whichever home."""
    return f"alert:{alert.id}:{alert.began:.0f}"


def notice_of(alert: Alert) -> Notice:
    """An alert as a notice."""
    error = words(alert).model_dump()
    name = alert.run_name or alert.node
    return Notice(key_of(alert), ALERT, ALARM, alert.began, alert.run, name, {"error": error})
