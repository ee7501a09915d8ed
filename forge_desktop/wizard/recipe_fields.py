"""Fields of the recipe that show what a value means: rank with a slider, epochs and steps, length, batch, rate."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QLineEdit, QSlider, QWidget

from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import row
from forge_desktop.theme.language import count, sentences, tr
from forge_desktop.theme.measures import count_of, percent, size
from forge_desktop.wizard.fields import SettingField
from forge_desktop.wizard.tuner_fields import takes, trains_the_model

RANKS = (4, 8, 16, 32, 64, 128, 256)


class _Slider(QSlider):
    """A slider that the mouse wheel leaves alone."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Qt's own hook: scrolling a page must not change a setting under the cursor."""
        event.ignore()


class RankField(SettingField):
    """The rank as a slider over the usual powers of two, and as a number for any other."""

    def __init__(self, draft: DraftModel, path: str) -> None:
        self._slider = _Slider(Qt.Orientation.Horizontal)
        super().__init__(draft, path, lambda: rank_cost(draft))
        self._slider.setObjectName("wizard.rank.slider")
        self._slider.setAccessibleName(self.title)
        self._slider.setRange(0, len(RANKS) - 1)
        self._slider.setPageStep(1)
        self._slider.valueChanged.connect(self._slid)
        draft.changed.connect(self._follow)
        self._follow()

    def _dressed(self, control: QWidget) -> QWidget:
        made = QWidget()
        control.setFixedWidth(72)
        if isinstance(control, QLineEdit):
            control.setAlignment(Qt.AlignmentFlag.AlignRight)
        layout = row(self._slider, control, spacing=14)
        layout.setStretch(0, 1)
        made.setLayout(layout)
        return made

    @Slot()
    def _follow(self, *_news: object) -> None:
        """The slider goes to the nearest place without changing the number."""
        rank = self._draft.get(self.path)
        if isinstance(rank, int):
            nearest = min(range(len(RANKS)), key=lambda place: abs(RANKS[place] - rank))
            self._slider.blockSignals(True)
            self._slider.setValue(nearest)
            self._slider.blockSignals(False)
        self.setEnabled(takes(self._draft, "rank"))

    @Slot(int)
    def _slid(self, place: int) -> None:
        """Alpha follows where it was in its usual proportion to the rank."""
        rank, alpha = self._draft.get(self.path), self._draft.get("tuner.alpha")
        ratio = alpha / rank if isinstance(rank, int) and rank and isinstance(alpha, int | float) else 0
        self._draft.set(self.path, RANKS[place])
        if ratio in (1, 2):
            self._draft.set("tuner.alpha", float(RANKS[place] * ratio))


def rank_cost(draft: DraftModel) -> str:
    """What the rank comes to: strength, numbers trained, size of the adapter."""
    rank, alpha = draft.get("tuner.rank"), draft.get("tuner.alpha")
    if draft.get("tuner.kind") == "full":
        return tr("Not used: every weight is trained.")
    if not takes(draft, "rank"):
        return tr("Not used by this method.")
    parts = []
    if isinstance(rank, int) and isinstance(alpha, int | float) and rank and takes(draft, "alpha"):
        parts.append(tr("Alpha {alpha:g} is rank × {ratio:g}.", alpha=alpha, ratio=alpha / rank))
    trained = draft.trained_parameters()
    if trained:
        parts.append(tr("Trains {n} numbers; an adapter of {size}.", n=count_of(trained), size=size(4 * trained)))
    return sentences(*parts)


def epochs_field(draft: DraftModel, path: str) -> SettingField:
    """Epochs with the steps they come to."""

    def said() -> str:
        steps, rows = draft.steps(), draft.rows()
        if steps is None or rows is None:
            return ""
        if draft.get("training.max_steps"):
            return tr("Stops after {steps} steps, whatever the epochs say.", steps=f"{steps:,}")
        return tr("≈ {steps} optimiser steps on {rows} rows.", steps=f"{steps:,}", rows=f"{rows:,}")

    return SettingField(draft, path, said)


def fitting_text(draft: DraftModel) -> str:
    """How many of the measured rows are not cut."""
    share, lengths = draft.fitting(), draft.seen_rows.get("lengths") or []
    if share is None:
        return ""
    measured, cut = len(lengths), round((1 - share) * len(lengths))
    if not cut:
        longest = f"{max(lengths):,}"
        return tr("All {n} measured rows fit; the longest has {longest} tokens.", n=f"{measured:,}", longest=longest)
    return tr(
        "{share} of {n} measured rows fit; {cut} would be cut.",
        share=percent(share, 1),
        n=f"{measured:,}",
        cut=f"{cut:,}",
    )


def batch_field(draft: DraftModel, path: str) -> SettingField:
    """Rows at once, or batches gathered, with the product of both."""

    def said() -> str:
        micro, gathered = draft.get("training.micro_batch_size"), draft.get("training.accumulation")
        if not isinstance(micro, int) or not isinstance(gathered, int):
            return ""
        rows = count(micro * gathered, "1 row a step", "{n} rows a step")
        return tr("{rows}: {micro} at once × {gathered} gathered.", rows=rows, micro=micro, gathered=gathered)

    return SettingField(draft, path, said)


class RateField(SettingField):
    """The learning rate, with a warning where the method wants another magnitude."""

    def _warning(self) -> str:
        return super()._warning() or rate_warning(self._draft)


def rate_warning(draft: DraftModel) -> str:
    """Training every weight wants smaller steps than an adapter."""
    rate, kind = draft.get("training.learning_rate"), draft.get("tuner.kind")
    if not isinstance(rate, float):
        return ""
    if trains_the_model(kind) and rate > 5e-5 and draft.get("stage") == "sft":
        return tr("High for training every weight: 1e-5 to 5e-5 is usual there.")
    if not trains_the_model(kind) and 0 < rate < 2e-5:
        return tr("Low for an adapter: 1e-4 to 3e-4 is usual there.")
    return ""


class LengthField(SettingField):
    """The longest row, with how many of the measured rows fit, and a warning beyond what the model can read."""

    def __init__(self, draft: DraftModel, path: str) -> None:
        super().__init__(draft, path, lambda: fitting_text(draft))

    def _warning(self) -> str:
        return super()._warning() or length_warning(self._draft)


def length_warning(draft: DraftModel) -> str:
    """Longer than the model's context, unless no row is."""
    longest, context = draft.get("data.max_length"), draft.context()
    lengths = draft.seen_rows.get("lengths")
    if isinstance(longest, int) and context and longest > context and not (lengths and max(lengths) <= context):
        return tr("The model reads at most {context} tokens.", context=f"{context:,}")
    return ""
