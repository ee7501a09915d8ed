"""Which modules get an adapter, as chips."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QPushButton, QWidget

from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Card, button, label, restyle
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import problem_text, tr
from forge_desktop.theme.measures import count_of
from forge_desktop.wizard.fields import sign_of
from forge_desktop.wizard.tuner_fields import takes


class TargetsCard(Card):
    """Follows the draft."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__(tr("Target modules"))
        self._draft = draft
        self.head.addStretch(1)
        self._all = button(tr("All linear"), "toggle-chip", name="wizard.targets.all")
        self._all.setCheckable(True)
        self._all.clicked.connect(lambda: draft.set("tuner.targets", ["all-linear"]))
        self.head.addWidget(self._all)
        self._chips = QWidget()
        self._flow = FlowLayout(self._chips, spacing=8)
        self._why = label("", "hint", wrap=True)
        self.body.addWidget(self._chips)
        self.body.addWidget(self._why)
        self._names: list[str] = []
        draft.inspected.connect(self._rebuild)
        draft.changed.connect(self._rebuild)
        draft.checked.connect(self._refresh)
        self._rebuild()

    @Slot()
    def _rebuild(self, *_news: object) -> None:
        names = self._draft.targets()
        if names != self._names:
            self._names = names
            self._flow.clear()
            before: QWidget = self._all
            for name in names:
                chip = button(name, "toggle-chip", name=f"wizard.target.{name}")
                chip.setCheckable(True)
                chip.clicked.connect(self._clicked)
                self._flow.addWidget(chip)
                self.setTabOrder(before, chip)
                before = chip
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        shown = takes(self._draft, "targets")
        if not shown or self.parentWidget() is not None:  # shown without a parent it would be a window for a moment
            self.setVisible(shown)
        chosen = self._draft.get("tuner.targets")
        everything = chosen == ["all-linear"]
        self._all.setChecked(everything)
        for chip in self._chip_buttons():
            on = everything or chip.text() in chosen
            chip.setChecked(on)
            chip.setAccessibleDescription(tr("gets an adapter") if on else tr("stays as it is"))
        problems = self._draft.problems_of("tuner.targets")
        self._chips.setVisible(bool(self._names))
        self._why.setText(sign_of("bad") + problem_text(problems[0]) if problems else self._reason(everything, chosen))
        restyle(self._why, tone="bad" if problems else "")

    def _reason(self, everything: bool, chosen: list[str]) -> str:
        if not self._names:
            return tr("Named once the model is known; until then all linear layers.")
        if everything:
            text = tr("Every linear layer: the usual choice, learns most for its size.")
        else:
            text = tr("{n} of {total} modules get an adapter.", n=len(chosen), total=len(self._names))
        trained = self._draft.trained_parameters()
        return f"{text} {tr('{n} numbers are trained.', n=count_of(trained))}" if trained else text

    def _chip_buttons(self) -> list[QPushButton]:
        return list(self._chips.findChildren(QPushButton))

    def _clicked(self) -> None:
        chosen = [chip.text() for chip in self._chip_buttons() if chip.isChecked()]
        self._draft.set("tuner.targets", ["all-linear"] if len(chosen) == len(self._names) else chosen)
