"""The Settings page: sections on the left, a form for each, and a search over all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QPushButton, QVBoxLayout, QWidget

from engine.contract.artifact_place import ARTIFACT_SECRET
from engine.contract.errors import ErrorBody
from engine.contract.secrets import TRACKER_SECRETS
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.settings_entries import ENTRIES, SECTIONS, Section, of_section
from forge_desktop.models.settings_model import SettingsModel, found
from forge_desktop.panels.page import ErrorCard, Hint, Page
from forge_desktop.panels.settings_alerts import AlertsPanel
from forge_desktop.panels.settings_artifacts import ArtifactsPanel
from forge_desktop.panels.settings_card import SaveBar, SectionCard, SettingsCard
from forge_desktop.panels.settings_data import DataPanel
from forge_desktop.panels.settings_help import HelpPanel
from forge_desktop.panels.settings_secrets import SecretsCard
from forge_desktop.panels.settings_workers import WorkersPanel
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Choice, Field, button, column, label, row, scrolled
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.tokens import NARROW_WIDTH

SECTION_WIDTH = 236
CONTENT_WIDTH = 980
FIRST = SECTIONS[0].key


class SettingsPage(Page):
    """All settings."""

    look_wanted = Signal(str, str)
    """Theme and language the person chose."""
    moved = Signal(str)
    """Address of the section that is shown now."""

    def __init__(self, session: Session, preferences: Preferences, section: str = "") -> None:
        super().__init__()
        self._session, self._preferences = session, preferences
        self.model = SettingsModel(session, preferences, self)
        self.section = section if section in {one.key for one in SECTIONS} else FIRST
        self._buttons: dict[str, QPushButton] = {}
        self._switching = False
        self._texts = {
            one.key: " ".join((tr(one.label), tr(one.sentence), one.key, _title(one.section))) for one in ENTRIES
        }
        self._build_head()
        self._offline = ErrorCard("settings.error")
        self.outer.addWidget(self._offline)
        self._list = self._build_list()
        self._holder = QVBoxLayout()
        self._holder.setSpacing(14)
        self._holder.setContentsMargins(0, 0, 0, 8)
        inner = QWidget()
        inner.setLayout(self._holder)
        inner.setMaximumWidth(CONTENT_WIDTH)
        self._area = scrolled(inner)
        body = row(self._list, self._area, spacing=18)
        body.setStretch(1, 1)
        self.outer.addLayout(body, 1)
        self.outer.addWidget(SaveBar(self.model))
        self.model.preference_changed.connect(self._preference_changed)
        self.model.failed.connect(self._failed)
        self.model.changed.connect(self._heard)
        self._later = QTimer(self, singleShot=True, interval=0)
        self._later.timeout.connect(self._change_look)
        self.show_section(self.section)
        self.model.fetch()

    def _build_head(self) -> None:
        self.search = Field(hint=tr("Search settings…"), name="settings.search")
        self.search.setAccessibleName(tr("Search settings"))
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icons.icon("search", tokens().muted), Field.ActionPosition.LeadingPosition)
        self.search.setFixedWidth(280)
        self.search.textChanged.connect(self._search)
        self._choice = Choice([(one.key, _title(one.key)) for one in SECTIONS], self.section)
        self._choice.setObjectName("settings.section")
        self._choice.setAccessibleName(tr("Section"))
        self._choice.setMinimumWidth(230)
        self._choice.activated.connect(lambda _place: self.show_section(self._choice.value()))
        self._title = label(tr("Settings"), "title")
        self._subtitle = label("", "hint", wrap=True)
        layout = row(spacing=12)
        layout.addLayout(column(self._title, self._subtitle, spacing=2), 1)
        layout.addWidget(self._choice)
        layout.addWidget(self.search)
        self.outer.addLayout(layout)

    def _build_list(self) -> QFrame:
        frame = QFrame()
        frame.setFixedWidth(SECTION_WIDTH)
        layout = QVBoxLayout(frame)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for one in SECTIONS:
            made = button(tr(one.title), "nav", one.icon, partial(self.show_section, one.key), f"settings.to.{one.key}")
            made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            made.setCheckable(True)
            self._buttons[one.key] = made
            layout.addWidget(made)
        layout.addStretch(1)
        return frame

    def show_section(self, key: str) -> None:
        """Show one section; what was typed elsewhere stays."""
        self.section = key
        self._switching = True
        self.search.clear()
        self._switching = False
        self._mark(key)
        self._choice.set_value(key)
        one = next(section for section in SECTIONS if section.key == key)
        self._subtitle.setText(tr(one.sentence))
        self._fill([self._panel(one)])
        self.moved.emit(f"settings/{key}")

    def _mark(self, key: str) -> None:
        for name, made in self._buttons.items():
            made.setChecked(name == key)
            icon = next(section.icon for section in SECTIONS if section.key == name)
            made.setIcon(icons.icon(icon, tokens().accent_text if name == key else tokens().secondary))

    def _panel(self, one: Section) -> QWidget:
        """The form of a section, under its title."""
        entries: list[QWidget] = [SettingsCard(self.model, of_section(one.key))] if of_section(one.key) else []
        makers: dict[str, Callable[[], list[QWidget]]] = {
            "alerts": lambda: [AlertsPanel(self._session), *entries],
            "workers": lambda: [WorkersPanel(self._session, self.model), *entries],
            "tokens": lambda: [SecretsCard(self._session, ("huggingface", "modelscope", *TRACKER_SECRETS)), *entries],
            "network": lambda: [*entries, SecretsCard(self._session, ("proxy",))],
            "artifacts": lambda: [ArtifactsPanel(self._session, self.model), *entries,
                                  SecretsCard(self._session, (ARTIFACT_SECRET,))],
            "data": lambda: [DataPanel(self._session, self._preferences)],
            "help": lambda: [HelpPanel(self._session, self.navigate.emit)],
        }  # fmt: skip
        parts = makers.get(one.key, lambda: entries)()
        whole = QWidget()
        whole.setLayout(column(*parts, spacing=14))
        return whole

    def _fill(self, widgets: list[QWidget]) -> None:
        while self._holder.count():
            item = self._holder.takeAt(0)
            old = item.widget() if item is not None else None
            if old is not None:
                old.hide()
                old.setParent(None)
                old.deleteLater()
        for widget in widgets:
            self._holder.addWidget(widget)
        self._holder.addStretch(1)
        self._area.verticalScrollBar().setValue(0)

    @Slot(str)
    def _search(self, words: str) -> None:
        if self._switching:
            return
        if not words.strip():
            self.show_section(self.section)
            return
        self._mark("")
        entries = found(words, self._texts)
        shown: list[QWidget] = []
        for one in SECTIONS:
            mine = [entry for entry in entries if entry.section == one.key]
            if mine:
                shown.append(SettingsCard(self.model, mine, tr(one.title)))
            elif all(word in f"{tr(one.title)} {tr(one.sentence)}".lower() for word in words.lower().split()):
                shown.append(SectionCard(one, partial(self.show_section, one.key)))
        self._subtitle.setText(tr("Found in all sections"))
        hint = Hint(
            "search", tr("No setting matches"), tr("Try another word; settings are found by name and sentence.")
        )
        self._fill(shown or [hint])

    @Slot(str)
    def _preference_changed(self, key: str) -> None:
        if key in ("theme", "language"):
            self._later.start()

    @Slot()
    def _change_look(self) -> None:
        get = self._preferences.get
        self.look_wanted.emit(str(get("theme", "system")), str(get("language", "system")))

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._offline.show_error(error if self._session.is_online and not error.problems else None)

    @Slot(str)
    def _heard(self, _key: str) -> None:
        if self.model.stored is not None:
            self._offline.show_error(None)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook: a narrow window has the sections in a list on top."""
        super().resizeEvent(event)
        narrow = self.window().width() < NARROW_WIDTH
        self._list.setVisible(not narrow)
        self._choice.setVisible(narrow)


def _title(key: str) -> str:
    return tr(next(section.title for section in SECTIONS if section.key == key))
