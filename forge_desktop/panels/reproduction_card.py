"""How a run stands to the one it does again: equal, within tolerance, or where it first differs."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QVBoxLayout

from engine.contract.errors import ErrorBody
from engine.contract.reproduction import Reproduction, Verdict
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.reproduce_dialog import show_differences
from forge_desktop.theme.controls import Card, Chip, button, label, row
from forge_desktop.theme.language import count, tr, word
from forge_desktop.theme.measures import figure

MOST_SHOWN = 3
TONES: dict[Verdict, tuple[str, str]] = {
    "waiting": ("info", "loader-circle"), "equal": ("ok", "check"), "within": ("ok", "check"),
    "differs": ("warn", "triangle-alert"), "unknown": ("plain", "circle-alert"),
}  # fmt: skip


class ReproductionCard(Card):
    """Hidden where the run does none again; asked anew whenever something about the run changes."""

    def __init__(
        self, model: RunModel, navigate: Callable[[str], object], step_wanted: Callable[[int], object]
    ) -> None:
        super().__init__(tr("Run again exactly"))
        self.setObjectName("run.reproduction")
        self._model, self._key = model, ""
        self._found: Reproduction | None = None
        self.chip, self.said = Chip(), label("", wrap=True, select=True)
        self._original = button(
            tr("Open the first run"), "quiet", "chevron-right", self._open, name="reproduction.open"
        )
        self._step = button(tr("Rows of that step"), "default", "search", self._rows_of_step, name="reproduction.rows")
        self._navigate, self._step_wanted = navigate, step_wanted
        self.head.addWidget(self.chip)
        self.head.addStretch(1)
        self.head.addWidget(self._original)
        self.body.addWidget(self.said)
        self._differences = QVBoxLayout()
        self._differences.setSpacing(6)
        self.body.addLayout(self._differences)
        self.body.addLayout(row(self._step, None))
        self.hide()
        model.changed.connect(self._ask)
        self._ask()

    @Slot()
    def _ask(self) -> None:
        detail = self._model.detail
        if detail is None:
            return
        key = f"{detail.run.state} {detail.run.attempt}"
        if key == self._key:
            return
        self._key, uid = key, self._model.uid
        self._model.session.ask(lambda backend: backend.reproduction(uid), self._got, self._failed, owner=self)

    def _failed(self, _error: ErrorBody) -> None:
        self._key = ""  # the next change asks again

    def _got(self, found: Reproduction | None) -> None:
        self._found = found
        self.setVisible(found is not None)
        if found is None:
            return
        tone, icon = TONES[found.verdict]
        self.chip.set(word("verdict", found.verdict), tone, icon)
        self.said.setText(said(found))
        self._original.setVisible(found.original is not None)
        self._step.setVisible(found.first_step is not None)
        show_differences(self._differences, found.differences, MOST_SHOWN)

    def _open(self) -> None:
        if self._found is not None and self._found.original is not None:
            self._navigate(f"run/{self._found.original.uid}")

    def _rows_of_step(self) -> None:
        if self._found is not None and self._found.first_step is not None:
            self._step_wanted(self._found.first_step)


def said(found: Reproduction) -> str:
    """In a sentence or two."""
    steps = count(found.steps, "1 step", "{n} steps")
    if found.verdict == "unknown":
        return tr("Nothing can be compared: one of the runs has no losses, or is not there any more.")
    if found.verdict == "waiting":
        return tr("Equal so far, bit for bit: {steps}.", steps=steps)
    if found.verdict == "equal":
        return tr("Every loss is equal, bit for bit: {steps}.", steps=steps)
    theirs, ours = found.losses or (float("nan"), float("nan"))
    first = tr("The losses first differ at step {step}: {theirs} then, {ours} now.", step=f"{found.first_step:,}",
               theirs=f"{theirs:.9g}", ours=f"{ours:.9g}")  # fmt: skip
    largest = tr("The largest relative difference is {value}, at step {step}; up to {tolerance} counts as the same.",
                 value=figure(found.largest or 0.0), step=f"{found.largest_step or 0:,}",
                 tolerance=f"{found.tolerance:g}")  # fmt: skip
    return f"{first} {largest}"
