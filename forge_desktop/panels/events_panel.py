"""The timeline of a run: states, plans, notes, scores and saved files, newest first."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.api import EventInfo
from forge_desktop.models.run_model import RunModel
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, clear, column, label, row, scrolled
from forge_desktop.theme.language import note_text, tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import ago, count_of, duration, figure, moment, percent, size

MAX_SHOWN = 200


class EventsPanel(QWidget):
    """What happened, and when."""

    def __init__(self, model: RunModel) -> None:
        super().__init__()
        self._model = model
        self._list = QVBoxLayout()
        self._list.setSpacing(10)
        self._shown = ""
        card = Card()
        card.body.addLayout(self._list)
        inner = QWidget()
        inner.setLayout(column(card, None))
        self.setLayout(column(scrolled(inner)))
        model.changed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        detail = self._model.detail
        events = detail.events[-MAX_SHOWN:] if detail else []
        key = repr([event.cursor for event in events])
        if key == self._shown:
            return
        self._shown = key
        clear(self._list)
        for event in reversed(events):
            text = describe(event)
            if text:
                self._list.addWidget(_row(event, text))


def _row(event: EventInfo, text: str) -> QWidget:
    t = tokens()
    name, colour = ("info", t.muted)
    if event.level >= 40:
        name, colour = "circle-x", t.bad_text
    elif event.level >= 30:
        name, colour = "triangle-alert", t.warn_text
    picture = label()
    picture.setPixmap(icons.pixmap(name, colour, 16))
    when = label(ago(event.at), "hint")
    when.setToolTip(moment(event.at))
    when.setFixedWidth(110)
    made = QWidget()
    layout = row(picture, when, label(text, wrap=True, select=True), spacing=10)
    layout.setStretch(2, 1)
    made.setLayout(layout)
    return made


def describe(event: EventInfo) -> str:
    """An event in a sentence."""
    body = event.body
    match event.kind:
        case "state":
            reason = body.get("reason")
            text = word("state", str(body.get("to") or body.get("state", "")))
            return f"{text} · {word('reason', str(reason))}" if reason else text
        case "phase" if body.get("done") is None:
            return word("phase", str(body.get("phase", "")))
        case "planned":
            return _plan(body)
        case "note":
            return note_text(str(body.get("code", "")), dict(body.get("params", {})))
        case "score":
            when = tr("Before") if body.get("when") == "before" else tr("After")
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
        case "started":
            return tr("The worker is up (process {pid})", pid=body.get("pid"))
        case _:
            return ""


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
