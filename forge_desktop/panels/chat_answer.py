"""One turn in a column: what was asked, and the answer with its account and what can be done with it."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication, QIcon, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QPlainTextEdit, QPushButton, QWidget

from forge_desktop.models.chat_turns import Answer
from forge_desktop.panels.chat_text import AnswerText
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, button, column, face, label, restyle, row
from forge_desktop.theme.language import count, error_text, tr
from forge_desktop.theme.look import tokens

NARROW = 400
SMALL = 34


class Question(QFrame):
    """What a person wrote; it can be written otherwise."""

    edited = Signal(str)

    def __init__(self, text: str, place: int) -> None:
        super().__init__()
        self.setProperty("role", "bubble")
        self.said = AnswerText(f"chat.said.{place}", tr("Message"))  # a label would be as wide as its longest word
        self.said.show_plain(text)
        self._text = text
        self._change = _small("pencil", tr("Edit this message"), f"chat.edit.{place}", self.begin)
        self._shown = QWidget()
        shown = row(self.said, self._change, spacing=4)
        shown.setStretch(0, 1)
        shown.setAlignment(self._change, Qt.AlignmentFlag.AlignTop)
        self._shown.setLayout(shown)
        self.field = _Edit(f"chat.edited.{place}")
        self.field.sent.connect(self._done)
        self.field.given_up.connect(self._end)
        self._ask = button(tr("Ask again"), "primary", on_click=self._done, name=f"chat.ask_again.{place}")
        keep = button(tr("Cancel"), on_click=self._end, name=f"chat.keep.{place}")
        self._form = QWidget()
        form = column(self.field, label(tr("Everything after this message goes."), "hint", wrap=True), spacing=6)
        form.addLayout(row(None, keep, self._ask))
        self._form.setLayout(form)
        self._form.hide()
        self.setLayout(column(self._shown, self._form, spacing=0, margins=(14, 8, 6, 8)))

    def begin(self) -> None:
        """Let it be written otherwise."""
        self.field.setPlainText(self._text)
        self._shown.hide()
        self._form.show()
        self.field.setFocus()

    @Slot()
    def _end(self) -> None:
        self._form.hide()
        self._shown.show()

    @Slot()
    def _done(self) -> None:
        text = self.field.toPlainText().strip()
        if text:
            self._end()
            self.edited.emit(text)


class _Edit(QPlainTextEdit):
    """Enter sends, Shift+Enter is a new line, Esc gives up."""

    sent = Signal()
    given_up = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(tr("Message"))
        self.setProperty("role", "input")
        self.setTabChangesFocus(True)
        self.setFixedHeight(84)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        plain = not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and plain:
            self.sent.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.given_up.emit()
        else:
            super().keyPressEvent(event)


class AnswerCard(Card):
    """An answer in whatever state it is."""

    stop_wanted = Signal()
    again_wanted = Signal()
    preferred = Signal()

    def __init__(self, name: str, can_prefer: bool = True) -> None:
        super().__init__(margins=(14, 12, 14, 10))
        self.setObjectName(name)
        self.body.setSpacing(8)
        self.text = AnswerText(f"{name}.text", tr("Answer"))
        self.text.pointed.connect(self._point)
        self._error = label("", tone="bad", wrap=True, select=True)
        self._error.setObjectName(f"{name}.error")
        self._token = label("", "hint", wrap=True)
        self.account = label("", "hint", wrap=True)
        self.account.setObjectName(f"{name}.account")
        self._stop = _small("square", tr("Stop this answer"), f"{name}.stop", self.stop_wanted.emit)
        self._copy = _small("copy", tr("Copy the answer"), f"{name}.copy", self._to_clipboard)
        self._again = _small("refresh-cw", tr("Ask again"), f"{name}.again", self.again_wanted.emit)
        self._prefer = button(tr("Prefer"), "default", on_click=self.preferred.emit, name=f"{name}.prefer")
        self._prefer.setCheckable(True)
        self._can_prefer = can_prefer
        self._deeds = row(None, self._stop, self._copy, self._again, self._prefer, spacing=2)
        self._foot = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._foot.setSpacing(4)
        self._foot.addWidget(self.account, 1)
        self._foot.addLayout(self._deeds)
        for part in (self.text, self._error, self._token):
            self.body.addWidget(part)
        self.body.addLayout(self._foot)
        self._answer: Answer | None = None
        self._token.hide()

    def show_answer(self, said: Answer | None, chances: bool, alone: bool) -> None:
        """Show it as it is now; `alone`: there is no other to prefer it to."""
        self._answer = said
        self.setVisible(said is not None)
        if said is None:
            return
        coming = said.state == "coming"
        self._show_text(said, chances and bool(said.tokens))
        self._error.setText(error_text(said.error) if said.error is not None else "")
        self._error.setVisible(said.error is not None)
        self.account.setText(account_of(said))
        self._stop.setVisible(coming)
        self._copy.setVisible(bool(said.text))
        self._again.setVisible(not coming)
        self.show_prefer(alone)

    def show_prefer(self, alone: bool) -> None:
        """Whether it is the preferred one; `alone`: there is no other to prefer it to."""
        said = self._answer
        if said is None:
            return
        self._prefer.setVisible(self._can_prefer and not alone and said.is_usable)
        self._prefer.setChecked(said.preferred)
        self._prefer.setText(face(tr("Preferred"), True) if said.preferred else tr("Prefer"))
        self._prefer.setIcon(icons.icon("check", tokens().accent_text, 14) if said.preferred else QIcon())
        restyle(self, marked="yes" if said.preferred else "")

    def hide_account(self) -> None:
        """Its speed could tell whose it is; asking again would, too."""
        self.account.setText("" if self._answer is None or self._answer.state != "coming" else self.account.text())
        for deed in (self._stop, self._again):
            deed.hide()

    def _show_text(self, said: Answer, chances: bool) -> None:
        self.text.setVisible(bool(said.text) or said.state == "coming")
        if chances:
            self.text.show_chances(said.tokens)
        elif said.state == "coming":
            self.text.show_plain(said.text)
        else:
            self.text.show_markdown(said.text)
        self._token.setVisible(chances)
        if chances and not self._token.text():
            self._token.setText(tr("Point at a token to see how likely it was."))

    @Slot(str)
    def _point(self, said: str) -> None:
        if said:
            self._token.setText(said)

    def _to_clipboard(self) -> None:
        if self._answer is not None:
            QGuiApplication.clipboard().setText(self._answer.text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook: what can be done stands below the account where there is no room beside it."""
        super().resizeEvent(event)
        way = QBoxLayout.Direction
        self._foot.setDirection(way.TopToBottom if event.size().width() < NARROW else way.LeftToRight)


def account_of(said: Answer) -> str:
    """`dates answered · 104 tokens · 46 tok/s · first token 151 ms`; who answered is told where the router chose."""
    parts = []
    if said.state == "coming":
        parts.append(tr("Answering…") if said.text else tr("Waiting for the first token…"))
    if said.state == "stopped":
        parts.append(tr("Stopped"))
    if said.routed is not None:
        parts.append(
            tr("{name} answered", name=said.routed) if said.routed else tr("the base answered: no adapter fits")
        )
    if said.number is not None:
        parts.append(count(said.number, "{n} token", "{n} tokens"))
    if said.rate is not None:
        parts.append(tr("{rate} tok/s", rate=f"{said.rate:,.0f}"))
    if said.first is not None and said.text:
        parts.append(tr("first token {ms} ms", ms=f"{1000 * said.first:,.0f}"))
    return " · ".join(parts)


def _small(icon: str, tip: str, name: str, do: object) -> QPushButton:
    made = button("", "quiet", icon, partial(do) if callable(do) else None, name, tip)
    made.setFixedWidth(SMALL)
    return made
