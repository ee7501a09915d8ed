"""What the palette offers for what was typed: commands, and runs that the controller finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal, Slot

from engine.contract.api import RunPage, RunSummary
from engine.contract.states import RunState
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.commands import Command, Commands, keys_text
from forge_desktop.models.fuzzy import Match, match
from forge_desktop.theme.language import language, sentences, tr, word

Index = QModelIndex | QPersistentModelIndex
OfferRole = int(Qt.ItemDataRole.UserRole) + 1
ASK_AFTER_MS = 150
LEAST_LETTERS, RUNS_SHOWN, RECENT_KEPT = 2, 6, 8
RECENT_BONUS, IMPOSSIBLE, HIDDEN_WORD = 6.0, -30.0, -6.0


@dataclass(frozen=True)
class Offer:
    """One line of the palette."""

    key: str
    text: str
    do: Callable[[], object]
    icon: str = "arrow-right"
    group: str = ""
    detail: str = ""
    keys: str = ""
    why_not: str = ""
    address: str = ""
    """Of a run."""
    places: frozenset[int] = frozenset()
    detail_places: frozenset[int] = frozenset()


class PaletteModel(QAbstractListModel):
    """Lines for a text; runs are asked for a moment after the last letter, off the window's thread."""

    offered = Signal()

    def __init__(
        self,
        commands: Commands,
        session: Session,
        preferences: Preferences,
        go: Callable[[str], object],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._commands, self._session, self._preferences, self._go = commands, session, preferences, go
        self._typed = ""
        self._runs: list[RunSummary] = []
        self._asked = 0
        self.searching = False
        self.offers: list[Offer] = []
        self._soon = QTimer(self, singleShot=True, interval=ASK_AFTER_MS)
        self._soon.timeout.connect(self._ask)
        self._fill()

    @property
    def recent(self) -> list[dict[str, str]]:
        """What was chosen lately, the latest first."""
        found = self._preferences.get("palette.recent", [])
        return [one for one in found if isinstance(one, dict) and isinstance(one.get("key"), str)]

    @Slot(str)
    def set_text(self, text: str) -> None:
        """Offer what fits a text."""
        self._typed = text.strip()
        self._asked += 1
        self._runs = []
        self.searching = len(self._typed) >= LEAST_LETTERS
        if self.searching:
            self._soon.start()
        else:
            self._soon.stop()
        self._fill()

    def choose(self, offer: Offer) -> None:
        """Remember what was chosen."""
        chosen = {"key": offer.key}
        if offer.address:
            chosen |= {"name": offer.text, "address": offer.address}
        kept = [one for one in self.recent if one["key"] != offer.key]
        self._preferences.set("palette.recent", [chosen, *kept][:RECENT_KEPT])

    @Slot()
    def _ask(self) -> None:
        number, typed = self._asked, self._typed
        self._session.ask(
            lambda backend: backend.runs((), typed, 0, RUNS_SHOWN),
            lambda page: self._got(number, page),
            lambda _error: self._got(number, None),
            owner=self,
        )

    def _got(self, number: int, page: RunPage | None) -> None:
        if number != self._asked:
            return
        self.searching = False
        self._runs = list(page.runs) if page is not None else []
        self._fill()

    def _fill(self) -> None:
        self.beginResetModel()
        self.offers = self._found() if self._typed else self._usual()
        self.endResetModel()
        self.offered.emit()

    def _listed(self) -> list[Command]:
        return [command for command in self._commands if command.entry.listed]

    def _usual(self) -> list[Offer]:
        """Nothing typed: what was chosen lately, then everything that can be done now."""
        lines: list[Offer] = []
        for one in self.recent:
            command = self._commands.get(one["key"])
            if command is not None and command.why_not() == "":
                lines.append(_offer(command, "", None))
            elif one.get("name") and one.get("address"):
                lines.append(self._run_offer(one["key"][4:], one["name"], one["address"], ""))
        known = {line.key for line in lines}
        every = [(command, command.why_not()) for command in self._listed() if command.entry.key not in known]
        return lines + [_offer(command, "", None) for command, why in every if why == ""]

    def _found(self) -> list[Offer]:
        recent = [one["key"] for one in self.recent]
        scored: list[tuple[float, Offer]] = []
        for command in self._listed():
            why = command.why_not()
            found = None if why is None else _fits(self._typed, command)
            if why is not None and found is not None:
                score, own, other = found
                score += RECENT_BONUS if command.entry.key in recent else 0.0
                scored.append((score + (IMPOSSIBLE if why else 0.0), _offer(command, why, own, other)))
        scored.sort(key=lambda one: -one[0])
        return [offer for _score, offer in scored] + [self._of_run(run) for run in self._runs]

    def _of_run(self, run: RunSummary) -> Offer:
        address = f"new/{run.uid}" if run.state is RunState.DRAFT else f"run/{run.uid}"
        detail = " · ".join(filter(None, (word("state", run.state), run.model, run.uid)))
        return self._run_offer(run.uid, run.name, address, detail)

    def _run_offer(self, uid: str, name: str, address: str, detail: str) -> Offer:
        own, other = match(self._typed, name), match(self._typed, detail)
        return Offer(
            f"run:{uid}", name, lambda: self._go(address), "activity", tr("Open run"), detail,
            address=address, places=own.places if own else frozenset(),
            detail_places=other.places if other else frozenset(),
        )  # fmt: skip

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.offers)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if not index.isValid() or index.row() >= len(self.offers):
            return None
        offer = self.offers[index.row()]
        if role == OfferRole:
            return offer
        if role == Qt.ItemDataRole.DisplayRole:
            return offer.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return sentences(*(f"{part}." for part in (offer.text, offer.detail, offer.keys, offer.why_not) if part))
        return offer.why_not or None if role == Qt.ItemDataRole.ToolTipRole else None


def _fits(typed: str, command: Command) -> tuple[float, Match | None, Match | None] | None:
    """How well a command fits by its name, else by its English name, else by its other words."""
    own = match(typed, command.text)
    if own is not None:
        return own.score, own, None
    english = match(typed, command.entry.text) if language() != "en" else None
    if english is not None:
        return english.score + HIDDEN_WORD, None, english
    hidden = match(typed, f"{command.entry.text} {command.entry.words} {command.group}")
    return (hidden.score + 2 * HIDDEN_WORD, None, None) if hidden is not None else None


def _offer(command: Command, why_not: str, own: Match | None, english: Match | None = None) -> Offer:
    entry = command.entry
    return Offer(
        entry.key, command.text, command.do, entry.icon, command.group, entry.text if english else "",
        keys_text(entry.keys[0]) if entry.keys else "", why_not,
        places=own.places if own else frozenset(), detail_places=english.places if english else frozenset(),
    )  # fmt: skip
