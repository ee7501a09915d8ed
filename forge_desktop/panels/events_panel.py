"""The timeline of a run: states, plans, notes, scores and saved files, newest first."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QVBoxLayout, QWidget

from engine.contract.api import EventInfo
from engine.contract.errors import ErrorBody
from engine.contract.states import RunState
from forge_desktop.models.run_model import RunModel
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Segments, button, clear, column, label, line, row, scrolled
from forge_desktop.theme.language import count, explain, note_text, sentences, tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import ago, count_of, duration, figure, moment, percent, size
from forge_desktop.theme.slices import Slices

SHOWN = 60
"""Rows that are made at first; older ones when somebody asks for them."""
AT_ONCE = 12
"""Rows made in one turn of the event loop."""
KINDS: tuple[tuple[str, str], ...] = (
    ("all", "All"),
    ("course", "Course"),
    ("results", "Results"),
    ("checkpoints", "Checkpoints"),
    ("problems", "Warnings and errors"),
)
ICONS = {
    "state": "activity",
    "phase": "circle-dot",
    "planned": "file-text",
    "note": "info",
    "guard": "shield",
    "score": "target",
    "artifact": "box",
    "validation": "gauge",
    "checkpoint": "save",
    "checkpoint_removed": "trash-2",
    "resumed": "rotate-ccw",
    "started": "play",
    "first_step": "zap",
    "memory_forecast": "gauge",
    "memory": "gauge",
}
GROUPS = {
    "results": {"score", "artifact", "validation"},
    "checkpoints": {"checkpoint", "checkpoint_removed", "resumed"},
    "course": {
        "state",
        "phase",
        "planned",
        "started",
        "first_step",
        "resumed",
        "note",
        "guard",
        "memory_forecast",
        "memory",
    },
}
WARNING, ERROR = 30, 40
NOBODY = ("", "worker", "controller")


def belongs(event: EventInfo, kind: str) -> bool:
    """Whether an event is of a kind one can filter by."""
    if kind == "problems":
        return event.level >= WARNING or _failed(event)
    return kind == "all" or event.kind in GROUPS.get(kind, set())


def _failed(event: EventInfo) -> bool:
    return event.kind == "state" and str(event.body.get("to") or event.body.get("state", "")) == RunState.FAILED


class EventsPanel(QWidget):
    """What happened, when, and who did it."""

    def __init__(self, model: RunModel) -> None:
        super().__init__()
        self.setObjectName("run.events")
        self._model = model
        self._most = SHOWN
        self._shown = ""
        self._cursors: list[int] = []
        self._ages: list[tuple[QLabel, float]] = []
        self._slices = Slices(self)
        self._filter = Segments([(key, tr(text)) for key, text in KINDS], "all", name="run.events.kind")
        self._filter.chosen.connect(self._choose)
        self._count = label("", "hint")
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        self._older = button(tr("Show older ones"), "link", on_click=self._show_older, name="run.events.older")
        card = Card()
        card.body.addLayout(self._list)
        card.body.addLayout(row(self._older, None))
        inner = QWidget()
        inner.setLayout(column(card, None))
        layout = column(spacing=10)
        layout.addLayout(row(self._filter, None, self._count))
        layout.addWidget(scrolled(inner), 1)
        self.setLayout(layout)
        model.changed.connect(self._refresh)
        self._tick = QTimer(self, interval=30_000)
        self._tick.timeout.connect(self._retime)
        self._tick.start()
        self._refresh()

    @property
    def is_filled(self) -> bool:
        """Every row that is to be seen is made."""
        return self._slices.is_done

    @Slot(str)
    def _choose(self, _kind: str) -> None:
        self._most = SHOWN
        self._again()

    def _show_older(self) -> None:
        self._most += SHOWN
        self._again()

    @Slot()
    def _again(self) -> None:
        self._cursors, self._shown = [], ""
        self._refresh()

    @Slot()
    def _retime(self) -> None:
        """Ages grow."""
        for shown, at in self._ages:
            shown.setText(ago(at))

    @Slot()
    def _refresh(self) -> None:
        detail = self._model.detail
        kind = self._filter.value()
        found = [(event, describe(event)) for event in (detail.events if detail else []) if belongs(event, kind)]
        found = [pair for pair in found if pair[1]]
        key = repr([event.cursor for event, _text in found])
        if key == self._shown:
            return
        self._shown = key
        self._show(found[-self._most :][::-1])
        if not found:
            said = tr("Nothing happened yet.") if kind == "all" else tr("Nothing of this kind happened.")
            self._list.addWidget(label(said, "hint"))
        self._older.setVisible(len(found) > self._most)
        self._count.setText(count(len(found), "{n} event", "{n} events"))

    def _show(self, newest: list[tuple[EventInfo, str]]) -> None:
        """Put what is new above the rest; all anew where that does not do, some rows a turn."""
        cursors = [event.cursor for event, _text in newest]
        fresh = cursors.index(self._cursors[0]) if self._cursors and self._cursors[0] in cursors else 0
        if fresh and self._slices.is_done and cursors[fresh:] == self._cursors[: len(cursors) - fresh]:
            for event, text in newest[:fresh][::-1]:
                self._list.insertWidget(0, line())
                self._list.insertWidget(0, self._row(event, text))
            self._cursors = [*cursors[:fresh], *self._cursors]
            return
        clear(self._list)
        self._ages, self._cursors = [], cursors
        self._slices.begin(partial(self._add, newest[at : at + AT_ONCE]) for at in range(0, len(newest), AT_ONCE))

    def _add(self, some: list[tuple[EventInfo, str]]) -> None:
        for event, text in some:
            if self._list.count():
                self._list.addWidget(line())
            self._list.addWidget(self._row(event, text))

    def _row(self, event: EventInfo, text: str) -> QWidget:
        when = label(ago(event.at), "hint")
        self._ages.append((when, event.at))
        return _row(event, text, when)


class _Said(QLabel):
    """A sentence that can be copied. One whose letters can be marked takes Qt thrice as long to lay out."""

    def __init__(self, text: str, tone: str) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", "body")
        self.setProperty("tone", tone)
        self.setWordWrap(True)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Qt's own hook."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Copy"), lambda: QApplication.clipboard().setText(self.text())).setObjectName("event.copy")
        menu.popup(event.globalPos())


def _row(event: EventInfo, text: str, when: QLabel) -> QWidget:
    t = tokens()
    name, colour = ICONS.get(event.kind, "info"), t.muted
    tone = ""
    if event.level >= ERROR or _failed(event):
        name, colour, tone = "circle-x", t.bad_text, "bad"
    elif event.level >= WARNING:
        name, colour = "triangle-alert", t.warn_text
    picture = label()
    picture.setPixmap(icons.pixmap(name, colour, 16))
    picture.setFixedWidth(20)
    when.setToolTip(moment(event.at))
    when.setFixedWidth(110)
    said = _Said(text, tone)
    made = QWidget()
    made.setObjectName(f"event.{event.cursor}")
    layout = row(picture, when, said, spacing=10, margins=(0, 7, 0, 7))
    layout.setStretch(2, 1)
    if event.attempt is not None and event.attempt > 1:
        layout.addWidget(label(tr("attempt {n}", n=event.attempt), "hint"))
    if event.actor not in NOBODY:
        layout.addWidget(label(tr("by {name}", name=event.actor), "hint"))
    made.setLayout(layout)
    return made


def describe(event: EventInfo) -> str:
    """An event in a sentence."""
    body = event.body
    match event.kind:
        case "state":
            reason, error = body.get("reason"), body.get("error")
            text = word("state", str(body.get("to") or body.get("state", "")))
            text = f"{text} · {word('reason', str(reason))}" if reason else text
            if isinstance(error, dict) and error.get("code"):
                what, _why, _fix = explain(ErrorBody.model_validate({"what": "", **error}))
                text = f"{text} · {what}"
            return text
        case "phase" if body.get("done") is None:
            return word("phase", str(body.get("phase", "")))
        case "planned":
            return _plan(body)
        case "note":
            return note_text(str(body.get("code", "")), dict(body.get("params", {})))
        case "guard":
            return guard_text(body)
        case "score":
            when = tr("Before") if body.get("when") == "before" else tr("After")
            if body.get("metric") == "mean_reward":
                return tr("{when}: mean reward {value}", when=when, value=figure(body.get("value")))
            return tr("{when}: exact match {share}", when=when, share=percent(body.get("value"), 1))
        case "artifact":
            kind = word("artifact", str(body.get("artifact", "")))
            return tr("{what} saved, {size}", what=kind, size=size(body.get("bytes")))
        case "first_step":
            return tr("First step after {time}", time=duration(body.get("seconds")))
        case "validation":
            values = body.get("values", {})
            return tr(
                "Validation loss {value} at step {step}",
                value=figure(values.get("validation_loss")),
                step=body.get("step"),
            )
        case "checkpoint":
            why = word("save", str(body.get("cause", "")))
            return tr("Checkpoint at step {step} saved, {size} ({why})", step=body.get("step"),
                      size=size(body.get("bytes")), why=why)  # fmt: skip
        case "checkpoint_removed":
            return tr("Checkpoint {name} made room for newer ones", name=str(body.get("path", "")).rpartition("/")[2])
        case "resumed":
            return tr("Goes on from the checkpoint at step {step}", step=body.get("step"))
        case "memory_forecast":
            return memory_forecast_text(body)
        case "memory":
            return tr("Memory at most: {size}", size=size(body.get("peak")))
        case "started":
            return tr("The worker is up (process {pid})", pid=body.get("pid"))
        case _:
            return ""


def guard_text(body: dict[str, Any]) -> str:
    """What a guard saw, why it matters, and what was done."""
    params = dict(body.get("params", {}))
    return sentences(*(note_text(str(body.get(part, "")), params) for part in ("code", "done")))


def guard_brief(body: dict[str, Any]) -> str:
    """What a guard saw and what was done, without the why: for a chart."""
    params = dict(body.get("params", {}))
    bodies = [ErrorBody(code=str(body.get(part, "")), what="", params=params) for part in ("code", "done")]
    return sentences(*(explain(one)[0] for one in bodies))


def memory_forecast_text(body: dict[str, Any]) -> str:
    """What was reckoned, and what a measurement made of it."""
    total, corrected = size(body.get("total")), body.get("corrected")
    if corrected is None:
        return tr("Memory forecast: {size}", size=total)
    return tr("Memory forecast: {size}; measured on the longest batch: {measured}", size=total,
              measured=size(corrected))  # fmt: skip


def _plan(body: dict[str, Any]) -> str:
    return tr(
        "{steps} steps over {rows} rows; {trained} of {parameters} parameters are trained, in {precision} on {device}",
        steps=f"{body.get('total_steps', 0):,}",
        rows=f"{body.get('rows', 0):,}",
        trained=count_of(body.get("trainable_parameters")),
        parameters=count_of(body.get("parameters")),
        precision=body.get("precision", ""),
        device=body.get("device", ""),
    )
