"""Choosing the model whose eyes are used: the bundled one, those used lately, or a folder."""

from __future__ import annotations

from PySide6.QtWidgets import QFileDialog, QWidget

from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.recents import Recents
from forge_desktop.models.xray_model import DEMO, XrayModel
from forge_desktop.theme.controls import Choice
from forge_desktop.theme.language import tr, word

FOLDER = "folder"


class ModelChoice(Choice):
    """A closed list; its last entry asks for a folder."""

    def __init__(self, model: XrayModel, preferences: Preferences, parent: QWidget) -> None:
        super().__init__()
        self._model, self._parent = model, parent
        self.setObjectName("xray.model")
        self.setAccessibleName(tr("Model"))
        self.setMinimumContentsLength(20)
        self._places: list[tuple[str, str]] = [DEMO]
        for place in [model.model, *Recents(preferences).models()]:
            if place not in self._places:
                self._places.append(place)
        self._fill()
        self.activated.connect(self._choose)

    def _fill(self) -> None:
        self.clear()
        for path, hub in self._places:
            name = tr("Bundled demo model") if (path, hub) == DEMO else f"{path.rstrip('/').rpartition('/')[2]}"
            self.addItem(name if hub in ("bundled", "local") else f"{path} · {word('choice', hub)}", (path, hub))
        self.addItem(tr("Folder…"), FOLDER)
        self._show()

    def _show(self) -> None:
        self.setCurrentIndex(self._places.index(self._model.model))

    def _choose(self, place: int) -> None:
        if place < len(self._places):
            self._model.set_model(*self._places[place])
            return
        self._show()
        dialog = QFileDialog(self._parent, tr("Folder of a model"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(self._took)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _took(self, folder: str) -> None:
        if (folder, "local") not in self._places:
            self._places.append((folder, "local"))
        self._model.set_model(folder, "local")
        self._fill()
