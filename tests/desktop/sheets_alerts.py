"""Pictures of alerts: the section of the settings, the dialog of rules, notices."""

from __future__ import annotations

import time
from collections.abc import Iterator

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from engine.contract.node_alerts import Alert
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.panels.alert_rules_dialog import AlertRulesDialog
from forge_desktop.theme.controls import Field

HOUR = 3600.0


def some_alerts() -> list[Alert]:
    """On, seen, and over."""
    now = time.time()
    hot = {"threshold": 85.0, "minutes": 2.0}
    return [
        Alert(id=1, kind="gpu_temperature", node="gpu-server-basement", device="1", began=now - 540, value=91.0,
              worst=93.0, **hot),
        Alert(id=2, kind="disk_full", node="local", began=now - 3 * HOUR, value=94.2, worst=94.2, threshold=90.0,
              minutes=1.0, acknowledged=True),
        Alert(id=3, kind="budget", began=now - 5 * HOUR, value=84.0, worst=84.0, threshold=80.0,
              params={"spent": "840.00", "currency": "EUR", "budget": "1000.00", "days": 30}),
        Alert(id=4, kind="unreachable", node="atlas", began=now - 26 * HOUR, ended=now - 25 * HOUR, value=0.0,
              worst=1.0, threshold=1.0, minutes=1.0),
        Alert(id=5, kind="run_stalled", node="atlas", run="r", run_name="support-tickets-with-a-rather-long-name",
              began=now - 30 * HOUR, ended=now - 29 * HOUR, value=14.0, worst=14.0, threshold=10.0),
    ]  # fmt: skip


def pages(desktop: Desktop, backend: ReplayBackend, settle_ms: int = 300) -> Iterator[str]:
    """Bring the window to each state in turn."""
    window = desktop.window
    backend.raised = {}
    backend.addresses = []
    window.go("settings/alerts")
    QTest.qWait(settle_ms)
    yield "alerts-none"
    for alert in some_alerts():
        backend.tell_alert(alert)
    QTest.qWait(settle_ms)
    yield "alerts"
    backend.addresses = ["mailto://me", "json://dead"]
    yield from _dialog(desktop, settle_ms)
    for alert in some_alerts():
        if alert.ended is None:
            backend.end_alert(alert.id)
    window.go("runs")


def _dialog(desktop: Desktop, settle_ms: int) -> Iterator[str]:
    made = desktop.window.findChild(QPushButton, "alerts.edit")
    assert isinstance(made, QPushButton)
    made.click()
    QTest.qWait(settle_ms)
    dialog = next(
        one for one in QApplication.topLevelWidgets() if isinstance(one, AlertRulesDialog) and one.isVisible()
    )
    yield "alerts-rules"
    field = dialog.findChild(Field, "alerts.gpu_temperature.threshold")
    assert isinstance(field, Field)
    field.setText("500")
    field.textEdited.emit("500")
    other = dialog.findChild(Field, "alerts.disk_full.recover")
    assert isinstance(other, Field)
    other.setText("95")
    other.textEdited.emit("95")
    yield "alerts-rules-wrong"
    dialog.addresses.test.click()
    QTest.qWait(settle_ms)
    area = dialog.addresses.parentWidget().parentWidget().parentWidget()
    bar = area.verticalScrollBar()  # type: ignore[attr-defined]
    bar.setValue(bar.maximum())
    yield "alerts-addresses"
    dialog.reject()
