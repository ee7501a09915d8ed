"""Configs in and out of the wizard as files: read and written beside the window's thread, refused whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QFileDialog, QWidget

from engine.contract.config_file import anchored, read_config, to_json, to_yaml
from engine.contract.durable import write_durably
from engine.contract.errors import ErrorBody, UserError
from engine.contract.run_spec import RunConfig
from forge_desktop.bridge.aside import Aside
from forge_desktop.theme.language import tr

SUFFIXES = (".yaml", ".yml", ".json")


class ConfigFiles:
    """Asks for files and does the work."""

    def __init__(self, parent: QWidget, failed: Callable[[ErrorBody], object]) -> None:
        self._parent, self._failed = parent, failed
        self._aside = Aside(parent)

    def ask_import(self, take: Callable[[str], object]) -> None:
        """Which file to read."""
        dialog = QFileDialog(self._parent, tr("Import config"), filter=f"{tr('Run configs')} (*.yaml *.yml *.json)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(take)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def read(self, file: str, done: Callable[[dict[str, Any]], object]) -> None:
        """The document of a config file, its paths made absolute."""
        path = Path(file)
        self._aside.do(lambda: anchored(read_config(path), path.parent).document(), done, self._failed)

    def ask_export(self, config: RunConfig, done: Callable[[str], object]) -> None:
        """Where to write."""
        dialog = QFileDialog(self._parent, tr("Export config"), f"{config.name}.yaml")
        dialog.setNameFilters([f"{tr('Run configs')} (*.yaml *.yml)", "JSON (*.json)"])
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("yaml")
        dialog.fileSelected.connect(lambda file: self.write(config, file, done))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def write(self, config: RunConfig, file: str, done: Callable[[str], object]) -> None:
        """The config as a file: JSON where its name says so, else YAML."""
        text = to_json(config) + "\n" if file.endswith(".json") else to_yaml(config)
        self._aside.do(lambda: _write(Path(file), text), lambda _none: done(file), self._failed)


def _write(path: Path, text: str) -> None:
    try:
        write_durably(path, text.encode())
    except OSError as error:
        raise UserError("desktop.file_unwritable", file=str(path), detail=error.strerror or str(error)) from error
