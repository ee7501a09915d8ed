"""How answers are drawn: a slider and a number each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError
from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QCheckBox, QWidget

from forge_desktop.models.chat_model import ChatModel
from forge_desktop.models.chat_turns import Sampling
from forge_desktop.panels.chart_options import Slider
from forge_desktop.theme.controls import Card, Field, button, column, label, restyle, row
from forge_desktop.theme.language import tr

FIELD_WIDTH, SLIDER_HEIGHT = 72, 22


@dataclass(frozen=True)
class Dial:
    """A setting with the ends and steps of its slider."""

    name: str
    text: str
    tip: str
    least: float
    most: float
    step: float

    def told(self, value: float) -> str:
        """The number as people write it."""
        return f"{value:.2f}" if self.step < 1 else f"{value:,.0f}"


def dials() -> list[Dial]:
    """Those that are wanted most come first."""
    return [
        Dial("temperature", tr("Temperature"), tr("0: always the likeliest token. Higher: more varied."), 0, 2, 0.05),
        Dial("top_p", tr("Top-p"), tr("Only the likeliest tokens that make up this share together."), 0.05, 1, 0.05),
        Dial("max_tokens", tr("Max tokens"), tr("Where an answer is cut off."), 16, 2048, 16),
        Dial("weight", tr("Adapter weight"), tr("1: as it was trained. 0: as if it were not there."), 0, 2, 0.05),
        Dial("top_k", tr("Top-k"), tr("Only so many of the likeliest tokens; 0: any number."), 0, 200, 1),
        Dial("min_p", tr("Min-p"), tr("Only tokens at least this share as likely as the likeliest."), 0, 1, 0.01),
        Dial("repetition_penalty", tr("Repetition penalty"), tr("Above 1: what was said becomes less likely."),
             0.5, 2, 0.05),
    ]  # fmt: skip


BASIC = 4


class SamplingCard(Card):
    """Changes count from the next answer on."""

    def __init__(self, model: ChatModel) -> None:
        super().__init__(tr("Sampling"))
        self.body.setSpacing(8)
        self._model = model
        self.sliders: dict[str, Slider] = {}
        self.fields: dict[str, Field] = {}
        self._tips: dict[Field, str] = {}
        """What a field says while its number is good."""
        every = dials()
        for one in every[:BASIC]:
            self.body.addWidget(self._dial(one))
        self._rest = QWidget()
        rest = column(*(self._dial(one) for one in every[BASIC:]), self._seed(), spacing=12)
        self._rest.setLayout(rest)
        more = button(tr("More"), "link", name="chat.sampling.more")
        more.setCheckable(True)
        more.toggled.connect(self._rest.setVisible)
        self.body.addLayout(row(more, None))
        self.body.addWidget(self._rest)
        self._rest.hide()
        chances = QCheckBox(tr("Token probabilities"))
        chances.setObjectName("chat.chances")
        chances.setToolTip(tr("Colour new answers by how likely each token was; point at one for its alternatives."))
        chances.setChecked(model.chances)
        chances.toggled.connect(model.set_chances)
        self.body.addWidget(chances)

    def _dial(self, one: Dial) -> QWidget:
        value = float(getattr(self._model.chat.sampling, one.name))
        slider = Slider(Qt.Orientation.Horizontal)
        slider.setObjectName(f"chat.sampling.{one.name}.slider")
        slider.setAccessibleName(one.text)
        slider.setToolTip(one.tip)
        slider.setMinimumHeight(SLIDER_HEIGHT)
        slider.setRange(0, round((one.most - one.least) / one.step))
        slider.setValue(round((value - one.least) / one.step))
        field = self._number(f"chat.sampling.{one.name}", one.text, one.told(value), one.tip)
        slider.valueChanged.connect(partial(self._slid, one))
        field.editingFinished.connect(lambda: self._typed(one))
        self.sliders[one.name], self.fields[one.name] = slider, field
        made = QWidget()
        title = label(one.text, "label")
        layout = column(spacing=0)
        head = row(title, field, spacing=8)
        head.setStretch(0, 1)
        layout.addLayout(head)
        layout.addWidget(slider)
        made.setLayout(layout)
        return made

    def _number(self, name: str, accessible: str, text: str, tip: str = "") -> Field:
        made = Field(text, "", name)
        made.setAccessibleName(accessible)
        made.setAlignment(Qt.AlignmentFlag.AlignRight)
        made.setProperty("role", "figure")
        made.setFixedWidth(FIELD_WIDTH)
        made.setToolTip(tip)
        self._tips[made] = tip
        return made

    def _seed(self) -> QWidget:
        seed = self._model.chat.sampling.seed
        field = self._number("chat.sampling.seed", tr("Seed"), "" if seed is None else str(seed))
        field.setPlaceholderText(tr("any"))
        field.setFixedWidth(110)
        field.editingFinished.connect(lambda: self._take(field, lambda: {"seed": _whole(field.text())}))
        self.fields["seed"] = field
        made = QWidget()
        layout = row(label(tr("Seed"), "label"), field, spacing=8)
        layout.setStretch(0, 1)
        made.setLayout(layout)
        made.setToolTip(tr("The same seed draws the same answer again; empty: another each time."))
        return made

    @Slot()
    def _slid(self, one: Dial, place: int) -> None:
        value = one.least + place * one.step
        value = round(value) if one.step >= 1 else round(value, 4)
        self._model.set_sampling(**{one.name: value})
        self.fields[one.name].setText(one.told(value))
        self._show_good(self.fields[one.name])

    def _typed(self, one: Dial) -> None:
        field = self.fields[one.name]

        def read() -> dict[str, float | int | None]:
            value = float(field.text().replace(",", ""))
            return {one.name: round(value) if one.step >= 1 else value}

        if self._take(field, read):
            value = float(getattr(self._model.chat.sampling, one.name))
            slider = self.sliders[one.name]
            slider.blockSignals(True)
            slider.setValue(round((value - one.least) / one.step))
            slider.blockSignals(False)
            field.setText(one.told(value))

    def _take(self, field: Field, read: Callable[[], dict[str, float | int | None]]) -> bool:
        """A number that cannot be is marked, and the one before holds."""
        try:
            self._model.set_sampling(**read())
        except ValidationError as error:
            restyle(field, tone="bad")
            field.setToolTip(_limits(str(error.errors()[0]["loc"][0])))
            return False
        except (ValueError, OverflowError):
            restyle(field, tone="bad")
            field.setToolTip(tr("This is no number."))
            return False
        self._show_good(field)
        return True

    def _show_good(self, field: Field) -> None:
        restyle(field, tone="")
        field.setToolTip(self._tips[field])


def _limits(name: str) -> str:
    """Between which ends a setting lies."""
    known = {type(one).__name__: one for one in Sampling.model_fields[name].metadata}
    ends = [getattr(known[kind], end) for kind, end in (("Ge", "ge"), ("Gt", "gt"), ("Le", "le")) if kind in known]
    return tr("From {least} to {most}.", least=ends[0], most=ends[-1]) if len(ends) > 1 else tr("At least 0.")


def _whole(text: str) -> int | None:
    return int(text.replace(",", "")) if text.strip() else None
