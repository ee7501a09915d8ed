"""Asking the model that is being trained: questions in, answers with their step as they come."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QVBoxLayout, QWidget

from engine.contract.api import RunSummary, SampleNow
from engine.contract.errors import ErrorBody
from engine.contract.stream import RunEvent
from forge_desktop.bridge.session import Session
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Card, Choice, button, column, label, row, scrolled, set_enabled
from forge_desktop.theme.language import count, tr

LENGTHS = (16, 64, 256, 1024)
MAX_PROMPTS = 20


class AskDialog(QDialog):
    """Stays open while answers come; training goes on as if nobody had asked."""

    def __init__(self, session: Session, run: RunSummary, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("ask")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Ask '{name}' now", name=run.name))
        self.resize(640, 560)
        self._session, self._run, self._waiting, self._sent = session, run, 0, False
        self.prompts = QPlainTextEdit()
        self.prompts.setProperty("role", "input")
        self.prompts.setPlaceholderText(tr("One question a line"))
        self.prompts.setAccessibleName(tr("Questions"))
        self.prompts.setMaximumHeight(130)
        self.prompts.setTabChangesFocus(True)
        self.prompts.textChanged.connect(self._refresh)
        self._length = Choice([(str(length), f"{length}") for length in LENGTHS], "64")
        self._length.setAccessibleName(tr("Longest answer"))
        self._length.setMinimumWidth(96)
        self._ask = button(tr("Ask"), "primary", "message-square", self._send, name="ask.send")
        self._said = label("", "hint")
        self._error = ErrorCard("ask.error")
        self._answers = QVBoxLayout()
        self._answers.setSpacing(10)
        self._answers.setContentsMargins(0, 0, 0, 0)
        inner = QWidget()
        inner.setLayout(self._answers)
        self._answers.addStretch(1)
        text = tr("The answers come at the next step. Training goes on as if nobody had asked.")
        hint, length = label(text, "hint", wrap=True), label(tr("Longest answer (tokens)"), "label")
        options = row(length, self._length, None, self._said, self._ask, spacing=10)
        title = label(self.windowTitle(), "card-title", wrap=True)
        layout = column(title, hint, self.prompts, spacing=12, margins=(20, 18, 20, 18))
        layout.addLayout(options)
        layout.addWidget(self._error)
        layout.addWidget(scrolled(inner), 1)
        layout.addLayout(row(None, button(tr("Close"), on_click=self.accept, name="ask.close")))
        self.setLayout(layout)
        session.run_event.connect(self._heard)
        session.run_changed.connect(self._run_changed)
        self._refresh()

    def _lines(self) -> list[str]:
        return [line.strip() for line in self.prompts.toPlainText().splitlines() if line.strip()]

    @Slot()
    def _refresh(self) -> None:
        number = len(self._lines())
        why = tr("Write a question first.") if not number else tr("At most {n} questions at once.", n=MAX_PROMPTS)
        if not self._run.state.live:
            why = tr("The run is not at work any more.")
        set_enabled(self._ask, 0 < number <= MAX_PROMPTS and not self._sent and self._run.state.live, why)
        text = count(self._waiting, "1 answer to come", "{n} answers to come") if self._waiting > 0 else ""
        self._said.setText(text)

    def _send(self) -> None:
        wish = SampleNow(prompts=self._lines(), max_new_tokens=int(self._length.value()))
        uid = self._run.uid
        self._sent = True
        self._waiting += len(wish.prompts)
        self._error.show_error(None)
        self._refresh()
        self._session.ask(
            lambda backend: backend.sample(uid, wish),
            lambda _none: self._taken(),
            lambda error: self._failed(error, len(wish.prompts)),
            owner=self,
        )

    def _taken(self) -> None:
        self._sent = False
        self._refresh()

    def _failed(self, error: ErrorBody, number: int) -> None:
        self._waiting -= number
        self._sent = False
        self._error.show_error(error)
        self._refresh()

    @Slot(object)
    def _heard(self, event: RunEvent) -> None:
        if event.run != self._run.uid or event.kind != "sample" or event.body.get("when") != "now":
            return
        self._waiting = max(0, self._waiting - 1)
        self._answers.insertWidget(0, _answer(event))
        self._refresh()

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        if run.uid == self._run.uid:
            self._run = run
            self._refresh()


def _answer(event: RunEvent) -> QWidget:
    made = Card(margins=(14, 10, 14, 12))
    made.body.setSpacing(6)
    step = event.body.get("step")
    head = row(label(str(event.body.get("prompt", "")), "strong", wrap=True, select=True), spacing=10)
    head.setStretch(0, 1)
    if step is not None:
        head.addWidget(label(tr("step {step}", step=f"{step:,}"), "hint"), 0, Qt.AlignmentFlag.AlignTop)
    made.body.addLayout(head)
    text = str(event.body.get("answer", "")).strip() or tr("(empty answer)")
    made.body.addWidget(label(text, wrap=True, select=True))
    return made
