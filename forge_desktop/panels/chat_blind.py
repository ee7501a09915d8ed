"""The blind test: its card beside the chat, and the two nameless answers in place of the columns."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from forge_desktop.models.chat_batch import title_of
from forge_desktop.models.chat_blind import BAD, SIDES, TIE, BlindModel, Verdict
from forge_desktop.models.chat_model import ChatModel
from forge_desktop.models.chat_turns import BASE
from forge_desktop.panels.chat_answer import AnswerCard
from forge_desktop.panels.chat_text import AnswerText
from forge_desktop.panels.local_keys import bind
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.controls import Bar, Card, button, column, label, row, scrolled, set_enabled
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import tr


class BlindCard(Card):
    """How the test stands, beginning and ending it, keeping what came of it."""

    save_wanted = Signal()

    def __init__(self, blind: BlindModel, chat: ChatModel) -> None:
        super().__init__(tr("Blind test"))
        self._blind, self._chat = blind, chat
        self._far = label("", "hint")
        self.head.addStretch(1)
        self.head.addWidget(self._far)
        self._bar = Bar(6)
        self.tally = label("", "hint", wrap=True)
        self.tally.setObjectName("blind.tally")
        self.go = button(tr("Start blind test"), "default", "play", blind.begin, "blind.start")
        self._forget = button(tr("Count anew"), "link", on_click=self._ask_forget, name="blind.forget")
        self.save = button(tr("Save as dataset"), "link", on_click=self.save_wanted.emit, name="blind.save")
        for part in (self._bar, self.tally, self.go):
            self.body.addWidget(part)
        links = QWidget()
        flow = FlowLayout(links)
        flow.addWidget(self.save)
        flow.addWidget(self._forget)
        self.body.addWidget(links)
        blind.changed.connect(self.refresh)
        chat.columns_changed.connect(self.refresh)
        chat.column_changed.connect(self._column_changed)
        self.refresh()

    def set_pairs(self, number: int) -> None:
        """Rows a dataset would have."""
        none = "" if number else tr("Nothing was preferred yet.")
        set_enabled(self.save, not none, none)

    @Slot()
    def refresh(self) -> None:
        """Show how it stands."""
        blind = self._blind
        done, total = len(blind.mine()), blind.total
        self._far.setText(tr("{done} of {total}", done=f"{done:,}", total=f"{total:,}") if total else "")
        self._bar.set(done / total if total else 0.0)
        self._bar.setVisible(bool(total))
        why = blind.why_not()
        self.tally.setText(self._told() if done else (why or tr("Two answers without names: which is better?")))
        self.go.setVisible(not blind.is_on)
        set_enabled(self.go, not why, why)
        self._forget.setVisible(bool(done))

    def _told(self) -> str:
        """`support-zh preferred in 13, base in 3, tie in 2`."""
        counts = self._blind.tally()
        by_key = {one.key: one for one in self._chat.chat.columns[:2]}
        named = sorted((key for key in counts if key in by_key), key=lambda key: -counts[key])
        parts = []
        for place, key in enumerate(named):
            name = tr("the base") if key == BASE else title_of(by_key[key], "")
            parts.append(tr("{name} preferred in {n}" if not place else "{name} in {n}", name=name, n=counts[key]))
        parts.append(tr("tie in {n}", n=counts[TIE]))
        if counts[BAD]:
            parts.append(tr("both bad in {n}", n=counts[BAD]))
        return tr(", ").join(parts)

    @Slot()
    def _column_changed(self, *_what: object) -> None:
        self.refresh()

    def _ask_forget(self) -> None:
        ask_before(self, tr("Count anew?"), tr("The votes on these two are forgotten for good."), tr("Forget them"),
                   "blind.forget.yes", self._blind.forget)  # fmt: skip


class BlindPanel(QWidget):
    """Prompt, two answers, four verdicts; all by keyboard: Alt+1 to Alt+5."""

    def __init__(self, blind: BlindModel) -> None:
        super().__init__()
        self._blind = blind
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._prompt = AnswerText("blind.prompt", tr("Message"))
        strong = self._prompt.font()
        strong.setBold(True)
        self._prompt.setFont(strong)
        self.cards = {side: AnswerCard(f"blind.{side}", can_prefer=False) for side in SIDES}
        both = row(spacing=16)
        for side, title in zip(SIDES, (tr("Left answer"), tr("Right answer")), strict=True):
            inner = QWidget()
            inner.setLayout(column(self.cards[side], None))
            part = column(label(title, "card-title"), spacing=8)
            part.addWidget(scrolled(inner), 1)
            both.addLayout(part, 1)
        self._verdicts = QWidget()
        verdicts = FlowLayout(self._verdicts)
        every: tuple[tuple[Verdict, str], ...] = (
            ("left", tr("Left is better")),
            ("right", tr("Right is better")),
            ("tie", tr("Tie")),
            ("bad", tr("Both are bad")),
        )
        self.buttons = {
            verdict: button(text, on_click=partial(blind.vote, verdict), name=f"blind.vote.{verdict}")
            for verdict, text in every
        }
        for verdict, made in self.buttons.items():
            bind(self, f"local.chat.vote.{verdict}", made.click)
            verdicts.addWidget(made)
        self.again = button(tr("Ask once more"), on_click=blind.again, name="blind.again")
        self.skip = button(tr("Skip"), on_click=blind.skip, name="blind.skip")
        bind(self, "local.chat.vote.skip", self.skip.click)
        verdicts.addWidget(self.again)
        verdicts.addWidget(self.skip)
        self.over = button(tr("End blind test"), "quiet", "x", blind.end, "blind.end")
        verdicts.addWidget(self.over)
        layout = column(self._prompt, spacing=10)
        layout.addLayout(both, 1)
        layout.addWidget(self._verdicts)
        self.setLayout(layout)
        blind.changed.connect(self.refresh)
        blind.answer_changed.connect(self._show_side)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show the round there is."""
        blind = self._blind
        if blind.prompt:
            self._prompt.show_plain(blind.prompt)
        elif blind.mine():
            self._prompt.show_plain(tr("No test prompt is left: write one below, or end the test."))
        else:
            self._prompt.show_plain(tr("Write a prompt below, or give test prompts in Batch."))
        for side in SIDES:
            self._show_side(side)
        self.again.setVisible(blind.failed)
        set_enabled(self.skip, bool(blind.prompt), tr("No prompt was asked yet."))
        why = (
            tr("An answer could not be had: ask once more, or skip the prompt.")
            if blind.failed
            else tr("Both answers must be there.")
        )
        for made in self.buttons.values():
            set_enabled(made, blind.can_vote, why)

    @Slot(str)
    def _show_side(self, side: str) -> None:
        card = self.cards[side]
        said = self._blind.answers.get(side)
        card.show_answer(said, False, True)
        card.hide_account()
