"""Moves of runs as rows: state, way, how far, what is done and what comes; how it ended, and why."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.contract.nodes import MoveView
from forge_desktop.models.move_words import Step, result_of, spoken, steps_of, way_of
from forge_desktop.models.moves_model import MovesModel, share
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Bar, Card, Chip, Elided, button, column, label, line, restyle, row, set_enabled
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import ago, duration, moment

CHIPS = {
    "running": ("info", "play"),
    "done": ("ok", "check"),
    "failed": ("bad", "x"),
    "cancelled": ("warn", "square"),
}
STEP_LOOKS = {"done": "check", "now": "loader-circle", "later": "clock", "failed": "x"}
MOST_ENDED = 3
"""Of those that are over, so many are shown."""
Policy = QSizePolicy.Policy


class StepLabel(QWidget):
    """An icon and a word for one step."""

    def __init__(self) -> None:
        super().__init__()
        self._icon, self._text = label(), label()
        self._icon.setFixedWidth(16)
        self.setLayout(row(self._icon, self._text, spacing=6))

    def show_step(self, step: Step) -> None:
        """Look and read like a step."""
        t = tokens()
        inks = {"done": t.ok_text, "now": t.info_text, "later": t.muted, "failed": t.bad_text}
        name = "arrow-left-right" if step.state == "now" and step.key == "copying" else STEP_LOOKS[step.state]
        self._icon.setPixmap(icons.pixmap(name, inks[step.state], 16))
        later, failed = step.state == "later", step.state == "failed"
        restyle(self._text, role="hint" if later else "body", tone="bad" if failed else "")
        if step.text != self._text.text():
            self._text.setText(step.text)
            self.updateGeometry()
        self.setAccessibleName(f"{step.text}: {word('move_step', step.state)}")
        self.setToolTip(word("move_step", step.state))


class MoveRow(QWidget):
    """One move."""

    def __init__(self, model: MovesModel, uid: str) -> None:
        super().__init__()
        self._model, self.uid = model, uid
        self.setObjectName(f"move.{uid}")
        self._title = label(tr("Moves"), "card-title")
        self.chip = Chip()
        self._name, self._source, self._target = Elided("", "strong"), Elided(""), Elided("")
        for made in (self._name, self._source, self._target):
            made.setSizePolicy(Policy.Maximum, Policy.Preferred)
        self._to = label()
        self._to.setPixmap(icons.pixmap("chevron-right", tokens().muted, 14))
        self.left = label("", "label")
        self._cancel = button(tr("Cancel"), "quiet", on_click=self._give_up, name="move.cancel")
        self._dismiss = button("", "quiet", "x", lambda: model.dismiss(uid), "move.dismiss", tr("Dismiss"))
        self._dismiss.setFixedWidth(36)
        head = row(self._title, self.chip, self._name, self._source, self._to, self._target, spacing=10)
        head.addStretch(1)
        for last in (self.left, self._cancel, self._dismiss):
            head.addWidget(last)
        self.bar = Bar(6)
        self._steps_box = QWidget()
        flow = FlowLayout(self._steps_box, 18)
        self.steps = [StepLabel() for _ in range(4)]
        for one in self.steps:
            flow.addWidget(one)
        self.result = label("", wrap=True, select=True)
        layout = column(spacing=8)
        layout.addLayout(head)
        for part in (self.bar, self._steps_box, self.result):
            layout.addWidget(part)
        self.setLayout(layout)

    def show_move(self, move: MoveView, first: bool) -> None:
        """How it gets on, or how it ended."""
        running = move.state == "running"
        self._title.setVisible(first)
        self.chip.set(word("move_state", move.state), *CHIPS[move.state])
        source, target = way_of(move)
        for made, text in ((self._name, move.name), (self._source, source), (self._target, target)):
            if made.accessibleName() != text:
                made.set_text(text)
                made.updateGeometry()
        t = tokens()
        colours = {"running": t.info_fill, "done": t.ok_fill, "failed": t.bad_fill, "cancelled": t.warn_fill}
        self.bar.set(share(move), colours[move.state])
        self._steps_box.setVisible(move.state in ("running", "failed"))
        for shown, step in zip(self.steps, steps_of(move), strict=True):
            shown.show_step(step)
        self.result.setText(result_of(move))
        self.result.setVisible(not running)
        self._cancel.setVisible(running)
        self._cancel.setAccessibleName(tr("Cancel moving '{name}'", name=move.name))
        late = move.step in ("releasing", "done")
        given_up = self._model.is_given_up(move.uid)
        why = tr("It is being given up; the run goes on where it was.") if given_up else tr("It works there already.")
        set_enabled(self._cancel, not late and not given_up, why)
        self._dismiss.setVisible(not running)
        self._dismiss.setAccessibleName(tr("Dismiss the move of '{name}'", name=move.name))
        self.setAccessibleName(spoken(move))
        self.show_time(move)

    def show_time(self, move: MoveView) -> None:
        """What is left of it, or when it ended."""
        if move.state != "running":
            self.left.setText(ago(move.ended))
            self.left.setToolTip(moment(move.ended))
            return
        seconds = self._model.seconds_left(move)
        self.left.setText(tr("≈ {time} left", time=duration(seconds)) if seconds is not None else "")

    def _give_up(self) -> None:
        self._model.cancel(self.uid)


class MovesCard(Card):
    """Hidden while there is nothing to show; of one run only its move that is under way."""

    def __init__(self, model: MovesModel, run: str = "") -> None:
        super().__init__(margins=(16, 12, 16, 14))
        self.setObjectName("moves")
        self.setAccessibleName(tr("Moves"))
        self._model, self._run = model, run
        self.rows: dict[str, MoveRow] = {}
        self._lines: list[QWidget] = []
        self._holder = QVBoxLayout()
        self._holder.setSpacing(12)
        self.body.addLayout(self._holder)
        self._tick = QTimer(self, interval=1000)
        self._tick.timeout.connect(self._tell_time)
        model.changed.connect(self.refresh)
        model.failed.connect(self.refresh)
        self.refresh()

    def _shown(self) -> list[MoveView]:
        if self._run:
            move = self._model.of_run(self._run)
            return [move] if move is not None else []
        running = [move for move in self._model.list if move.state == "running"]
        return [*running, *[move for move in self._model.list if move.state != "running"][:MOST_ENDED]]

    @Slot()
    def refresh(self, *_news: object) -> None:
        """Make, change and drop rows; those that stay are not made anew, so that nobody loses the keyboard."""
        moves = self._shown()
        self.setVisible(bool(moves))
        wanted = [move.uid for move in moves]
        if wanted != list(self.rows):
            self._arrange(wanted)
        for place, move in enumerate(moves):
            self.rows[move.uid].show_move(move, first=place == 0)
        if moves:
            self._tick.start()
        else:
            self._tick.stop()

    def _arrange(self, wanted: list[str]) -> None:
        for uid in [uid for uid in self.rows if uid not in wanted]:
            gone = self.rows.pop(uid)
            self._holder.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for one in self._lines:
            self._holder.removeWidget(one)
            one.hide()
            one.deleteLater()
        self._lines = []
        self.rows = {uid: self.rows.get(uid) or MoveRow(self._model, uid) for uid in wanted}
        for place, uid in enumerate(wanted):
            if place:
                self._lines.append(line())
                self._holder.addWidget(self._lines[-1])
            self._holder.addWidget(self.rows[uid])

    @Slot()
    def _tell_time(self) -> None:
        for uid, made in self.rows.items():
            move = self._model.find(uid)
            if move is not None:
                made.show_time(move)

    def texts(self) -> list[str]:
        """What the steps of the first row say."""
        first = next(iter(self.rows.values()), None)
        return [] if first is None else [part.text() for made in first.steps for part in made.findChildren(QLabel)[1:]]
