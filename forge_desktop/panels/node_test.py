"""The right side of a node's dialog: the doctor live, and the host key that somebody must confirm."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFrame, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.nodes import DoctorReport, NodeProfile
from engine.contract.stream import DoctorChecked
from forge_desktop.bridge.session import Session
from forge_desktop.panels.doctor_dialog import VERDICT_ICONS
from forge_desktop.panels.doctor_view import DoctorView, verdict
from forge_desktop.panels.page import ErrorCard, Hint
from forge_desktop.theme.controls import Chip, button, column, label, row, scrolled
from forge_desktop.theme.language import tr

UNKNOWN = "node.host_unknown"


class NodeTest(QWidget):
    """Nothing is kept: it only tells whether the node could be used like this."""

    trusted = Signal(str)
    """The fingerprint somebody said is right."""
    ended = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setObjectName("node.test")
        self._session, self._name, self.busy = session, "", False
        self.report: DoctorReport | None = None
        self._chip = Chip()
        self._chip.hide()
        text = tr("It goes from the network to the worker image and says here what is good, what is not, and how it is "
                  "mended. Nothing is kept by it.")  # fmt: skip
        self._hint = Hint("stethoscope", tr("Not tested yet"), text)
        self._error = ErrorCard("node.test.error")
        self._key = HostKey()
        self._key.trusted.connect(self._trust)
        self.view = DoctorView()
        self.view.hide()
        inner = QWidget()
        inner.setLayout(column(self._hint, self._key, self._error, self.view, None, spacing=12))
        layout = column(spacing=12)
        layout.addLayout(row(label(tr("Test"), "card-title"), self._chip, None, spacing=12))
        layout.addWidget(scrolled(inner), 1)
        self.setLayout(layout)
        session.doctor_checked.connect(self._heard)

    def start(self, profile: NodeProfile) -> None:
        """Examine it."""
        self.busy, self._name, self.report = True, profile.name, None
        self._hint.hide()
        self._key.hide()
        self._error.show_error(None)
        self.view.begin(profile.kind)
        self.view.show()
        self._say()
        self._session.transfer(lambda backend: backend.test_node(profile), self._got, self._failed, self)

    @Slot(object)
    def _heard(self, message: DoctorChecked) -> None:
        if self.busy and message.node == self._name:
            self.view.show_check(message.check)

    def _got(self, report: DoctorReport) -> None:
        self.busy, self.report = False, report
        self.view.show_report(report)
        found = next((c.error for c in report.checks if c.error is not None and c.error.code == UNKNOWN), None)
        self._key.show_error(found)
        self._say()
        self.ended.emit()

    def _failed(self, error: ErrorBody) -> None:
        self.busy = False
        self.view.setVisible(bool(self.view.checks))
        self._error.show_error(error)
        self._chip.hide()
        self.ended.emit()

    def _say(self) -> None:
        text, tone = (tr("Examining…"), "info") if self.busy else verdict(self.view.checks)
        self._chip.set(text, tone, VERDICT_ICONS[tone])
        self._chip.show()

    @Slot(str)
    def _trust(self, fingerprint: str) -> None:
        self._key.hide()
        self.trusted.emit(fingerprint)

    def verdict(self) -> str:
        """What it came to."""
        return self._chip.text() if self._chip.isVisibleTo(self) else ""


class HostKey(QFrame):
    """Asks whether the key a host shows is the right one; nobody else may decide that."""

    trusted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("node.host_key")
        self.setProperty("role", "banner")
        self._fingerprint = ""
        self._key = label("", "excerpt", wrap=True, select=True)
        self._key.setAccessibleName(tr("Fingerprint"))
        what = label(tr("Is this the right host key?"), "strong", wrap=True)
        self._why = label("", wrap=True, select=True)
        how = label(tr("Compare it with what the node itself says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"),
                    "hint", wrap=True, select=True)  # fmt: skip
        yes = button(tr("It is the right key"), "primary", "key-round", self._confirm, "node.host_key.yes")
        no = button(tr("Not now"), "quiet", on_click=self.hide, name="node.host_key.no")
        layout = column(what, self._why, self._key, how, spacing=8, margins=(14, 12, 14, 12))
        layout.addLayout(row(None, no, yes, spacing=10))
        self.setLayout(layout)
        self.hide()

    def show_error(self, error: ErrorBody | None) -> None:
        """Ask, where a key is not known."""
        self._fingerprint = str(error.params.get("fingerprint", "")) if error is not None else ""
        self.setVisible(bool(self._fingerprint))
        if error is not None:
            address = str(error.params.get("address", ""))
            self._why.setText(tr("{address} shows it, and nobody has said yet that it is right.", address=address))
        self._key.setText(self._fingerprint)

    def _confirm(self) -> None:
        self.trusted.emit(self._fingerprint)
