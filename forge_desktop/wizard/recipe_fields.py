"""Fields of the recipe that show what a value means: rank with a slider, epochs and steps, length, batch, rate."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QBoxLayout, QLineEdit, QSlider, QWidget

from engine.contract.recommended import Recommended, learning_rate
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import button, row
from forge_desktop.theme.language import count, sentences, tr
from forge_desktop.theme.measures import count_of, percent, size
from forge_desktop.wizard.fields import SettingField, written
from forge_desktop.wizard.tuner_fields import takes

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
    """The learning rate, with what is recommended for stage and method, and who says so."""

    def __init__(self, draft: DraftModel, path: str) -> None:
        self._use = button("", "link", on_click=self._take, name="wizard.rate.recommended")
        super().__init__(draft, path, lambda: recommended_text(draft))
        draft.changed.connect(self._follow)
        self._follow()

    def _arrange(self, heading: str) -> None:
        super()._arrange(heading)
        layout = self.layout()
        assert isinstance(layout, QBoxLayout)
        layout.insertWidget(layout.count() - 1, self._use, 0, Qt.AlignmentFlag.AlignLeft)

    @Slot()
    def _follow(self, *_news: object) -> None:
        found = recommended_rate(self._draft)
        differs = found is not None and self._draft.get(self.path) != found.value
        if found is not None:
            self._use.setText(tr("Use {value}", value=written(found.value)))
            self._use.setToolTip(recommended_text(self._draft))
        self._use.setVisible(differs)

    def _take(self) -> None:
        found = recommended_rate(self._draft)
        if found is not None:
            self._draft.set(self.path, found.value)

    def _warning(self) -> str:
        return rate_warning(self._draft) or ("" if recommended_rate(self._draft) else super()._warning())


def recommended_rate(draft: DraftModel) -> Recommended | None:
    """What is recommended for the draft's stage and method."""
    return learning_rate(str(draft.get("stage")), str(draft.get("tuner.kind")))


def recommended_text(draft: DraftModel) -> str:
    """The same in words, with where it comes from."""
    found = recommended_rate(draft)
    if found is None:
        return ""
    if found.for_adapter:
        return tr("Recommended: {value} ({source}, ten times as much for an adapter).", value=written(found.value),
                  source=found.source)  # fmt: skip
    return tr("Recommended: {value} ({source}).", value=written(found.value), source=found.source)


def rate_warning(draft: DraftModel) -> str:
    """Far from what is recommended for this stage and method."""
    rate, found = draft.get("training.learning_rate"), recommended_rate(draft)
    if not isinstance(rate, float) or found is None or rate <= 0 or found.usual[0] <= rate <= found.usual[1]:
        return ""
    far = tr("Unusually large.") if rate > found.value else tr("Unusually small.")
    return sentences(far, recommended_text(draft))


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
