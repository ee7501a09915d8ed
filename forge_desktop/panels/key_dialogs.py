"""Keys of an instance: asking for one, and showing a new one the only time it is told."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError
from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QDialog, QWidget

from engine.contract.config_file import problem_of
from engine.contract.errors import ErrorBody
from engine.contract.serving import SCOPES, MadeKey, NewKey, ServeKey
from forge_desktop.panels.form_line import FormLine
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.strip import Strip
from forge_desktop.theme.controls import Choice, Field, button, column, label, row, set_enabled
from forge_desktop.theme.language import problem_text, tr, word

WIDTH = 600
TIERS = 10
USUAL_HOURS = "24"
HOURS = ("0", "1", USUAL_HOURS, "168")
Done = Callable[[MadeKey], object]
Failed = Callable[[ErrorBody], object]


class ShowKeyDialog(QDialog):
    """Stays until it is closed; the key is kept nowhere else."""

    def __init__(self, made: MadeKey, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("key.shown")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("The new key"))
        self.resize(WIDTH, 260)
        warning = Strip("key.warning", "triangle-alert", "warn")
        warning.say(tr("This is the only time it is shown."),
                    tr("It is kept nowhere, not even here: copy it now. Whoever has it can ask."))  # fmt: skip
        self.key = Field(made.key, name="key.text")
        self.key.setAccessibleName(tr("The new key"))
        self.key.setReadOnly(True)
        self.copy = button(tr("Copy"), "primary", "copy", self._copy, "key.copy")
        self._said = label("", "hint")
        line = row(self.key, self.copy, spacing=8)
        line.setStretch(0, 1)
        close = button(tr("Close"), on_click=self.accept, name="key.close")
        layout = column(label(self.windowTitle(), "card-title"), spacing=14, margins=(20, 18, 20, 18))
        layout.addWidget(warning)
        layout.addLayout(line)
        layout.addStretch(1)
        layout.addLayout(row(self._said, None, close))
        self.setLayout(layout)
        self.key.selectAll()
        self.copy.setFocus()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.key.text())
        self._said.setText(tr("Copied."))


class NewKeyDialog(QDialog):
    """Name, tenant, tier, what it may do, and for how long."""

    def __init__(self, parent: QWidget, make: Callable[[NewKey, Done, Failed], object], done: Done) -> None:
        super().__init__(parent)
        self.setObjectName("key.new")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Make a key"))
        self.resize(WIDTH, 560)
        self._make, self._done, self._asking = make, done, False
        self.fields = {name: Field(name=f"key.{name}") for name in ("name", "tenant", "days")}
        tiers = [(str(tier), tr("{n} (first)", n=tier) if not tier else str(tier)) for tier in range(TIERS)]
        self.tier = Choice(tiers, "1")
        self.tier.setObjectName("key.tier")
        self.scopes = {scope: QCheckBox(word("scope", scope)) for scope in SCOPES}
        for scope, box in self.scopes.items():
            box.setObjectName(f"key.scope.{scope}")
            box.setChecked(scope in NewKey().scopes)
            box.toggled.connect(self._refresh)
        scopes = QWidget()
        scopes.setLayout(row(*self.scopes.values(), None, spacing=16))
        self.lines = {
            "name": FormLine(tr("Name"), self.fields["name"], tr("Who gets it, to tell keys apart.")),
            "tenant": FormLine(tr("Tenant"), self.fields["tenant"],
                               tr("Letters, digits, '.', '_' and '-'. What a tenant used is counted together.")),
            "tier": FormLine(tr("Tier"), self.tier, tr("Requests of a smaller tier are answered first.")),
            "scopes": FormLine(tr("What it may do"), scopes),
            "days": FormLine(tr("Days it is good for"), self.fields["days"], tr("Empty: until it is revoked.")),
        }  # fmt: skip
        self._error = ErrorCard("key.refused")
        self.go = button(tr("Make key"), "primary", "key-round", self._start, "key.make")
        foot = row(None, button(tr("Cancel"), on_click=self.reject, name="key.cancel"), self.go, spacing=10)
        layout = column(label(self.windowTitle(), "card-title"), *self.lines.values(), self._error, None, spacing=12,
                        margins=(20, 18, 20, 18))  # fmt: skip
        layout.addLayout(foot)
        self.setLayout(layout)
        self._refresh()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        none = not any(box.isChecked() for box in self.scopes.values())
        set_enabled(self.go, not none, tr("A key that may do nothing is of no use."))

    def _start(self) -> None:
        for line in self.lines.values():
            line.show_problem("")
        self._error.show_error(None)
        days = self.fields["days"].text().strip()
        asked = {
            "name": self.fields["name"].text().strip(), "tenant": self.fields["tenant"].text().strip(),
            "tier": int(self.tier.value()), "days": days or None,
            "scopes": [scope for scope, box in self.scopes.items() if box.isChecked()],
        }  # fmt: skip
        try:
            wish = NewKey.model_validate(asked)
        except ValidationError as error:
            for detail in error.errors():
                problem = problem_of(dict(detail), NewKey)
                self.lines[problem.field.partition(".")[0]].show_problem(problem_text(problem))
            return
        set_enabled(self.go, False, tr("One moment."))
        self._asking = True
        self._make(wish, self._made, self._failed)

    def reject(self) -> None:
        """Qt's own hook: a key that is being made is told here alone, so it stays until there is one or none."""
        if not self._asking:
            super().reject()

    def _made(self, made: MadeKey) -> None:
        self._asking = False
        self.accept()
        self._done(made)

    def _failed(self, error: ErrorBody) -> None:
        self._asking = False
        self._refresh()
        self._error.show_error(error)


class RotateDialog(QDialog):
    """Another key takes the place of one, which goes on for a while."""

    def __init__(self, parent: QWidget, key: ServeKey, take: Callable[[float], object]) -> None:
        super().__init__(parent)
        self.setObjectName("key.rotate")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Rotate '{name}'", name=key.name or key.hint))
        self.resize(WIDTH, 230)
        texts = {"0": tr("Ends at once"), "1": tr("1 hour"), "24": tr("24 hours"), "168": tr("7 days")}
        self.hours = Choice([(hours, texts[hours]) for hours in HOURS], USUAL_HOURS)
        self.hours.setObjectName("key.rotate.hours")
        line = FormLine(tr("The old key goes on for"), self.hours,
                        tr("Long enough for everybody to take over the new one. What it may do stays."))  # fmt: skip
        go = button(tr("Rotate"), "primary", "refresh-cw", lambda: self._go(take), "key.rotate.go")
        foot = row(None, button(tr("Cancel"), on_click=self.reject, name="key.rotate.cancel"), go, spacing=10)
        layout = column(label(self.windowTitle(), "card-title"), line, None, spacing=12, margins=(20, 18, 20, 18))
        layout.addLayout(foot)
        self.setLayout(layout)

    def _go(self, take: Callable[[float], object]) -> None:
        hours = float(self.hours.value())
        self.accept()
        take(hours)
