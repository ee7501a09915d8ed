"""The main job, driven through the window's own widgets by mouse and key events: wizard, start, live run, result.

Prints what happens, saves a screenshot of each stage, and ends with a code other than 0 when the result misses
its target. With a display the window stays open afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QCheckBox, QComboBox, QLineEdit, QScrollArea, QWidget

from engine.contract.api import RunDetail
from engine.contract.config_file import read_config
from engine.contract.paths import resources_folder
from engine.contract.states import RunState
from forge_desktop.app import Desktop
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.run_model import RunModel
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.theme.language import explain
from forge_desktop.wizard.fields import FoldedForm, written
from forge_desktop.wizard.wizard_page import WizardPage

TARGET_BEFORE = 0.05
TARGET_AFTER = 0.80
LIMIT_SECONDS = 900.0
POLL_MS = 60
TYPED_GROUPS = ("tuner", "training")
Wait = Callable[[], bool]


class DemoFailed(Exception):
    """The main job did not get where it should."""


class Demo(QObject):
    """Walks through the main job step by step; each step waits for what it needs to see."""

    def __init__(self, desktop: Desktop, output: Path, stay: bool) -> None:
        super().__init__()
        self._desktop, self._output = desktop, output
        self._stay = stay or QGuiApplication.platformName() != "offscreen"
        self.exit_code = 1
        self._began = time.monotonic()
        self._shots = 0
        self._script = self._steps()
        self._wait: Wait = lambda: True
        self._timer = QTimer(self, interval=POLL_MS)
        self._timer.timeout.connect(self._tick)

    def begin(self) -> None:
        """Start once Qt's loop runs."""
        self._output.mkdir(parents=True, exist_ok=True)
        self._desktop.preferences.set("onboarding", "done")  # it goes the long way, through the wizard
        self._timer.start()

    @Slot()
    def _tick(self) -> None:
        try:
            if not self._wait():
                if time.monotonic() - self._began > LIMIT_SECONDS:
                    raise DemoFailed(f"nothing more happened within {LIMIT_SECONDS:.0f} s")
                return
            self._wait = next(self._script)
        except StopIteration:
            self._finish(0)
        except DemoFailed as failure:
            self._say(f"FAILED: {failure}")
            self._shot("failed")
            self._finish(1)

    def _finish(self, code: int) -> None:
        self.exit_code = code
        self._timer.stop()
        self._say(f"screenshots are in {self._output.resolve()}")
        if self._stay:
            self._say("the window stays open; close it to end")
        else:
            QApplication.exit(code)

    def _steps(self) -> Iterator[Wait]:
        window = self._desktop.window
        window.go("runs")
        yield lambda: self._desktop.session.is_online and isinstance(window.page, RunsPage) and _loaded(window.page)
        self._say("the controller answers; the list of runs is open")
        self._shot("runs")
        self._click("runs.new")
        yield lambda: isinstance(window.page, WizardPage) and window.page.is_built
        wizard = window.page
        if not isinstance(wizard, WizardPage):
            raise DemoFailed("the wizard did not open")
        yield from self._wizard(wizard)
        yield lambda: isinstance(window.page, RunPage) or bool(_error_of(wizard))
        if not isinstance(window.page, RunPage):
            raise DemoFailed(_error_of(wizard))
        yield from self._run(window.page)

    def _wizard(self, wizard: WizardPage) -> Iterator[Wait]:
        draft = wizard.draft
        self._click("wizard.model.demo")
        yield lambda: bool(draft.model_facts) or draft.model_error is not None
        if draft.model_error is not None:
            raise DemoFailed(" ".join(explain(draft.model_error)))
        facts = draft.model_facts
        self._say(f"model: {facts.get('parameters', 0):,} parameters, {facts.get('architecture')}")
        self._shot("wizard-model")
        self._click("wizard.next")
        self._click("wizard.data.demo")
        yield lambda: bool(draft.data_facts) or draft.data_error is not None
        if draft.data_error is not None:
            raise DemoFailed(" ".join(explain(draft.data_error)))
        self._say(f"data: {draft.data_facts.get('rows'):,} rows, form {draft.data_facts.get('format')}")
        self._shot("wizard-data")
        self._click("wizard.next")
        yield lambda: wizard.is_built
        self._type_recipe(draft)
        self._shot("wizard-training")
        self._click("wizard.next")
        yield lambda: True
        self._shot("wizard-compute")
        self._click("wizard.next")
        self._type("field.name", "demo-iso-dates")
        yield lambda: self._find("wizard.next").isEnabled()
        self._shot("wizard-review")
        self._click("wizard.next")
        self._started = time.monotonic()

    def _type_recipe(self, draft: DraftModel) -> None:
        """Type the settings of the demo's recipe that differ from the defaults, as a person would."""
        wanted = read_config(resources_folder() / "presets" / "demo.yaml").document()
        for group in TYPED_GROUPS:
            for name, value in wanted[group].items():
                path = f"{group}.{name}"
                if draft.get(path) != value:
                    self._enter(path, value)
                    if draft.get(path) != value:
                        raise DemoFailed(f"{path} became {draft.get(path)!r} instead of {value!r}")

    def _enter(self, path: str, value: object) -> None:
        for form in self._desktop.window.findChildren(FoldedForm):
            if form.owns(path):  # its fields are made when it is opened
                form.open()
        choice = self._desktop.window.findChild(QAbstractButton, f"field.{path}.{value}")
        if choice is not None:
            self._reveal(choice)
            QTest.mouseClick(choice, Qt.MouseButton.LeftButton)
            return
        field = self._find(f"field.{path}")
        self._reveal(field)
        if isinstance(field, QCheckBox):
            QTest.keyClick(field, Qt.Key.Key_Space)
        elif isinstance(field, QComboBox):
            field.setFocus()
            while field.currentIndex() > 0:
                QTest.keyClick(field, Qt.Key.Key_Up)
            while field.currentData() != value and field.currentIndex() < field.count() - 1:
                QTest.keyClick(field, Qt.Key.Key_Down)
        else:
            self._type(f"field.{path}", written(value))

    def _run(self, page: RunPage) -> Iterator[Wait]:
        model = page.model
        yield lambda: (model.detail is not None and len(model.curve("loss")) > 0) or _over(model.detail)
        self._must_be_well(model.detail)
        waited = time.monotonic() - self._started
        self._say(f"training: first step on screen {waited:.1f} s after Start")
        for share in (0.15, 0.5, 0.9):
            yield partial(_reached, model, share)
            self._must_be_well(model.detail)
            step, loss = model.curve("loss").x[-1], model.curve("loss").last() or 0.0
            self._say(f"  step {step:.0f}: loss {loss:.3f}")
            if share != 0.9:
                self._shot(f"run-{share:.0%}".replace("%", "-percent"))
        yield lambda: _over(model.detail)
        self._must_be_well(model.detail)
        yield lambda: {score.when for score in model.detail.scores} >= {"before", "after"} if model.detail else False
        self._shot("run-completed")
        page.show_tab("samples")
        yield lambda: True
        self._shot("run-samples")
        page.show_tab("overview")
        self._tell_result(model.detail, [float(value) for value in model.curve("loss").value])

    def _tell_result(self, detail: RunDetail | None, losses: list[float]) -> None:
        if detail is None:
            raise DemoFailed("the result is missing")
        scores = {score.when: score for score in detail.scores}
        before, after = scores["before"], scores["after"]
        first, last = sum(losses[:5]) / len(losses[:5]), sum(losses[-5:]) / len(losses[-5:])
        self._say(f"loss: {first:.3f} -> {last:.3f} over {len(losses)} points")
        self._say(f"exact match on {after.rows} held-out rows: {before.value:.1%} before, {after.value:.1%} after")
        answers = {(sample.when, sample.index): sample for sample in detail.samples}
        for (when, index), sample in sorted(answers.items()):
            if index == 0:
                self._say(f"  {when}: {sample.prompt!r} -> {sample.answer!r} (expected {sample.expected!r})")
        if last >= first:
            raise DemoFailed("the loss did not fall")
        if before.value > TARGET_BEFORE or after.value < TARGET_AFTER:
            raise DemoFailed(f"the target is at most {TARGET_BEFORE:.0%} before and at least {TARGET_AFTER:.0%} after")
        self._say(f"done in {time.monotonic() - self._began:.0f} s")

    def _must_be_well(self, detail: RunDetail | None) -> None:
        run = detail.run if detail else None
        if run is not None and run.state in (RunState.FAILED, RunState.STOPPED):
            raise DemoFailed(run.error.what if run.error else f"the run {run.state}")

    def _find(self, name: str) -> QWidget:
        found = self._desktop.window.findChild(QWidget, name)
        if found is None:
            raise DemoFailed(f"there is no widget '{name}'")
        return found

    def _reveal(self, widget: QWidget) -> None:
        above = widget.parentWidget()
        while above is not None:
            if isinstance(above, FoldedForm):
                above.open()
            above = above.parentWidget()
        QApplication.processEvents()
        area = widget.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if isinstance(area, QScrollArea):
            area.ensureWidgetVisible(widget)

    def _click(self, name: str) -> None:
        widget = self._find(name)
        self._reveal(widget)
        if not widget.isEnabled():
            raise DemoFailed(f"'{name}' cannot be clicked: {widget.toolTip()}")
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)

    def _type(self, name: str, text: str) -> None:
        widget = self._find(name)
        if not isinstance(widget, QLineEdit):
            raise DemoFailed(f"'{name}' takes no text")
        self._reveal(widget)
        widget.setFocus()
        QTest.keyClick(widget, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(widget, text)

    def _shot(self, name: str) -> None:
        QApplication.processEvents()
        self._shots += 1
        self._desktop.window.grab().save(str(self._output / f"{self._shots:02d}-{name}.png"))

    def _say(self, text: str) -> None:
        print(f"[demo {time.monotonic() - self._began:5.1f} s] {text}", flush=True)  # noqa: T201


def _loaded(page: RunsPage) -> bool:
    return page.model.has_loaded


def _reached(model: RunModel, share: float) -> bool:
    return _share(model.detail) >= share or _over(model.detail)


def _over(detail: RunDetail | None) -> bool:
    return detail is not None and detail.run.state.ended


def _share(detail: RunDetail | None) -> float:
    if detail is None or not detail.run.total_steps:
        return 0.0
    return (detail.run.step or 0) / detail.run.total_steps


def _error_of(wizard: WizardPage) -> str:
    return wizard.error_text()
