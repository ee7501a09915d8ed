"""First steps: three cards from a program just installed to a run that trains."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from engine.contract.api import RunSummary
from engine.contract.config_file import read_config
from engine.contract.errors import ErrorBody
from engine.contract.paths import resources_folder
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.first_checks import FirstChecks
from forge_desktop.panels.onboarding_checks import ChecksCard
from forge_desktop.panels.page import ErrorCard, Page
from forge_desktop.panels.sidebar import THEMES, Logo
from forge_desktop.theme import icons
from forge_desktop.theme.controls import (
    Card,
    Choice,
    button,
    chip_colours,
    column,
    label,
    restyle,
    row,
    scrolled,
    set_enabled,
)
from forge_desktop.theme.language import LANGUAGES, tr

WIDTH = 720
STEPS = (("welcome", "Welcome"), ("check", "This computer"), ("demo", "First run"))
PREFERENCE, DONE, SKIPPED = "onboarding", "done", "skipped"
POINTS = (
    ("zap", "Fine-tune language models", "On your own data and your own computer, with LoRA or whole."),
    ("activity", "Watch and steer", "Curves, log and answers live; pause, go on, ask the model while it trains."),
    ("shield", "Nothing gets lost", "Runs go on when the window closes; checkpoints bring them back."),
)


def is_over(preferences: Preferences) -> bool:
    """Somebody went through it, skipped it, or had runs already."""
    return preferences.get(PREFERENCE) in (DONE, SKIPPED)


class OnboardingPage(Page):
    """Address `welcome/<step>`."""

    look_wanted = Signal(str, str)

    def __init__(self, session: Session, preferences: Preferences, step: str = "") -> None:
        super().__init__()
        self.setObjectName("welcome")
        self._session, self._preferences = session, preferences
        self.checks = FirstChecks(session, self)
        self._step = int(step) if step in ("1", "2", "3") else 1
        self._busy = False
        self._error = ErrorCard("welcome.error")
        self._stack = QStackedWidget()
        self._cards = (self._welcome(), self._check(), self._demo())
        for card in self._cards:
            self._stack.addWidget(card)
        holder = QWidget()
        holder.setMaximumWidth(WIDTH)
        inner = QVBoxLayout(holder)
        inner.setContentsMargins(0, 8, 0, 8)
        inner.setSpacing(18)
        inner.addLayout(self._head())
        inner.addWidget(self._stack)
        inner.addWidget(self._error)
        inner.addLayout(self._foot())
        inner.addStretch(1)
        middle = QWidget()
        layout = row()
        layout.addStretch(1)
        layout.addWidget(holder, 100)
        layout.addStretch(1)
        middle.setLayout(layout)
        self.outer.addWidget(scrolled(middle), 1)
        self.checks.changed.connect(self._refresh)
        self._show(self._step)
        if session.is_online:
            self.checks.look()

    def _head(self) -> QVBoxLayout:
        self._dots = [label("", "label") for _step in STEPS]
        bar = row(spacing=18)
        for dot in self._dots:
            bar.addWidget(dot)
        bar.addStretch(1)
        bar.addWidget(button(tr("Skip"), "link", on_click=self._skip, name="welcome.skip"))
        made = column(spacing=0)
        made.addLayout(bar)
        return made

    def _welcome(self) -> QWidget:
        card = Card(margins=(28, 26, 28, 26))
        title = label(tr("Welcome to LoRAForge Desktop"), "display", wrap=True)
        head = row(Logo(), title, spacing=14)
        head.setStretch(1, 1)
        card.body.addLayout(head)
        for icon, name, text in POINTS:
            card.body.addWidget(_point(icon, tr(name), tr(text)))
        self.theme = Choice([(key, tr(text)) for key, text in THEMES], self._preferences.get("theme", "system"))
        tongues = [("system", tr("Like the system")), *LANGUAGES.items()]
        self.tongue = Choice(tongues, self._preferences.get("language", "system"))
        for field, name, text in ((self.theme, "theme", tr("Theme")), (self.tongue, "language", tr("Language"))):
            field.setObjectName(f"welcome.{name}")
            field.setAccessibleName(text)
            field.setMinimumWidth(190)
            field.activated.connect(self._look)
        choices = row(spacing=16)
        choices.addLayout(column(label(tr("Language"), "label"), self.tongue, spacing=4))
        choices.addLayout(column(label(tr("Theme"), "label"), self.theme, spacing=4))
        choices.addStretch(1)
        card.body.addLayout(choices)
        return card

    def _check(self) -> QWidget:
        return ChecksCard(self.checks, self.navigate.emit)

    def _demo(self) -> QWidget:
        card = Card(tr("A first run, from start to result"), margins=(28, 24, 28, 26))
        said = tr("A small model that comes with the program learns to write dates the ISO way.")
        card.body.addWidget(label(said, wrap=True))
        card.body.addWidget(
            _point("target", tr("Before and after"), tr("About 2 % right at first, more than 90 % after training."))
        )
        card.body.addWidget(
            _point("clock", tr("About two minutes"), tr("On a processor; faster on a GPU. Nothing is downloaded."))
        )
        card.body.addWidget(
            _point("pencil", tr("Nothing to fill in"), tr("Afterwards, copy it as a draft and change what you like."))
        )
        return card

    def _foot(self) -> QVBoxLayout:
        self._back = button(tr("Back"), "default", on_click=lambda: self._show(self._step - 1), name="welcome.back")
        self._wizard = button(tr("Set up a run of my own"), "quiet", "plus", self._own, "welcome.own")
        self._next = button(tr("Continue"), "primary", on_click=self._go_on, name="welcome.next")
        self._next.setMinimumWidth(140)
        made = column(spacing=0)
        made.addLayout(row(self._back, None, self._wizard, self._next, spacing=12))
        return made

    @property
    def step(self) -> int:
        """1 to 3."""
        return self._step

    def _show(self, step: int) -> None:
        self._step = min(max(step, 1), len(STEPS))
        self._stack.setCurrentIndex(self._step - 1)
        for place, widget in enumerate(self._cards):  # only the card that is shown decides how tall it is
            shown = place == self._step - 1
            size = widget.sizePolicy()
            size.setVerticalPolicy(size.Policy.Preferred if shown else size.Policy.Ignored)
            widget.setSizePolicy(size)
        self._refresh()
        self._next.setFocus()

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(WIDTH, 560)

    @Slot()
    def _refresh(self) -> None:
        last = self._step == len(STEPS)
        for place, (dot, (_key, text)) in enumerate(zip(self._dots, STEPS, strict=True), 1):
            state = "✓" if place < self._step else str(place)
            dot.setText(f"{state}  {tr(text)}")
            restyle(dot, tone="accent" if place == self._step else "")
            dot.setAccessibleName(tr("Step {n} of {all}: {name}", n=place, all=len(STEPS), name=tr(text)))
        self._back.setVisible(self._step > 1)
        self._wizard.setVisible(last)
        self._next.setText(tr("Start the demo run") if last else tr("Continue"))
        self._next.setAccessibleName(self._next.text())
        why = tr("Step 2 names what is missing.") if not self.checks.busy else tr("This computer is being checked.")
        set_enabled(self._next, not self._busy and (not last or self.checks.ready), why)

    def _go_on(self) -> None:
        if self._step < len(STEPS):
            self._show(self._step + 1)
        else:
            self._start()

    def _start(self) -> None:
        self._busy = True
        self._error.show_error(None)
        self._refresh()

        def work(backend: Backend) -> RunSummary:
            config = read_config(resources_folder() / "presets" / "demo.yaml")
            return backend.create(config.to_spec(), True)

        self._session.ask(work, self._started, self._failed, owner=self)

    def _started(self, run: RunSummary) -> None:
        self._preferences.set(PREFERENCE, DONE)
        self.navigate.emit(f"run/{run.uid}")

    def _failed(self, error: ErrorBody) -> None:
        self._busy = False
        self._error.show_error(error)
        self._refresh()

    def _skip(self) -> None:
        self._preferences.set(PREFERENCE, SKIPPED)
        self.navigate.emit("runs")

    def _own(self) -> None:
        self._preferences.set(PREFERENCE, DONE)
        self.navigate.emit("new")

    @Slot()
    def _look(self) -> None:
        self.look_wanted.emit(self.theme.value(), self.tongue.value())


def _point(icon: str, title: str, text: str) -> QWidget:
    picture = label()
    picture.setPixmap(icons.pixmap(icon, chip_colours("accent")[0], 20))
    picture.setAlignment(Qt.AlignmentFlag.AlignTop)
    made = QWidget()
    layout = row(picture, spacing=14)
    layout.addLayout(column(label(title, "strong", wrap=True), label(text, "hint", wrap=True), spacing=2), 1)
    made.setLayout(layout)
    return made
