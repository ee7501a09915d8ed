"""Many prompts, each put to every column: some at a time, until all are answered or nobody wants more."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal

from engine.client.serving import Piece
from engine.contract.csv_cells import harmless
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.chat_line import ChatLine, Wish
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.chat_instance import InstanceModel
from forge_desktop.models.chat_model import ChatModel
from forge_desktop.models.chat_prompts import KEPT, kept_prompts
from forge_desktop.models.chat_turns import AUTO, BASE, Answer, Column
from forge_desktop.theme.language import error_text, tr

AT_ONCE = 4


@dataclass
class Row:
    """A prompt and what each column made of it."""

    prompt: str
    answers: dict[str, Answer] = field(default_factory=dict)


class BatchModel(QObject):
    """The set of prompts is kept; answers last as long as the page, and are exported."""

    prompts_changed = Signal()
    reset = Signal()
    """Other rows or columns."""
    row_changed = Signal(int)
    changed = Signal()
    """Progress, running or not."""

    def __init__(
        self, session: Session, preferences: Preferences, chat: ChatModel, instance: InstanceModel, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session, self._preferences, self._chat, self._instance = session, preferences, chat, instance
        self.line = ChatLine(session, self)
        self.prompts = kept_prompts(preferences)
        self.columns: list[Column] = []
        self.rows: list[Row] = []
        self.running = False
        self._waiting: list[tuple[int, Column]] = []
        self._going = 0

    def set_prompts(self, prompts: list[str]) -> None:
        """Another set."""
        if prompts != self.prompts:
            self.prompts = prompts
            self._preferences.set(KEPT, prompts)
            self.prompts_changed.emit()

    def why_not(self) -> str:
        """Why it cannot begin; empty when it can."""
        if not self._session.is_online:
            return tr("The job controller does not answer.")
        if self._instance.state != "ready":
            return tr("No model is loaded.")
        return "" if self.prompts else tr("Write or open some prompts first.")

    def start(self) -> None:
        """Ask all of it, from the first prompt on."""
        if self.why_not() or self.running:
            return
        self.columns = [Column(**vars(one)) for one in self._chat.chat.columns]
        self.rows = [Row(prompt) for prompt in self.prompts]
        self._waiting = [(place, column) for place in range(len(self.rows)) for column in self.columns]
        self.running, self._going = True, 0
        self.reset.emit()
        self._next()

    def cancel(self) -> None:
        """No more; what was answered stays."""
        self._waiting = []
        self.line.stop_all()
        self.running = self._going > 0
        self.changed.emit()

    @property
    def done(self) -> int:
        """Answers that ended, whichever way."""
        return sum(one.state != "coming" for row in self.rows for one in row.answers.values())

    @property
    def failed(self) -> int:
        """Answers that could not be had."""
        return sum(one.state == "failed" for row in self.rows for one in row.answers.values())

    @property
    def total(self) -> int:
        """All answers there are to be."""
        return len(self.rows) * len(self.columns)

    def _next(self) -> None:
        while self._waiting and self._going < AT_ONCE:
            self._begin(*self._waiting.pop(0))
        if not self._waiting and not self._going:
            self.running = False
        self.changed.emit()

    def _begin(self, place: int, column: Column) -> None:
        row, chat = self.rows[place], self._chat.chat
        system = [{"role": "system", "content": chat.system}] if chat.system.strip() else []
        body = chat.body(column, self._instance.base, [*system, {"role": "user", "content": row.prompt}], False)
        answer = row.answers[column.id] = Answer(column.key)
        self._going += 1

        def heard(pieces: list[Piece], first: float | None) -> None:
            answer.take(pieces, first)

        def ended(error: ErrorBody | None) -> None:
            answer.state = "failed" if error is not None else "stopped" if wish.stop.is_set() else "done"
            answer.error = error
            self._going -= 1
            self.row_changed.emit(place)
            self._next()

        wish = Wish(self._instance.uid, body, heard, ended)
        self.line.begin(wish)

    def names(self) -> list[str]:
        """Titles of the columns, each another."""
        found: list[str] = []
        for one in self.columns:
            title = title_of(one, self._instance.base)
            found.append(title if title not in found else f"{title} ({len(found) + 1})")
        return found

    def as_csv(self) -> bytes:
        """The table for a spreadsheet."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["prompt", *map(harmless, self.names())])
        for row in self.rows:
            writer.writerow([harmless(row.prompt), *(harmless(cell_of(row.answers.get(c.id))) for c in self.columns)])
        return out.getvalue().encode("utf-8-sig")

    def as_jsonl(self) -> bytes:
        """A row a line, errors apart from answers."""
        lines = []
        for row in self.rows:
            named = [(name, row.answers.get(one.id)) for name, one in zip(self.names(), self.columns, strict=True)]
            answers = {
                name: said.text for name, said in named if said is not None and said.state in ("done", "stopped")
            }
            errors = {name: cell_of(said) for name, said in named if said is not None and said.state == "failed"}
            whole = {"prompt": row.prompt, "answers": answers} | ({"errors": errors} if errors else {})
            lines.append(json.dumps(whole, ensure_ascii=False) + "\n")
        return "".join(lines).encode()

    def leave(self) -> None:
        """Nobody looks any more."""
        self._waiting = []
        self.line.hang_up()
        self.running = False


def cell_of(said: Answer | None) -> str:
    """What a table shows of an answer."""
    if said is None:
        return ""
    if said.error is not None:
        return error_text(said.error)
    return said.text


def title_of(column: Column, base: str) -> str:
    """What a column is called in tables and files."""
    if column.key == BASE:
        return base or tr("Base model")
    return tr("Chosen by the router") if column.key == AUTO else column.name
