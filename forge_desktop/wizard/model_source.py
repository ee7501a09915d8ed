"""The card that chooses a base model: from the catalogue, a folder, a hub id or a web address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from engine.contract.catalogue import well_formed
from engine.contract.scratch import HUB
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.recents import Recents
from forge_desktop.theme.controls import Card, Field, Segments, button, column, label, restyle, row
from forge_desktop.theme.language import problem_text, tr, word
from forge_desktop.theme.later import Later
from forge_desktop.wizard.catalogue_panel import CataloguePanel
from forge_desktop.wizard.fields import SettingField, sign_of
from forge_desktop.wizard.places import pick_folder, recent_button
from forge_desktop.wizard.scratch_panel import ScratchPanel

WAYS = (
    ("catalogue", "Catalogue"),
    ("local", "Folder"),
    ("hub", "Hub id"),
    ("url", "Web address"),
    ("scratch", "From scratch"),
)
HUBS = ("huggingface", "modelscope")


class ModelSource(Card):
    """Writes to the draft; says what is wrong with the place while it is typed."""

    navigate = Signal(str)

    def __init__(self, draft: DraftModel, session: Session, recents: Recents) -> None:
        super().__init__(tr("Base model"))
        self._draft, self._pending = draft, False
        self.setAcceptDrops(True)
        self._way = Segments([(key, tr(text)) for key, text in WAYS], name="wizard.model.source")
        self._way.chosen.connect(self._show_way)
        recent = recent_button("wizard.model.recent", recents.models, self._take_recent)
        self.head.addStretch(1)
        self.head.addWidget(recent)
        self.body.addLayout(row(self._way, None))
        self._catalogue = CataloguePanel(draft, session)
        self.body.addWidget(self._catalogue, 1)
        self._place = self._place_form()
        self.body.addWidget(self._place)
        self._scratch = Later(lambda: ScratchPanel(draft))
        self.body.addWidget(self._scratch)
        draft.changed.connect(self._refresh)
        draft.checked.connect(self._say_problem)
        self._way.set_value(self._way_of_draft())
        self._show_way(self._way.value())
        self._refresh()

    def _place_form(self) -> QWidget:
        made = QWidget()
        self._hub = Segments([(hub, word("choice", hub)) for hub in HUBS], HUBS[0], "wizard.model.hub")
        self._hub.chosen.connect(self._hub_chosen)
        self._path = Field(name="wizard.model.path")
        self._path.textEdited.connect(self._typed)
        self._path.editingFinished.connect(self._finished)
        self._browse = button(tr("Browse…"), "default", "folder-open", self._pick, name="wizard.model.browse")
        self._line: QHBoxLayout = row(self._hub, self._path, self._browse, spacing=10)
        self._line.setStretch(1, 1)
        self._problem = label("", "hint", wrap=True)
        self._token = button(tr("Set a token in Settings"), "link", name="wizard.model.token")
        self._token.clicked.connect(lambda: self.navigate.emit("settings/hubs"))
        self._revision = SettingField(self._draft, "model.revision")
        self._trust = SettingField(self._draft, "model.trust_remote_code", self._trust_warning)
        layout = column(spacing=8)
        layout.addLayout(self._line)
        layout.addWidget(self._problem)
        layout.addLayout(row(self._token, None))
        options = row(self._revision, self._trust, spacing=20)
        options.setStretch(0, 1)
        options.setStretch(1, 1)
        layout.addLayout(options)
        made.setLayout(layout)
        return made

    def focus_first(self) -> None:
        """Where the keyboard begins in this step."""
        if self._way.value() == "catalogue":
            self._catalogue.focus_first()
        else:
            self._path.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _way_of_draft(self) -> str:
        hub, path = str(self._draft.get("model.hub")), str(self._draft.get("model.path"))
        if hub == HUB:
            return hub
        if not path or hub == "bundled" or self._draft.listed is not None:
            return "catalogue"
        return "hub" if hub in HUBS else hub

    @Slot(str)
    def _show_way(self, way: str) -> None:
        self._catalogue.setVisible(way == "catalogue")
        if way == HUB:
            self._scratch.made()
        self._scratch.setVisible(way == HUB)
        self._place.setVisible(way != HUB)
        self._hub.setVisible(way == "hub")
        self._browse.setVisible(way == "local")
        self._path.setVisible(way != "catalogue")
        hints = {"local": tr("/path/to/model"), "hub": tr("owner/name"), "url": "https://"}
        names = {"local": tr("Model folder"), "hub": tr("Hub id"), "url": tr("Web address")}
        self._path.setPlaceholderText(hints.get(way, ""))
        self._path.setAccessibleName(names.get(way, tr("Base model")))
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        hub, path, way = str(self._draft.get("model.hub")), str(self._draft.get("model.path")), self._way.value()
        mine = hub == way or (way == "hub" and hub in HUBS)
        if hub in HUBS:
            self._hub.set_value(hub)
        shown = path if mine else ""
        if self._path.text().strip() != shown:
            self._path.setText(shown)
        self._revision.setVisible(hub in HUBS)
        self._trust.setVisible(hub != "bundled" and bool(path))
        self._say_problem()

    @Slot()
    def _say_problem(self) -> None:
        text, tone = self.problem()
        self._problem.setText(sign_of(tone) + text)
        self._problem.setVisible(bool(text))
        restyle(self._problem, tone=tone)
        restyle(self._path, tone=tone if tone == "bad" else "")
        listed = self._draft.listed
        self._token.setVisible(bool(listed and listed.size.gated and self._draft.get("model.hub") == "huggingface"))

    def problem(self) -> tuple[str, str]:
        """What is wrong with the place, as text and tone."""
        path, hub = str(self._draft.get("model.path")), str(self._draft.get("model.hub"))
        if not path:
            return "", ""
        if hub in HUBS and not well_formed(path):
            return tr("A hub id is written owner/name, such as Qwen/Qwen3-8B."), "bad"
        if hub == "url" and not _is_address(path):
            return tr("Write an address that begins with https:// or http://."), "bad"
        problems = self._draft.problems_of("model.path") + self._draft.problems_of("model.hub")
        if problems:
            return problem_text(problems[0]), "bad"
        listed = self._draft.listed
        if listed is not None and listed.size.gated and hub == "huggingface":
            return tr("Its makers give it only to accounts that accepted their terms: a token is needed."), "warn"
        return "", ""

    def _trust_warning(self) -> str:
        if self._draft.get("model.trust_remote_code"):
            return tr("Its Python code will run with your rights: it can read and change your files.")
        return ""

    def _typed(self, text: str) -> None:
        self._pending = True
        way = self._way.value()
        self._draft.set("model.hub", self._hub.value() if way == "hub" else way)
        self._draft.set("model.path", text.strip())

    def _finished(self) -> None:
        """Leaving the field takes what was typed; leaving it untouched changes nothing."""
        if self._pending and self._path.text().strip():
            self._take(self._path.text().strip())

    def _take(self, path: str) -> None:
        self._pending = False
        way = self._way.value()
        self._draft.set_model(path, self._hub.value() if way == "hub" else way)

    def _hub_chosen(self, hub: str) -> None:
        if self._path.text().strip():
            self._draft.set_model(self._path.text().strip(), hub)

    def _take_recent(self, path: str, hub: str) -> None:
        self._draft.set_model(path, hub)
        self.show_draft()

    def show_draft(self) -> None:
        """Turn to the way the draft's model came."""
        self._way.set_value(self._way_of_draft())
        self._show_way(self._way.value())

    def _pick(self) -> None:
        pick_folder(self, tr("Model folder"), self.take_folder)

    def take_folder(self, folder: str) -> None:
        """A folder that was picked or dropped."""
        self._draft.set_model(folder, "local")
        self.show_draft()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Qt's own hook: one folder (or a file of it) may be dropped."""
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile() and not urls[0].toLocalFile().endswith((".yaml", ".yml")):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Qt's own hook."""
        dropped = Path(event.mimeData().urls()[0].toLocalFile())
        self.take_folder(
            str(dropped.parent if dropped.name == "config.json" or dropped.suffix == ".safetensors" else dropped)
        )
        event.acceptProposedAction()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
