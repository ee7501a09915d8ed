"""The stages of an attempt in a row: what is over and how long it took, where it is now, what failed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from forge_desktop.models.phases import Stage, stages_of
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.attempts_card import attempt_title
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Choice, row
from forge_desktop.theme.language import labelled, tr, word
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.measures import duration, percent, size

HEIGHT, ICON, GAP = 54, 18, 10
LETTERS = 9
"""Of an attempt in its closed list; the rest is its tooltip."""


def time_text(stage: Stage) -> str:
    """What stands under a stage's name."""
    if stage.state == "now" and stage.done is not None and stage.total is not None:
        if stage.unit == "bytes":
            return tr("{done} of {total}", done=size(stage.done), total=size(stage.total))
        return tr("{done} of {total}", done=f"{stage.done:,}", total=f"{stage.total:,}")
    if stage.state == "now" and stage.share is not None:
        return percent(stage.share)
    if stage.state == "skipped":
        return tr("not reached") if stage.key == "done" else tr("left out")
    return "" if stage.seconds is None else duration(stage.seconds)


class PhasesStrip(QWidget):
    """Paints the stages; each has its word, so that colour alone says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("run.phases.strip")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._stages: list[Stage] = []

    @property
    def stages(self) -> list[Stage]:
        """What it shows."""
        return list(self._stages)

    def show_stages(self, stages: list[Stage]) -> None:
        """Show other stages."""
        if stages != self._stages:
            self._stages = stages
            self.setAccessibleName("; ".join(self._said(stage) for stage in stages))
            self.update()

    def _said(self, stage: Stage) -> str:
        name = word("stage", stage.key)
        state = word("stage_state", stage.state)
        time = time_text(stage) if stage.state != "skipped" else ""
        return labelled(name, f"{state} · {time}" if time else state)

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(700, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(400, HEIGHT)

    def event(self, event: QEvent) -> bool:
        """Qt's own hook: a tooltip for the stage under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self._stages:
            place = min(int(event.pos().x() / self._cell()), len(self._stages) - 1)
            QToolTip.showText(event.globalPos(), self._said(self._stages[max(place, 0)]), self)
            return True
        return bool(super().event(event))

    def _cell(self) -> float:
        return self.width() / max(1, len(self._stages))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        cell = self._cell()
        for place, stage in enumerate(self._stages):
            self._paint(painter, stage, place * cell, cell, place + 1 < len(self._stages))
        painter.end()

    def _paint(self, painter: QPainter, stage: Stage, left: float, width: float, joined: bool) -> None:
        t = tokens()
        name, ink, text = {
            "done": ("circle-check", t.ok_text, t.secondary),
            "now": ("circle-dot", t.info_text, t.text),
            "failed": ("circle-x", t.bad_text, t.bad_text),
            "ended": ("square", t.warn_text, t.text),
        }.get(stage.state, ("circle", t.border_strong, t.muted))
        painter.drawPixmap(round(left), 0, icons.pixmap(name, ink, ICON))
        if joined:
            begin, end = left + ICON + 5, left + width - 5
            passed = stage.state == "done"
            painter.setPen(QPen(QColor(t.ok_fill if passed else t.border), 2))
            painter.drawLine(round(begin), ICON // 2, round(end), ICON // 2)
            if stage.state == "now" and stage.share:
                painter.setPen(QPen(QColor(t.info_fill), 2))
                painter.drawLine(round(begin), ICON // 2, round(begin + stage.share * (end - begin)), ICON // 2)
        strong = stage.state in ("now", "failed")
        self._write(painter, word("stage", stage.key), left, ICON + 3, width, text, 600 if strong else 500)
        self._write(painter, time_text(stage), left, ICON + 19, width, t.secondary if strong else t.muted, 400)

    def _write(
        self, painter: QPainter, text: str, left: float, top: float, width: float, ink: str, weight: int
    ) -> None:
        font = ui_font(12, weight)
        shown = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, width - GAP)
        painter.setFont(font)
        painter.setPen(QColor(ink))
        painter.drawText(QRectF(left, top, width, 16), int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter),
                         shown)  # fmt: skip


class PhasesCard(Card):
    """The stages of the latest attempt, or of an earlier one that somebody chooses."""

    def __init__(self, model: RunModel) -> None:
        super().__init__(margins=(16, 10, 12, 4))
        self.setObjectName("run.phases")
        self._model = model
        self.strip = PhasesStrip()
        self._choice = Choice()
        self._choice.setObjectName("run.phases.attempt")
        self._choice.setAccessibleName(tr("Attempt"))
        self._choice.setMinimumContentsLength(LETTERS)
        self._choice.activated.connect(lambda _place: self.refresh())
        self._choice.hide()
        layout = row(self.strip, self._choice, spacing=8)
        layout.setStretch(0, 1)
        self.body.addLayout(layout)
        model.changed.connect(self._run_changed)
        model.phase_moved.connect(self.refresh)
        self._run_changed()

    @Slot()
    def _run_changed(self) -> None:
        detail = self._model.detail
        attempts = detail.attempts if detail is not None else []
        if len(attempts) > 1 and self._choice.count() != len(attempts):
            before = self._choice.value()
            self._choice.clear()
            for place, attempt in enumerate(reversed(attempts)):
                self._choice.addItem(
                    tr("Latest") if place == 0 else attempt_title(attempt), str(attempt.n * (place > 0))
                )
            self._choice.set_value(before or "0")
        self._choice.setVisible(len(attempts) > 1)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show where it stands now."""
        detail = self._model.detail
        if detail is not None:
            self.strip.show_stages(stages_of(detail, int(self._choice.value() or 0), self._model.phase_done))
