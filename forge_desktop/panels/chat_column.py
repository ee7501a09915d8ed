"""One column: who answers, and its turns one below the other; a slider walks through the checkpoints of a run."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget

from forge_desktop.bridge.session import Session
from forge_desktop.models.chat_instance import InstanceModel
from forge_desktop.models.chat_model import ChatModel
from forge_desktop.models.chat_scrub import ScrubModel
from forge_desktop.models.chat_turns import ADAPTER, AUTO, BASE, RUN, Column, Turn
from forge_desktop.panels.chart_options import Slider
from forge_desktop.panels.chat_answer import AnswerCard, Question
from forge_desktop.theme.controls import Chip, Choice, Elided, button, column, label, row, scrolled
from forge_desktop.theme.language import count, tr

MOST_SHOWN = 12
"""Turns that have widgets at first, and so many more each time somebody wants to see older ones."""
NEAR_END, ROOM_FOR_CHIP = 40, 280


class ColumnView(QWidget):
    """Follows the model; changes it only by its signals and calls."""

    def __init__(self, session: Session, model: ChatModel, instance: InstanceModel, mine: Column) -> None:
        super().__init__()
        self.setObjectName(f"chat.column.{mine.id}")
        self._session, self._model, self._instance, self._column = session, model, instance, mine
        self._turns: list[tuple[Turn, Question, AnswerCard]] = []
        self.scrub: ScrubModel | None = None
        self.who = Choice()
        self.who.setObjectName(f"chat.who.{mine.id}")
        self.who.setAccessibleName(tr("Who answers"))
        self.who.setMinimumContentsLength(8)
        self.who.activated.connect(self._chosen)
        self._chip = Chip()
        self._less = button("", "quiet", "x", partial(model.remove_column, mine.id), f"chat.less.{mine.id}",
                            tr("Remove this column"))  # fmt: skip
        self._less.setFixedWidth(34)
        head = row(self.who, self._chip, self._less, spacing=6)
        head.setStretch(0, 1)
        self._walk = self._make_walk()
        self._first = max(0, len(model.chat.turns) - MOST_SHOWN)
        """The oldest turn that has widgets."""
        self.earlier = button(tr("Show earlier messages"), "link", "arrow-up", self._show_earlier,
                              f"chat.earlier.{mine.id}")  # fmt: skip
        self.earlier.hide()
        inner = QWidget()
        self._empty = label("", "hint", wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setContentsMargins(12, 40, 12, 12)
        self._list = column(self._empty, self.earlier, None, spacing=10)
        self._list.setContentsMargins(0, 0, 2, 0)
        inner.setLayout(self._list)
        self._area = scrolled(inner)
        self._at_end = True
        bar = self._area.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._grew)
        layout = column(spacing=8)
        layout.addLayout(head)
        layout.addWidget(self._walk)
        layout.addWidget(self._area, 1)
        self.setLayout(layout)
        instance.adapters_changed.connect(self.show_who)
        instance.offers_changed.connect(self.show_who)
        model.answer_changed.connect(self._answer_changed)
        model.column_changed.connect(self._column_changed)
        self.show_who()
        self.sync()

    # Who answers

    def _make_walk(self) -> QWidget:
        self.slider = Slider(Qt.Orientation.Horizontal)
        self.slider.setObjectName(f"chat.scrub.{self._column.id}")
        self.slider.setAccessibleName(tr("Checkpoint"))
        self.slider.setPageStep(1)
        self.slider.setMinimumHeight(22)
        self.slider.valueChanged.connect(self._walked)
        self._where = Elided("", "hint")
        made = QWidget()
        made.setLayout(column(self.slider, self._where, spacing=2))
        return made

    @Slot()
    def show_who(self) -> None:
        """The choices there are, and the one that is made."""
        mine, base = self._column, self._instance.base
        self.who.clear()
        self.who.addItem(tr("Base model"), f"{BASE}:")
        for one in self._instance.adapters:
            self.who.addItem(one.name, f"{ADAPTER}:{one.name}")
        self.who.addItem(tr("Chosen by the router"), f"{AUTO}:{AUTO}")
        for offer in self._instance.offers:
            if not offer.why_not:
                self.who.addItem(tr("Checkpoints of {run}", run=offer.name), f"{RUN}:{offer.run}")
        wanted = ":".join((mine.kind, {BASE: "", AUTO: AUTO, RUN: mine.run}.get(mine.kind, mine.name)))
        place = self.who.findData(wanted)
        if place < 0:  # it is gone, or not loaded yet: still what this column's answers are from
            self.who.addItem(mine.run_name or mine.name, wanted)
            place = self.who.count() - 1
        self.who.setCurrentIndex(place)
        found = self._instance.find(mine.name)
        if mine.kind == BASE:
            self._chip.set(tr("No adapter"))
        elif found is not None and found.rank:
            self._chip.set(tr("LoRA r{rank}", rank=found.rank), "accent")
        else:
            self._chip.set("", "plain")
        self._show_chip()
        self._chip.setToolTip(base)
        alone = mine.kind == BASE and not self._instance.adapters and self._model.chat.columns[-1] is mine
        self._empty.setText(
            tr("Load an adapter, or choose a run's checkpoints above, to compare it with the base.")
            if alone and len(self._model.chat.columns) > 1
            else tr("Nothing was said yet: write below.")
        )
        self._less.setVisible(len(self._model.chat.columns) > 1 and self._model.chat.mode == "compare")
        self._follow_run()

    def _show_chip(self) -> None:
        """Only where there is room for it: the list beside it says who answers."""
        self._chip.setVisible(bool(self._chip.text()) and self.width() >= ROOM_FOR_CHIP)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._show_chip()

    def _follow_run(self) -> None:
        walking = self._column.kind == RUN
        self._walk.setVisible(walking)
        if not walking and self.scrub is not None:
            self.scrub.deleteLater()
            self.scrub = None
        if walking and self.scrub is None:
            self.scrub = ScrubModel(self._session, self._instance, self._model, self._column, self)
            self.scrub.changed.connect(self._show_walk)
            self._show_walk()

    @Slot()
    def _show_walk(self) -> None:
        scrub = self.scrub
        if scrub is None:
            return
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, len(scrub.steps) - 1))
        self.slider.setValue(scrub.place)
        self.slider.blockSignals(False)
        self.slider.setEnabled(len(scrub.steps) > 1)
        step = scrub.steps[scrub.place]
        where = tr("Step {step}", step=f"{step:,}") if step else tr("Step 0: the base")
        number = len(scrub.steps) - 1
        parts = [where, count(number, "{n} checkpoint", "{n} checkpoints") if number else tr("no checkpoint yet")]
        if scrub.loading:
            parts.append(tr("loading…"))
        elif scrub.live:
            parts.append(tr("new ones appear by themselves"))
        self._where.set_text(" · ".join(parts))

    @Slot(int)
    def _walked(self, place: int) -> None:
        if self.scrub is not None:
            self.scrub.want(place)

    @Slot(int)
    def _chosen(self, place: int) -> None:
        kind, _, name = str(self.who.itemData(place)).partition(":")
        if kind == RUN:
            run_name = next((one.name for one in self._instance.offers if one.run == name), name)
            same = self._column.run == name
            if self.scrub is not None and not same:
                self.scrub.deleteLater()
                self.scrub = None
            step = self._column.step if same else 0
            change = Column("", RUN, self._column.name if same else "", name, run_name, step)
        else:
            change = Column("", kind, name)
        self._model.set_answerer(self._column.id, change)

    @Slot(str)
    def _column_changed(self, key: str) -> None:
        if key == self._column.id:
            self.show_who()

    # Turns

    def sync(self) -> None:
        """Widgets for the turns there are now; those that stay are left alone."""
        every = self._model.chat.turns
        if self._first >= len(every):
            self._first = max(0, len(every) - MOST_SHOWN)
        first = self._first
        wanted = every[first:]
        self.earlier.setVisible(first > 0)
        self._empty.setVisible(not every)
        same = 0
        while same < min(len(wanted), len(self._turns)) and self._turns[same][0] is wanted[same]:
            same += 1
        for _turn, question, answer in self._turns[same:]:
            for widget in (question, answer):
                self._list.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        del self._turns[same:]
        for place in range(first + same, len(every)):
            self._add(place, every[place])
        for place in range(first, len(every)):
            self._show(place)
        self._at_end = True
        self.show_who()

    def _show_earlier(self) -> None:
        self._first = max(0, self._first - MOST_SHOWN)
        self.sync()

    def _add(self, place: int, turn: Turn) -> None:
        name = f"chat.{self._column.id}.{place}"
        question, answer = Question(turn.user, place), AnswerCard(name)
        question.edited.connect(lambda text: self._model.edit(self._model.chat.turns.index(turn), text))
        answer.stop_wanted.connect(lambda: self._model.stop(self._model.chat.turns.index(turn), self._column.id))
        answer.again_wanted.connect(lambda: self._model.regenerate(self._model.chat.turns.index(turn), self._column.id))
        answer.preferred.connect(lambda: self._model.prefer(self._model.chat.turns.index(turn), self._column.id))
        self._list.insertWidget(self._list.count() - 1, question)
        self._list.insertWidget(self._list.count() - 1, answer)
        self._turns.append((turn, question, answer))

    @Slot(int, str)
    def _answer_changed(self, place: int, key: str) -> None:
        self._show(place, key == self._column.id)

    def _show(self, place: int, mine: bool = True) -> None:
        """Show an answer; of another column's only whether there is now one to prefer this to."""
        every = self._model.chat.turns
        shown = place - self._first
        if not (0 <= shown < len(self._turns) and self._turns[shown][0] is every[place]):
            return
        turn, _question, card = self._turns[shown]
        alone = self._model.chat.mode == "single" or sum(one.is_usable for one in turn.answers.values()) < 2
        if mine:
            card.show_answer(turn.answers.get(self._column.id), self._model.chances, alone)
        else:
            card.show_prefer(alone)

    @Slot(int)
    def _scrolled(self, value: int) -> None:
        self._at_end = value >= self._area.verticalScrollBar().maximum() - NEAR_END

    @Slot(int, int)
    def _grew(self, _least: int, most: int) -> None:
        if self._at_end:
            self._area.verticalScrollBar().setValue(most)
