"""Running a run again exactly: what is other today is said, and what that may cause, before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.reproduction import Difference, ReproductionCheck
from forge_desktop.bridge.session import Session
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Chip, button, clear, column, face, label, row, scrolled, set_enabled
from forge_desktop.theme.language import tr, word

TONES = {"other_run": ("bad", "x"), "last_digits": ("warn", "triangle-alert"), "maybe_none": ("plain", "check")}
MOST = 100


class ReproduceDialog(QDialog):
    """Asks first, starts when that is confirmed."""

    def __init__(self, session: Session, run: RunSummary, opened: Callable[[str], object], parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("reproduce")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Run '{name}' again exactly", name=run.name))
        self.resize(640, 480)
        self._session, self._run, self._opened = session, run, opened
        self.said = label(tr("Model, rows, packages and machine are compared with those of then…"), wrap=True)
        self._error = ErrorCard("reproduce.error")
        self._later = label("", "hint", wrap=True)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(8)
        inner = QWidget()
        inner.setLayout(column(spacing=0))
        inner.layout().addLayout(self._rows)  # type: ignore[union-attr]
        inner.layout().addStretch(1)  # type: ignore[union-attr]
        self.go = button(tr("Start"), "primary", "play", self._start, name="reproduce.go")
        set_enabled(self.go, False, tr("Wait for the comparison."))
        cancel = button(tr("Cancel"), on_click=self.reject, name="reproduce.cancel")
        title = label(self.windowTitle(), "card-title", wrap=True)
        layout = column(title, self.said, self._error, spacing=12, margins=(20, 18, 20, 18))
        layout.addWidget(scrolled(inner), 1)
        layout.addWidget(self._later)
        layout.addLayout(row(None, cancel, self.go, spacing=10))
        self.setLayout(layout)
        session.ask(lambda backend: backend.reproduce_check(run.uid), self._checked, self._failed, owner=self)

    def _checked(self, found: ReproductionCheck) -> None:
        same = not found.differences
        self.said.setText(
            tr("Everything that can be looked at is as it was.")
            if same
            else tr("Some things are other than they were. The run can start all the same; the losses are compared.")
        )
        show_differences(self._rows, found.differences)
        names = " · ".join(word("manifest", name) for name in found.unchecked)
        later = tr("Compared once it runs: {names}.", names=names) if names else ""
        self._later.setText(" ".join(part for part in (found.error, later) if part))
        self.go.setText(face(tr("Start") if same else tr("Start all the same"), True))
        set_enabled(self.go, True)

    def _failed(self, error: ErrorBody) -> None:
        self.said.setText("")
        self._error.show_error(error)

    def _start(self) -> None:
        set_enabled(self.go, False, tr("It is being started."))
        uid = self._run.uid
        self._session.ask(lambda backend: backend.reproduce(uid), self._started, self._failed, owner=self)

    def _started(self, made: RunSummary) -> None:
        self.accept()
        self._opened(f"run/{made.uid}")


def show_differences(place: QVBoxLayout, found: Sequence[Difference], most: int = MOST) -> None:
    """Each with what it was, what it is, and what that may cause."""
    clear(place)
    for one in found[:most]:
        tone, icon = TONES[one.effect]
        kind, _, name = one.name.partition(".")
        head = row(label(f"{word('manifest', kind)} {name}".strip(), "strong"), None, spacing=8)
        head.addWidget(Chip(word("effect", one.effect), tone, icon))
        values = label(f"{one.was or '—'} → {one.now or '—'}", "hint", wrap=True, select=True)
        place.addLayout(head)
        place.addWidget(values)
    if len(found) > most:
        place.addWidget(label(tr("… and {n} more", n=len(found) - most), "hint"))
