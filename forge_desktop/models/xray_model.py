"""What a model makes of a version's rows: tokens with their fate, and the figures of all rows."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.data import DataSource
from engine.contract.data_format import TEACHES
from engine.contract.dataset_queries import Statistics, StatisticsAnswer, Xray, XrayAnswer
from engine.contract.errors import ErrorBody
from engine.contract.model import ModelConfig
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session

DEMO = ("demo", "bundled")
WAIT_MS = 200
PREFERENCE = "datasets.xray"
TOO_SLOW, MOST_TRIES = "query.too_slow", 4


class XrayModel(QObject):
    """Asks two helpers; answers to what has changed meanwhile are dropped."""

    changed = Signal()
    """The model, the row, a setting."""
    seen = Signal()
    """Rows came as tokens, or did not."""
    counted = Signal()
    """Figures came, or did not."""

    def __init__(self, session: Session, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._preferences = session, preferences
        kept = preferences.get(PREFERENCE)
        kept = kept if isinstance(kept, dict) else {}
        self.model = (str(kept.get("path", DEMO[0])), str(kept.get("hub", DEMO[1])))
        self.max_length = int(kept.get("max_length", 1024))
        self.answers_only = bool(kept.get("answers_only", True))
        self.template: str | None = None
        """Jinja text that is tried in place of the model's own."""
        self.source: DataSource | None = None
        self.format = ""
        self.row, self.rows = 0, 0
        self.answer: XrayAnswer | None = None
        self.figures: StatisticsAnswer | None = None
        self.error: ErrorBody | None = None
        self.figures_error: ErrorBody | None = None
        self.looking = self.counting = False
        self._looks = self._counts = 0
        self._slow = {"xray": 0, "figures": 0}
        """How often in a row a helper was not quick enough: a busy computer is asked again."""
        self.is_watched = {"xray": False, "figures": False}
        """What somebody looks at; nothing else is asked for."""
        self._soon = QTimer(self, singleShot=True, interval=WAIT_MS)
        self._soon.timeout.connect(self.ask)

    def show(self, name: str, version: str, form: str, rows: int) -> None:
        """Of this version."""
        self.source = DataSource(path=name, hub="library", version=version)
        self.format, self.rows, self.row = form, rows, 0
        self._forget()

    def watch(self, what: str, on: bool) -> None:
        """Somebody looks at the tokens (`xray`) or the figures (`figures`), or no longer."""
        self.is_watched[what] = on
        if on:
            self._soon.start(0)

    def set_model(self, path: str, hub: str) -> None:
        """Another model's tokenizer and template."""
        if (path, hub) != self.model and path:
            self.model = (path, hub)
            self._keep()

    def set_length(self, tokens: int) -> None:
        """Rows are cut there."""
        if tokens != self.max_length and tokens >= 8:
            self.max_length = tokens
            self._keep()

    def set_answers_only(self, on: bool) -> None:
        """Whether questions are learned too."""
        if on != self.answers_only:
            self.answers_only = on
            self._keep()

    def try_template(self, text: str | None) -> None:
        """Look through another template; None: the model's own again."""
        if text != self.template:
            self.template = text
            self._forget()

    def go(self, row: int) -> None:
        """Another row."""
        row = max(0, min(row, self.rows - 1))
        if row != self.row:
            self.row, self.answer = row, None
            self.changed.emit()
            self._soon.start()

    def _keep(self) -> None:
        self._preferences.set(PREFERENCE, {"path": self.model[0], "hub": self.model[1], "max_length": self.max_length,
                                           "answers_only": self.answers_only})  # fmt: skip
        self._forget()

    def _try_again(self, what: str, error: ErrorBody | None) -> bool:
        """Whether the question is asked once more: nothing was wrong with it but the time it took."""
        slow = error is not None and error.code == TOO_SLOW and self._slow[what] < MOST_TRIES
        self._slow[what] = self._slow[what] + 1 if slow else 0
        if slow:
            self._soon.start()
        return slow

    def _forget(self) -> None:
        self.answer = self.figures = self.error = self.figures_error = None
        self._looks += 1
        self._counts += 1
        self.looking = self.counting = False
        self.changed.emit()
        self._soon.start()

    @property
    def stage(self) -> str:
        """The stage whose eyes are used."""
        return "pretrain" if TEACHES.get(self.format) == "text" else "sft"

    @Slot()
    def ask(self) -> None:
        """Ask for what is looked at and not known."""
        if self.source is None:
            return
        common: dict[str, Any] = {
            "model": ModelConfig.model_validate({"path": self.model[0], "hub": self.model[1]}),
            "source": self.source,
            "stage": self.stage,
            "max_length": self.max_length,
            "assistant_only_loss": self.answers_only,
            "template": self.template,
        }
        if self.is_watched["xray"] and self.answer is None and not self.looking:
            self._look(Xray(**common, rows=[self.row]))
        if self.is_watched["figures"] and self.figures is None and not self.counting:
            self._count(Statistics(**common))

    def _look(self, asked: Xray) -> None:
        self._looks += 1
        number, self.looking, self.error = self._looks, True, None
        params = asked.model_dump(mode="json")

        def came(found: dict[str, Any] | None, error: ErrorBody | None = None) -> None:
            if number == self._looks:
                self.looking = False
                if self._try_again("xray", error):
                    return
                self.error = error
                self.answer = XrayAnswer.model_validate(found) if found is not None else None
                self.seen.emit()
                if self.answer is not None and asked.rows != [self.row]:
                    self.answer = None
                    self.ask()

        self._session.ask(lambda it: it.query("xray", params), came, lambda error: came(None, error), owner=self)

    def _count(self, asked: Statistics) -> None:
        self._counts += 1
        number, self.counting, self.figures_error = self._counts, True, None
        params = asked.model_dump(mode="json")

        def came(found: dict[str, Any] | None, error: ErrorBody | None = None) -> None:
            if number == self._counts:
                self.counting = False
                if self._try_again("figures", error):
                    return
                self.figures_error = error
                self.figures = StatisticsAnswer.model_validate(found) if found is not None else None
                self.counted.emit()

        self._session.ask(lambda it: it.query("data_statistics", params), came, lambda e: came(None, e), owner=self)


def cut_share(lengths: list[int], limit: int) -> tuple[float, float]:
    """Of rows of these lengths: the share that is cut at a limit, and the share of all tokens that is lost."""
    if not lengths:
        return 0.0, 0.0
    over = [length - limit for length in lengths if length > limit]
    return len(over) / len(lengths), sum(over) / max(1, sum(lengths))


def buckets(lengths: list[int], number: int, top: int) -> list[int]:
    """How many of the lengths fall into each of so many equal buckets up to `top`; longer ones into the last."""
    found = [0] * number
    for length in lengths:
        found[min(number - 1, length * number // max(1, top))] += 1
    return found
