"""Where messages are written: one for all columns."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from forge_desktop.models.chat_model import ChatModel
from forge_desktop.theme.controls import Card, Elided, button, label, row, set_enabled
from forge_desktop.theme.language import tr

HEIGHT, SYSTEM_HEIGHT = 54, 64


class Writing(QPlainTextEdit):
    """Enter sends, Shift+Enter begins a line."""

    sent = Signal()

    def __init__(self, name: str, accessible: str, role: str = "bare") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.setProperty("role", role)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        plain = not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and plain:
            self.sent.emit()
        else:
            super().keyPressEvent(event)


class ChatInput(Card):
    """The message, what every chat begins with, how full the context is."""

    sent = Signal(str)
    """The text; who takes it clears the field."""
    prompts_wanted = Signal()

    def __init__(self, model: ChatModel) -> None:
        super().__init__(margins=(16, 12, 12, 10))
        self._model = model
        self.body.setSpacing(6)
        self.system = Writing("chat.system", tr("System prompt"), "input")
        self.system.setPlaceholderText(tr("How the model should behave, in every answer from now on"))
        self.system.setPlainText(model.chat.system)
        self.system.setFixedHeight(SYSTEM_HEIGHT)
        self.system.textChanged.connect(self._system_typed)
        self._system_title = label(tr("System prompt"), "label")
        self.text = Writing("chat.message", tr("Message"))
        self.text.setFixedHeight(HEIGHT)
        self.text.setPlainText(model.draft)
        self.text.textChanged.connect(self._typed)
        self.text.sent.connect(self.send)
        self._system = button(tr("System prompt"), "quiet", "settings", name="chat.system.show")
        self._system.setCheckable(True)
        self._system.toggled.connect(self._show_system)
        prompts = button(tr("Test prompts"), "quiet", "list-ordered", self.prompts_wanted.emit, "chat.prompts")
        self.context = Elided("", "hint")
        self.context.setObjectName("chat.context")
        self.context.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._stop = button(tr("Stop"), "default", "square", model.stop_all, "chat.stop")
        self._send = button(tr("Send"), "primary", "send", self.send, "chat.send")
        for part in (self._system_title, self.system, self.text):
            self.body.addWidget(part)
        foot = row(self._system, prompts, self.context, self._stop, self._send, spacing=8)
        foot.setStretch(2, 1)
        self.body.addLayout(foot)
        self._show_system(bool(model.chat.system))
        self._system.setChecked(bool(model.chat.system))
        model.busy_changed.connect(self.refresh)
        model.counted.connect(self.refresh)
        model.columns_changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """What can be done now."""
        number = len(self._model.chat.shown())
        whom = tr("Message both models…") if number == 2 else tr("Message all models…")
        whom = whom if number > 1 else tr("Message the model…")
        self.text.setPlaceholderText(f"{whom}  {tr('Enter to send, Shift+Enter for a new line')}")
        busy, why = self._model.is_busy, self._model.why_not()
        self._stop.setVisible(busy)
        self._send.setVisible(not busy)
        if not why and not self.text.toPlainText().strip():
            why = tr("Write a message first.")
        set_enabled(self._send, not why, why)
        used = self._model.used
        said = ""
        if used is not None and used[1]:
            said = tr("{used} of {all} context", used=f"{used[0]:,}", all=f"{used[1]:,}")
            if used[0] >= used[1]:
                said = tr("The context is full: {said}", said=said)
        self.context.set_text(said)

    @Slot()
    def send(self) -> None:
        """Send what is written, if it can be."""
        text = self.text.toPlainText().strip()
        if text and not self._model.why_not():
            self.text.clear()
            self.sent.emit(text)

    @Slot(bool)
    def _show_system(self, shown: bool) -> None:
        self.system.setVisible(shown)
        self._system_title.setVisible(shown)

    @Slot()
    def _typed(self) -> None:
        self._model.set_draft(self.text.toPlainText())
        self.refresh()

    @Slot()
    def _system_typed(self) -> None:
        self._model.set_system(self.system.toPlainText())
