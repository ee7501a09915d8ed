"""A chat that goes on: asking every column, stopping, asking again, editing, and keeping all of it."""

from __future__ import annotations

import json
from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.client.serving import Piece, Stop
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.chat_line import ChatLine, Wish
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.chat_instance import InstanceModel
from forge_desktop.models.chat_turns import (
    MOST_COLUMNS,
    Answer,
    Column,
    Mode,
    Sampling,
    Turn,
    from_plain,
    to_plain,
)
from forge_desktop.theme.language import tr

KEPT = "playground.chat"
COUNT_MS = 400
GONE = "serve.model"
"""Whoever was asked is not there: somebody let the adapter go elsewhere."""
MOST_KEPT = 200
"""Turns that are kept between starts."""


class ChatModel(QObject):
    """What the columns show. All of it is kept among the preferences as it happens."""

    columns_changed = Signal()
    """Another number of columns, another mode, other turns: everything is to be shown anew."""
    column_changed = Signal(str)
    """Another adapter answers in a column."""
    answer_changed = Signal(int, str)
    """Turn and column."""
    preferred_changed = Signal()
    busy_changed = Signal()
    counted = Signal()
    """How much of the context is used."""

    def __init__(
        self, session: Session, preferences: Preferences, instance: InstanceModel, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._preferences, self.instance = session, preferences, instance
        self.chat = from_plain(preferences.get(KEPT))
        self.line = ChatLine(session, self)
        self.chances = bool(preferences.get("playground.chances", False))
        self.used: tuple[int, int] | None = None
        self.draft = str(preferences.get("playground.draft", "") or "")
        self._coming: dict[tuple[int, str], Stop] = {}
        self._kept: dict[str, Answer] = {}
        """Whole answers by what was asked of whom, so that the same checkpoint need not be asked twice."""
        self._was_ready = False
        self._count_soon = QTimer(self, singleShot=True, interval=COUNT_MS)
        self._count_soon.timeout.connect(self._count)
        instance.changed.connect(self._instance_changed)
        instance.known.connect(self._load_again)
        session.online.connect(self._line_changed)
        session.offline.connect(self._line_changed)

    # Asking

    def why_not(self) -> str:
        """Why nothing can be sent now; empty when it can."""
        if not self._session.is_online:
            return tr("The job controller does not answer.")
        if self.instance.state != "ready":
            return tr("No model is loaded.")
        return tr("An answer is still coming.") if self._coming else ""

    @property
    def is_busy(self) -> bool:
        """Answers are coming."""
        return bool(self._coming)

    def send(self, text: str) -> None:
        """Ask every column."""
        if not text.strip() or self.why_not():
            return
        self.chat.turns.append(Turn(text.strip()))
        self.set_draft("")
        self.columns_changed.emit()
        for column in self.chat.shown():
            self.ask(len(self.chat.turns) - 1, column)

    def ask(self, place: int, column: Column, keep: bool = False) -> None:
        """Have one column answer a turn (again); with `keep` an answer it gave to the same before is taken."""
        self.stop(place, column.id)
        messages = self.chat.messages(column.id, place)
        body = self.chat.body(column, self.instance.base, messages, self.chances)
        key = json.dumps(body, ensure_ascii=False, sort_keys=True)
        said = self._kept.get(key) if keep else None
        answer = replace(said, by=column.key, preferred=False) if said is not None else Answer(column.key)
        self.chat.turns[place].answers[column.id] = answer
        if said is None:
            self._begin(place, column.id, answer, Wish(self.instance.uid, body, _nothing, _nothing_ended), key)
        self.answer_changed.emit(place, column.id)
        self.preferred_changed.emit()
        self.keep()

    def _begin(self, place: int, column: str, answer: Answer, wish: Wish, key: str) -> None:
        mark = (place, column)

        def heard(pieces: list[Piece], first: float | None) -> None:
            answer.take(pieces, first)
            self._show(mark, answer)

        def ended(error: ErrorBody | None) -> None:
            if answer.state == "coming":
                answer.state = "failed" if error is not None else "stopped" if wish.stop.is_set() else "done"
                answer.error = error
            if answer.state == "done":
                self._kept[key] = answer
            if self._coming.get(mark) is wish.stop:
                del self._coming[mark]
            if error is not None and error.code == GONE:
                self.instance.refresh()
            self._show(mark, answer)
            self.keep()
            self.busy_changed.emit()
            self._count_soon.start()

        wish.heard, wish.ended = heard, ended
        self._coming[mark] = self.line.begin(wish)
        self.busy_changed.emit()

    def _show(self, mark: tuple[int, str], answer: Answer) -> None:
        """Tell of it, unless another answer took its place meanwhile."""
        place, column = mark
        if place < len(self.chat.turns) and self.chat.turns[place].answers.get(column) is answer:
            self.answer_changed.emit(place, column)

    def stop(self, place: int, column: str) -> None:
        """End one answer; what came stays."""
        going = self._coming.pop((place, column), None)
        if going is not None:
            going.set()
            said = self.chat.turns[place].answers.get(column)
            if said is not None and said.state == "coming":
                said.state = "stopped"
            self.answer_changed.emit(place, column)
            self.busy_changed.emit()

    def stop_all(self) -> None:
        """End every answer."""
        for place, column in list(self._coming):
            self.stop(place, column)

    def regenerate(self, place: int, column: str) -> None:
        """Ask one column again; what it was asked later stays as it is."""
        found = self.column(column)
        if found is not None and self._can_ask():
            self.ask(place, found)

    def edit(self, place: int, text: str) -> None:
        """Write an earlier message otherwise: everything after it goes, and every column is asked anew."""
        if not text.strip() or not self._can_ask():
            return
        self.stop_all()
        del self.chat.turns[place:]
        self.send(text)

    def _can_ask(self) -> bool:
        return self._session.is_online and self.instance.state == "ready"

    def ask_last(self, column: Column) -> None:
        """Ask the newest question again, of a column that answers otherwise now."""
        if self.chat.turns and self._can_ask():
            self.ask(len(self.chat.turns) - 1, column, keep=True)

    # Columns

    def column(self, key: str) -> Column | None:
        """A column by its id."""
        return next((one for one in self.chat.columns if one.id == key), None)

    def add_column(self) -> None:
        """One more, up to four."""
        if len(self.chat.columns) < MOST_COLUMNS:
            taken = {one.id for one in self.chat.columns}
            self.chat.columns.append(Column(next(str(n) for n in range(1, 9) if str(n) not in taken)))
            self._all_changed()

    def remove_column(self, key: str) -> None:
        """One fewer, with what it answered."""
        if len(self.chat.columns) > 1:
            for place, going in list(self._coming):
                if going == key:
                    self.stop(place, going)
            self.chat.columns = [one for one in self.chat.columns if one.id != key]
            for turn in self.chat.turns:
                turn.answers.pop(key, None)
            self._all_changed()

    def set_answerer(self, key: str, change: Column) -> None:
        """Somebody else answers in a column from now on; its past stays."""
        found = self.column(key)
        if found is not None:
            vars(found).update({**vars(change), "id": key})
            self.column_changed.emit(key)
            self.keep()
            self._count_soon.start()

    def set_mode(self, mode: Mode) -> None:
        """Compare, one column, or many prompts."""
        if mode != self.chat.mode:
            self.stop_all()
            self.chat.mode = mode
            if mode == "compare" and len(self.chat.columns) == 1:
                self.add_column()
            self._all_changed()

    def clear(self) -> None:
        """A new chat; who answers and how stays."""
        self.stop_all()
        self.chat.turns = []
        self._all_changed()

    def prefer(self, place: int, column: str) -> None:
        """Of a turn's answers this one is the better; a second time: no longer."""
        answers = self.chat.turns[place].answers
        wanted = not answers[column].preferred
        for key, said in answers.items():
            said.preferred = wanted and key == column
            self.answer_changed.emit(place, key)
        self.preferred_changed.emit()
        self.keep()

    # Settings

    def set_sampling(self, **values: float | int | None) -> None:
        """Other values, each within its bounds."""
        self.chat.sampling = Sampling.model_validate({**self.chat.sampling.model_dump(), **values})
        self.keep()

    def set_system(self, text: str) -> None:
        """What every chat begins with."""
        self.chat.system = text
        self.keep()
        self._count_soon.start()

    def set_chances(self, on: bool) -> None:
        """Ask how likely each token was from now on."""
        self.chances = on
        self._preferences.set("playground.chances", on)
        for place, turn in enumerate(self.chat.turns):
            for column in turn.answers:
                self.answer_changed.emit(place, column)

    def set_draft(self, text: str) -> None:
        """What is typed and not sent yet."""
        self.draft = text
        self._preferences.set("playground.draft", text)

    def keep(self) -> None:
        """Remember all of it."""
        kept = to_plain(self.chat)
        kept["turns"] = kept["turns"][-MOST_KEPT:]
        self._preferences.set(KEPT, kept)

    def _all_changed(self) -> None:
        self.keep()
        self.columns_changed.emit()
        self.busy_changed.emit()
        self._count_soon.start()

    @Slot()
    def _line_changed(self, *_why: object) -> None:
        """What can be sent is another now."""
        self.busy_changed.emit()

    @Slot()
    def _load_again(self) -> None:
        """A chat goes on with the adapters it had."""
        for name in {one.name for one in self.chat.columns if one.name}:
            self.instance.load_again(name)

    @Slot()
    def _instance_changed(self) -> None:
        ready = self.instance.state == "ready"
        if ready and not self._was_ready:  # news of its run come every second, and each count asks it
            self._count_soon.start()
        elif not ready:
            self.used = None
            self.counted.emit()
        self._was_ready = ready
        self.busy_changed.emit()

    @Slot()
    def _count(self) -> None:
        """How much of the context the longest column takes."""
        if self.instance.state != "ready" or not self._session.is_online:
            return
        turns = len(self.chat.turns)
        every = [self.chat.messages(one.id, turns) for one in self.chat.shown()]
        messages = max(every, key=lambda found: sum(len(one["content"]) for one in found), default=[])
        if not messages:
            self.used = (0, self.instance.status.context) if self.instance.status is not None else None
            self.counted.emit()
            return
        uid = self.instance.uid
        self._session.ask(
            lambda backend: backend.count_tokens(uid, messages), self._counted, lambda _error: None, owner=self
        )

    def _counted(self, used: tuple[int, int]) -> None:
        self.used = used
        self.counted.emit()

    def leave(self) -> None:
        """Nobody looks any more: what comes is no longer waited for."""
        for (place, column), _stop in self._coming.items():
            said = self.chat.turns[place].answers.get(column)
            if said is not None and said.state == "coming":
                said.state = "stopped"
        self._coming.clear()
        self.line.hang_up()
        self.keep()


def _nothing(_pieces: list[Piece], _first: float | None) -> None:
    """Replaced before anything comes."""


def _nothing_ended(_error: ErrorBody | None) -> None:
    """Replaced before anything comes."""
