"""The doctor of a node: starts at once, shows each check as it comes, and can be asked again."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.nodes import LOCAL, DoctorReport
from engine.contract.stream import DoctorChecked
from forge_desktop.bridge.session import Session
from forge_desktop.models.node_words import title_of
from forge_desktop.panels.doctor_view import DoctorView, report_text, verdict
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Chip, button, column, label, row, scrolled, set_enabled
from forge_desktop.theme.language import tr

WIDTH, HEIGHT, LOCAL_HEIGHT = 720, 640, 420
VERDICT_ICONS = {"ok": "check", "warn": "triangle-alert", "bad": "x", "info": "loader-circle"}


class DoctorDialog(QDialog):
    """One examination after another, of one node."""

    def __init__(self, session: Session, node: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("doctor")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._session, self._node, self._busy = session, node, False
        self.setWindowTitle(tr("Doctor of '{node}'", node=title_of(node)))
        self.resize(WIDTH, LOCAL_HEIGHT if node == LOCAL else HEIGHT)
        self._chip = Chip()
        self.view = DoctorView("process" if node == LOCAL else "docker_ssh")
        self._error = ErrorCard("doctor.error")
        self._again = button(tr("Run again"), "default", "refresh-cw", self.examine, "doctor.again")
        self._copy = button(tr("Copy report"), "default", "copy", self._copy_report, "doctor.copy")
        close = button(tr("Close"), "primary", on_click=self.accept, name="doctor.close")
        inner = QWidget()
        inner.setLayout(column(self._error, self.view, None, spacing=12))
        title = label(self.windowTitle(), "card-title")
        head = row(title, self._chip, None, spacing=12)
        layout = column(spacing=12, margins=(20, 18, 20, 18))
        layout.addLayout(head)
        hint = tr("It looks from the network to the image, and starts a small container. Nothing of yours is touched.")
        if node == LOCAL:
            hint = tr("It looks at this computer's GPUs, disk, clock and worker environment.")
        layout.addWidget(label(hint, "hint", wrap=True))
        layout.addWidget(scrolled(inner), 1)
        layout.addLayout(row(self._again, self._copy, None, close, spacing=10))
        self.setLayout(layout)
        session.doctor_checked.connect(self._heard)
        self.examine()

    def examine(self) -> None:
        """Look at everything now."""
        if self._busy:
            return
        self._busy = True
        self._error.show_error(None)
        self.view.begin("process" if self._node == LOCAL else "docker_ssh")
        self._refresh()
        node = self._node
        self._session.transfer(lambda backend: backend.examine_node(node), self._got, self._failed, self)

    @Slot(object)
    def _heard(self, message: DoctorChecked) -> None:
        if message.node == self._node and self._busy:
            self.view.show_check(message.check)

    def _got(self, report: DoctorReport) -> None:
        self._busy = False
        self.view.show_report(report)
        self._refresh()

    def _failed(self, error: ErrorBody) -> None:
        self._busy = False
        self._error.show_error(error)
        self._refresh()

    def _refresh(self) -> None:
        text, tone = (tr("Examining…"), "info") if self._busy else verdict(self.view.checks)
        self._chip.setVisible(self._busy or bool(self.view.checks))
        self._chip.set(text, tone, VERDICT_ICONS[tone])
        set_enabled(self._again, not self._busy, tr("It is being examined."))
        set_enabled(self._copy, not self._busy and bool(self.view.checks), tr("There is nothing to copy yet."))

    def verdict(self) -> str:
        """What it came to."""
        return self._chip.text()

    def _copy_report(self) -> None:
        QGuiApplication.clipboard().setText(report_text(self.windowTitle(), self.view.checks))
