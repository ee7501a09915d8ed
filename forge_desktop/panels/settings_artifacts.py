"""The second place of checkpoints and results: how it stands, and trying whether it can be used."""

from __future__ import annotations

from PySide6.QtCore import Slot

from engine.contract.artifact_place import ArtifactsState
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.session import Session
from forge_desktop.models.settings_model import SettingsModel
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Card, Chip, button, column, label, restyle, row, set_enabled
from forge_desktop.theme.language import count, sentences, tr

SETTINGS = "artifact_"
CHIPS = {"off": ("plain", ""), "whole": ("ok", "check"), "copying": ("info", "loader-circle"),
         "failing": ("bad", "triangle-alert")}  # fmt: skip


class ArtifactsPanel(Card):
    """Follows the controller's settings."""

    def __init__(self, session: Session, model: SettingsModel) -> None:
        super().__init__(tr("Now"), margins=(20, 16, 20, 18))
        self._session, self._model = session, model
        self.state: ArtifactsState | None = None
        self.checking = False
        self._asked = 0
        self._chip = Chip("", "plain")
        self._chip.setObjectName("artifacts.state")
        self.head.addWidget(self._chip)
        self.head.addStretch(1)
        self._said = label("", "body", wrap=True)
        self._said.setObjectName("artifacts.said")
        self._tried = label("", "hint", wrap=True)
        self._tried.setObjectName("artifacts.tried")
        self._tried.hide()
        self.error = ErrorCard("artifacts.error")
        self._check = button(tr("Check"), icon="refresh-cw", on_click=self.check, name="artifacts.check")
        words = column(self._said, self._tried, spacing=4)
        layout = row(spacing=16)
        layout.addLayout(words, 1)
        layout.addWidget(self._check)
        self.body.addLayout(layout)
        self.body.addWidget(self.error)
        session.settings_changed.connect(self._settings_changed)
        session.online.connect(self._fetch)
        session.offline.connect(self._refresh)
        model.changed.connect(self._refresh)
        self._refresh()
        self._fetch()

    @Slot()
    def check(self) -> None:
        """Have a small file put there, read and removed."""
        self.checking = True
        self._ask(True)
        self._refresh()

    @Slot()
    def _fetch(self) -> None:
        self._ask(False)

    @Slot(object)
    def _settings_changed(self, _settings: object) -> None:
        self._tried.hide()
        self.checking = False
        self._fetch()

    def _ask(self, check: bool) -> None:
        self._asked += 1
        number = self._asked

        def came(found: ArtifactsState | None, error: ErrorBody | None = None) -> None:
            if number != self._asked:
                return
            self.checking = False
            self.state = found or self.state
            self.error.show_error(error if error and self._session.is_online else found.error if found else None)
            if check:
                self._tell(found, error)
            self._refresh()

        self._session.ask(lambda it: it.artifacts(check), came, lambda error: came(None, error), owner=self)

    def _tell(self, found: ArtifactsState | None, error: ErrorBody | None) -> None:
        """What the try came to."""
        well = error is None and found is not None and found.error is None
        self._tried.setText(
            tr("It can be used: a small file was put there, read and removed.")
            if well
            else tr("It cannot be used now.")
        )
        restyle(self._tried, tone="ok" if well else "bad")
        self._tried.show()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        state = self.state
        self._chip.setVisible(state is not None)
        if state is None:
            self._said.setText(tr("The job controller is being asked."))
        else:
            titles = {"off": tr("Not set"), "whole": tr("Whole"), "copying": tr("Copying"), "failing": tr("Failing")}
            tone, icon = CHIPS[state.state]
            self._chip.set(titles[state.state], tone, icon)
            self._said.setText(sentence_of(state))
        unsaved = any(key.startswith(SETTINGS) for key in self._model.edits)
        why = ""
        if not self._session.is_online:
            why = tr("The job controller does not answer.")
        elif unsaved:
            why = tr("Save the changes first.")
        elif state is None or state.state == "off":
            why = tr("Name a place first, and save it.")
        elif self.checking:
            why = tr("It is being tried…")
        self._check.setText(" " + (tr("It is being tried…") if self.checking else tr("Check")))
        set_enabled(self._check, not why, why)


def sentence_of(state: ArtifactsState) -> str:
    """How it stands, in words."""
    match state.state:
        case "off":
            return tr("Checkpoints and results lie on this computer only. Name a second place below, and save.")
        case "whole":
            return tr("Everything lies at {place} too.", place=state.place)
        case "copying":
            some = count(state.waiting, "Of 1 run something is still on its way.",
                         "Of {n} runs something is still on its way.")  # fmt: skip
            return sentences(tr("What ended lies at {place} too.", place=state.place), some)
    waits = count(state.waiting, "1 run waits.", "{n} runs wait.") if state.waiting else ""
    rest = tr("Nothing is lost: everything is on this computer, and it is tried again by itself.")
    return sentences(waits, rest)
