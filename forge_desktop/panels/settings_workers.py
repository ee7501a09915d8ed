"""Worker environments: those there are, and making a new one with progress."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from engine.contract.environments import Environment, MakeEnvironment
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.session import Session
from forge_desktop.models.environments_model import EnvironmentsModel
from forge_desktop.models.settings_model import SettingsModel
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.questions import ask_before
from forge_desktop.panels.settings_environment import EnvironmentLine
from forge_desktop.theme.controls import (
    Card,
    Field,
    Segments,
    button,
    clear,
    column,
    label,
    line,
    restyle,
    row,
    set_enabled,
)
from forge_desktop.theme.language import sentences, tr, word
from forge_desktop.theme.measures import size


class WorkersPanel(QWidget):
    """The list, and the form for a new one."""

    def __init__(self, session: Session, settings: SettingsModel) -> None:
        super().__init__()
        self._session, self._settings = session, settings
        self.model = EnvironmentsModel(session, self)
        self._lines: dict[str, EnvironmentLine] = {}
        self._error = ErrorCard("environments.error")
        self._card = Card(tr("Environments"), margins=(20, 16, 20, 18))
        self._again = button(tr("Look again"), "link", "refresh-cw", self._look, name="environments.again")
        self._card.head.addStretch(1)
        self._card.head.addWidget(self._again)
        self._empty = label(tr("The job controller is being asked."), "hint", wrap=True)
        self._empty.setObjectName("environments.empty")
        self._rows = QVBoxLayout()
        self._rows.setSpacing(12)
        self._card.body.addWidget(self._empty)
        self._card.body.addLayout(self._rows)
        self._new = NewEnvironment(self.model)
        self.setLayout(column(self._error, self._card, self._new, spacing=14))
        self.model.changed.connect(self._refresh)
        self.model.failed.connect(self._error.show_error)
        session.offline.connect(self._away)
        self.model.fetch()

    @Slot()
    def _refresh(self) -> None:
        known = self.model.known
        if known is None:
            return
        self._new.show_known(known.free_bytes, known.download_bytes, known.disk_bytes)
        names = [one.name for one in known.environments]
        if names != list(self._lines):
            self._lines.clear()
            clear(self._rows)
            for place, one in enumerate(known.environments):
                if place:
                    self._rows.addWidget(line())
                self._lines[one.name] = EnvironmentLine(one, self._do)
                self._rows.addWidget(self._lines[one.name])
        for one in known.environments:
            self._lines[one.name].show_environment(one, known.fixed_by)
        self._empty.setText(tr("There is none yet. Training needs one: make it below."))
        self._empty.setVisible(not names)
        self._again.setEnabled(True)

    @Slot(object)
    def _away(self, _error: ErrorBody) -> None:
        if self.model.known is None:
            self._empty.setText(tr("The job controller does not answer; they are shown when it does."))

    def _look(self) -> None:
        self._error.show_error(None)
        self.model.fetch(True)

    def _do(self, what: str, one: Environment) -> None:
        self._error.show_error(None)
        if what == "use":
            self._settings.write("worker_python", one.python)
        elif what == "again":
            self.model.make(MakeEnvironment(name=one.name, build=one.build or "cpu"))
        elif what == "cancel":
            self.model.end(one.name, "cancel")
        else:
            freed = tr("{size} are freed.", size=size(one.bytes)) if one.bytes else ""
            text = sentences(freed, tr("Runs cannot start without an environment.")) if one.in_use else freed
            ask_before(self, tr("Delete the environment '{name}'?", name=one.name), text, tr("Delete"),
                       "environment.yes", lambda: self.model.end(one.name, "delete"))  # fmt: skip


class NewEnvironment(Card):
    """Name, build, what it takes, and the button."""

    def __init__(self, model: EnvironmentsModel) -> None:
        super().__init__(tr("New environment"), margins=(20, 16, 20, 18))
        self._model = model
        self._free, self._download, self._disk = 0, dict[str, int](), dict[str, int]()
        self._links = ""
        self.name = Field("default", name="environment.name")
        self.name.setAccessibleName(tr("Name"))
        self.name.textChanged.connect(self._refresh)
        builds = [(build, word("build", build)) for build in ("cpu", "cuda")]
        self.build = Segments(builds, "cpu", name="environment.build")
        self.build.setAccessibleName(tr("Build"))
        self.build.chosen.connect(self._refresh)
        self._takes = label("", "hint", wrap=True)
        self._takes.setObjectName("environment.takes")
        self._from = label("", "hint", wrap=True)
        folder = button(tr("From a folder of packages…"), "link", "folder-open", self._choose, name="environment.from")
        self.make = button(tr("Make it"), "primary", "plus", self._make, name="environment.make")
        fields = row(spacing=16)
        fields.addLayout(column(label(tr("Name"), "label"), self.name, spacing=5), 1)
        fields.addLayout(column(label(tr("Build"), "label"), self.build, spacing=5))
        self.body.addLayout(fields)
        last = row(self._takes, self.make, spacing=16)
        last.setStretch(0, 1)
        self.body.addLayout(last)
        self.body.addLayout(row(folder, self._from, None))
        self._refresh()

    def show_known(self, free: int, download: dict[str, int], disk: dict[str, int]) -> None:
        """What the controller knows of room and sizes."""
        self._free, self._download, self._disk = free, download, disk
        self._refresh()

    @Slot()
    def _refresh(self, _changed: str = "") -> None:
        build = self.build.value()
        known, needed = bool(self._disk), self._disk.get(build, 0)
        small = known and not self._links and needed > self._free
        text = tr("About {download} to fetch; up to {disk} on the disk, where {free} are free.",
                  download=size(self._download.get(build, 0)), disk=size(needed), free=size(self._free))  # fmt: skip
        self._takes.setText(text if known else "")
        restyle(self._takes, tone="bad" if small else "")
        self._from.setText(tr("From {folder}, without the network", folder=self._links) if self._links else "")
        why = tr("There is not enough room.") if small else tr("The job controller does not answer.")
        set_enabled(self.make, known and not small and bool(self.name.text().strip()), why)

    def _choose(self) -> None:
        self._links = QFileDialog.getExistingDirectory(self, tr("Folder of packages (wheel files)"), self._links)
        self._refresh()

    def _make(self) -> None:
        build = "cuda" if self.build.value() == "cuda" else "cpu"
        wish = MakeEnvironment(name=self.name.text().strip(), build=build, find_links=self._links)  # type: ignore[arg-type]
        self._model.make(wish)
