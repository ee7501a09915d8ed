"""A blind test: two answers without names in random order, what people prefer, and what that adds up to."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal, Slot

from engine.client.serving import Piece
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.chat_line import ChatLine, Wish
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.chat_instance import InstanceModel
from forge_desktop.models.chat_model import ChatModel
from forge_desktop.models.chat_prompts import kept_prompts
from forge_desktop.models.chat_turns import Answer, Column, pair
from forge_desktop.theme.language import tr

KEPT = "playground.votes"
Verdict = Literal["left", "right", "tie", "bad"]
TIE, BAD = "=tie", "=bad"
"""Verdicts that name no model; no adapter's name has such a sign."""
SIDES = ("left", "right")


@dataclass(frozen=True)
class Vote:
    """One round."""

    prompt: str
    system: str
    answers: dict[str, str]
    """By who answered."""
    verdict: str
    """Who was preferred, `=tie` or `=bad`."""

    def row(self) -> dict[str, Any] | None:
        """As a row of a preference dataset; None where nothing was preferred."""
        chosen = self.answers.get(self.verdict)
        rejected = next((text for by, text in self.answers.items() if by != self.verdict), None)
        if not chosen or not rejected or chosen == rejected:
            return None
        system = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return pair([*system, {"role": "user", "content": self.prompt}], chosen, rejected)


class BlindModel(QObject):
    """The first two columns against each other. Every vote is kept at once."""

    changed = Signal()
    answer_changed = Signal(str)
    """Side."""

    def __init__(
        self, session: Session, preferences: Preferences, chat: ChatModel, instance: InstanceModel, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session, self._preferences, self._chat, self._instance = session, preferences, chat, instance
        self.line = ChatLine(session, self)
        self.votes: list[Vote] = _read(preferences.get(KEPT))
        self.is_on = False
        self.prompt = ""
        self.sides: dict[str, Column] = {}
        self.answers: dict[str, Answer] = {}
        self._skipped: set[str] = set()
        """Prompts passed over in this test."""
        self._chance = random.SystemRandom()
        chat.column_changed.connect(self._who_changed)
        chat.columns_changed.connect(self._who_changed)

    def why_not(self) -> str:
        """Why no test can be made; empty when it can."""
        if len(self._chat.chat.columns) < 2 or self._chat.chat.mode != "compare":
            return tr("A blind test compares two columns.")
        first, second = self._chat.chat.columns[:2]
        return tr("Both columns answer with the same model.") if first.key == second.key else ""

    def left(self) -> list[str]:
        """Prompts of the set that nobody has judged yet, of these two."""
        over = {vote.prompt for vote in self.mine()} | self._skipped
        return [prompt for prompt in kept_prompts(self._preferences) if prompt not in over]

    def mine(self) -> list[Vote]:
        """Votes on the two that answer now."""
        pair_ = {one.key for one in self._chat.chat.columns[:2]}
        return [vote for vote in self.votes if set(vote.answers) == pair_]

    @property
    def total(self) -> int:
        """Rounds there are to be: those made, and the prompts that are left."""
        return len(self.mine()) + len(self.left())

    def tally(self) -> dict[str, int]:
        """Votes by who was preferred."""
        found = {one.key: 0 for one in self._chat.chat.columns[:2]} | {TIE: 0, BAD: 0}
        for vote in self.mine():
            found[vote.verdict] = found.get(vote.verdict, 0) + 1
        return found

    def begin(self) -> None:
        """Begin the test, with the next prompt of the set if there is one."""
        if not self.why_not():
            self._chat.stop_all()
            self.is_on = True
            self._go_on()

    def end(self) -> None:
        """Back to the chat."""
        self.line.hang_up()
        self.is_on, self.prompt, self.sides, self.answers = False, "", {}, {}
        self._skipped.clear()
        self.changed.emit()

    @Slot()
    def _who_changed(self, *_what: object) -> None:
        """A test ends where no two are left to compare."""
        if self.is_on and self.why_not():
            self.end()

    def _go_on(self) -> None:
        waiting = self.left()
        self.prompt, self.sides, self.answers = "", {}, {}
        self.changed.emit()
        if waiting:
            self.ask(waiting[0])

    def ask(self, prompt: str) -> None:
        """Put a prompt to both, in an order nobody knows."""
        if not self.is_on or self._instance.state != "ready" or not self._session.is_online:
            return
        self.line.hang_up()
        both = [replace(one) for one in self._chat.chat.columns[:2]]  # who is asked now, whoever answers there later
        self._chance.shuffle(both)
        self.prompt, self.sides = prompt, dict(zip(SIDES, both, strict=True))
        self.answers = {}
        system = self._chat.chat.system
        messages = [{"role": "system", "content": system}] if system.strip() else []
        messages.append({"role": "user", "content": prompt})
        for side, column in self.sides.items():
            self.answers[side] = Answer(column.key)
            self._ask_side(side, column, messages)
        self.changed.emit()

    def _ask_side(self, side: str, column: Column, messages: list[dict[str, str]]) -> None:
        answer = self.answers[side]

        def heard(pieces: list[Piece], first: float | None) -> None:
            answer.take(pieces, first)
            self.answer_changed.emit(side)

        def ended(error: ErrorBody | None) -> None:
            answer.state, answer.error = ("failed", error) if error is not None else ("done", None)
            self.answer_changed.emit(side)
            self.changed.emit()

        body = self._chat.chat.body(column, self._instance.base, messages, False)
        self.line.begin(Wish(self._instance.uid, body, heard, ended))

    @property
    def can_vote(self) -> bool:
        """Both answers are there."""
        return len(self.answers) == 2 and all(one.state == "done" for one in self.answers.values())

    def vote(self, verdict: Verdict) -> None:
        """Keep what was preferred, and go on."""
        if not self.can_vote:
            return
        said = self.sides[verdict].key if verdict in self.sides else TIE if verdict == "tie" else BAD
        answers = {column.key: self.answers[side].text for side, column in self.sides.items()}
        self.votes.append(Vote(self.prompt, self._chat.chat.system, answers, said))
        self._preferences.set(KEPT, [asdict(one) for one in self.votes])
        self._go_on()

    @property
    def failed(self) -> bool:
        """An answer could not be had."""
        return any(one.state == "failed" for one in self.answers.values())

    def again(self) -> None:
        """Put the same prompt to both once more."""
        if self.prompt:
            self.ask(self.prompt)

    def skip(self) -> None:
        """Go on without a verdict; the prompt comes again in the next test."""
        if self.is_on and self.prompt:
            self.line.hang_up()
            self._skipped.add(self.prompt)
            self._go_on()

    def forget(self) -> None:
        """Begin the count of these two anew."""
        gone = self.mine()
        self.votes = [vote for vote in self.votes if vote not in gone]
        self._preferences.set(KEPT, [asdict(one) for one in self.votes])
        self.changed.emit()

    def rows(self) -> list[dict[str, Any]]:
        """Everything that was preferred, as rows of a preference dataset."""
        return [row for vote in self.votes if (row := vote.row()) is not None]


def _read(stored: object) -> list[Vote]:
    found = []
    for one in stored if isinstance(stored, list) else []:
        try:
            answers = {str(by): str(text) for by, text in one["answers"].items()}
            found.append(Vote(str(one["prompt"]), str(one["system"]), answers, str(one["verdict"])))
        except (KeyError, TypeError, AttributeError):
            continue
    return found
