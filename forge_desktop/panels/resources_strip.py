"""The four tiles over the list of runs: slots, load, the queue's wait, and money or memory, each with its course."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.states import LIVE, RunState
from forge_desktop.bridge.session import Session
from forge_desktop.models.queue_model import QueueModel
from forge_desktop.models.resource_history import ResourceHistory, gpus, load_of, memory_of
from forge_desktop.models.runs_model import RunsModel
from forge_desktop.models.spend import Spend, spend_today
from forge_desktop.panels.sparkline import Sparkline
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Elided, column, label, row
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import duration, money, size

SPEND_MS = 60_000


class Tile(Card):
    """A figure with its name, a line of explanation and its course."""

    def __init__(self, name: str, icon: str, title: str, colour: str) -> None:
        super().__init__(margins=(14, 10, 12, 10))
        self.setObjectName(name)
        self._picture = label()
        self.name = Elided(title, "label")
        self.value = label("—", "title")
        self.below = Elided("", "hint")
        self._spark = Sparkline(colour, low=0)
        self._spark.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._spark.setFixedSize(72, 40)
        self._spark.setAccessibleName("")
        self.set_icon(icon)
        head = row(self._picture, self.name, spacing=6)
        head.setStretch(1, 1)
        texts = column(spacing=2)
        texts.addLayout(head)
        texts.addWidget(self.value)
        texts.addWidget(self.below)
        layout = row(spacing=8)
        layout.addLayout(texts, 1)
        layout.addWidget(self._spark, 0, Qt.AlignmentFlag.AlignBottom)
        self.body.addLayout(layout)

    def set_icon(self, icon: str) -> None:
        """Another icon."""
        self._picture.setPixmap(icons.pixmap(icon, tokens().muted, 14))

    def say(self, title: str, value: str, below: str, course: list[float], high: float | None = None) -> None:
        """Show a figure."""
        self.name.set_text(title)
        self.value.setText(value)
        self.below.set_text(below)
        self._spark.set_scale(0, max(high or 0.0, *course, 1e-9) if course else None)
        self._spark.set_values(course)
        self.setAccessibleName(", ".join(part for part in (title, value, below) if part))


class ResourcesStrip(QWidget):
    """Follows the session's measurements, the list's counts and the queue."""

    def __init__(self, session: Session, runs: RunsModel, queue: QueueModel) -> None:
        super().__init__()
        t = tokens()
        self._session, self._runs, self._queue = session, runs, queue
        self._history = ResourceHistory.of(session)
        self._spend = Spend()
        self.slots = Tile("runs.tile.slots", "activity", tr("Slots in use"), t.series[0])
        self.load = Tile("runs.tile.load", "cpu", tr("Processor"), t.series[4])
        self.wait = Tile("runs.tile.wait", "clock", tr("Queue wait"), t.series[5])
        self.last = Tile("runs.tile.memory", "memory-stick", tr("Memory"), t.series[2])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        for tile in (self.slots, self.load, self.wait, self.last):
            layout.addWidget(tile, 1)
        self._history.changed.connect(self._show)
        runs.loaded.connect(self._show_slots)
        queue.loaded.connect(self._queue_loaded)
        session.online.connect(self._ask_spend)
        self._minute = QTimer(self, interval=SPEND_MS)
        self._minute.timeout.connect(self._ask_spend)
        self._minute.start()
        self._ask_spend()
        self._show()

    @Slot()
    def _ask_spend(self) -> None:
        self._session.ask(spend_today, self._got_spend, self._no_spend, owner=self)

    def _got_spend(self, spend: Spend) -> None:
        self._spend = spend
        self._runs.set_currency(spend.currency)
        if spend.priced:
            self._history.note("spend", spend.amount)
        self._show_last()

    def _no_spend(self, _error: ErrorBody) -> None:
        """The page's list says what is wrong; here the last figure stays."""

    @Slot()
    def _show(self) -> None:
        self._show_slots()
        self._show_load()
        self._show_wait()
        self._show_last()

    @Slot()
    def _show_slots(self) -> None:
        now, counts = self._history.now, self._runs.counts
        used, slots = (now.used.get("gpu", 0), now.slots.get("gpu", 0)) if now is not None else (0, 0)
        live, paused = sum(counts.get(state, 0) for state in LIVE), counts.get(RunState.PAUSED, 0)
        below = [count(live, "1 run at work", "{n} runs at work")]
        if paused:
            below.append(count(paused, "1 paused", "{n} paused"))
        value = tr("{used} of {slots}", used=used, slots=slots) if now is not None else "—"
        self.slots.say(tr("Slots in use"), value, " · ".join(below), self._history.trails["slots"].values, slots)

    def _show_load(self) -> None:
        now = self._history.now
        share = load_of(now) if now is not None else None
        if now is None or share is None:
            return
        keys = gpus(now)
        self.load.set_icon("gauge" if keys else "cpu")
        below = now.names.get(keys[0] if keys else "cpu", "")
        below = count(len(keys), "1 GPU", "{n} GPUs") if len(keys) > 1 else below
        title = tr("GPU utilisation") if keys else tr("Processor")
        self.load.say(title, f"{share:.0f}%", below, self._history.trails["load"].values, 100)

    @Slot()
    def _queue_loaded(self) -> None:
        self._history.note("wait", self._queue.wait or 0.0)

    def _show_wait(self) -> None:
        now, waiting = self._history.now, len(self._queue.entries)
        waiting = max(waiting, now.waiting if now is not None and not waiting else 0)
        wait = self._queue.wait
        trail = self._history.trails["wait"]
        value = f"≈ {duration(wait)}" if waiting and wait is not None else "—" if waiting else tr("None")
        below = count(waiting, "1 run waiting", "{n} runs waiting") if waiting else tr("nothing waits")
        self.wait.say(tr("Queue wait"), value, below, trail.values)

    def _show_last(self) -> None:
        if self._spend.priced:
            below = count(self._spend.runs, "1 run today", "{n} runs today")
            amount = money(self._spend.amount, self._spend.currency)
            self.last.set_icon("coins")
            self.last.say(tr("Spend today"), amount, below, self._history.trails["spend"].values)
            return
        now = self._history.now
        used, total = memory_of(now) if now is not None else (None, None)
        if now is None or used is None:
            return
        title = tr("GPU memory") if gpus(now) else tr("Memory")
        below = tr("of {limit}", limit=size(total)) if total else ""
        self.last.say(title, size(used), below, self._history.trails["memory"].values, total)
