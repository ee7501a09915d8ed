"""Recipes to begin with: the three that ship, and the person's own templates with save, rename, delete."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from forge_desktop.bridge.aside import Aside
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.preset_files import read_preset, write_preset
from forge_desktop.models.presets import Preset, Presets, bundled_presets
from forge_desktop.panels.questions import ask_before, ask_name
from forge_desktop.theme.controls import Segments, button, column, label, row
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import count, labelled, tr, word
from forge_desktop.wizard.fields import written
from forge_desktop.wizard.fit_menu import fit_button
from forge_desktop.wizard.titles import title_of

MOST_NAMED = 5


class PresetBar(QWidget):
    """Which recipe the draft began with, what that changes, and how far it has moved from it."""

    told = Signal(str)
    refused = Signal(object)
    """ErrorBody of a file that could not be taken or written; None once one could."""

    def __init__(self, draft: DraftModel, presets: Presets) -> None:
        super().__init__()
        self._aside = Aside(self)
        self._draft, self._presets = draft, presets
        choices = [(key, word("preset", key)) for key in bundled_presets()]
        self._segments = Segments(choices, name="wizard.preset")
        self._segments.chosen.connect(self.take)
        self._own = button(tr("My templates"), "default", "layers", name="wizard.templates")
        self._menu = QMenu(self._own)
        self._own.setMenu(self._menu)
        self._fit = fit_button(draft, self.told.emit)
        self._says = label("", "hint", wrap=True)
        self._reset = button(tr("Reset to preset"), "link", on_click=self._do_reset, name="wizard.preset.reset")
        above = FlowLayout(None, spacing=10)
        for widget in (label(tr("Preset"), "label"), self._segments, self._own, self._fit):
            above.addWidget(widget)
        below = row(self._says, self._reset, spacing=10)
        below.setStretch(0, 1)
        layout = column(spacing=6)
        layout.addLayout(above)
        layout.addLayout(below)
        self.setLayout(layout)
        draft.changed.connect(self._refresh)
        presets.changed.connect(self._fill)
        self._fill()
        self._refresh()

    @Slot(str)
    def take(self, uid: str) -> None:
        """Apply one by its id."""
        preset = self._presets.find(uid)
        if preset is not None:
            self._draft.apply(preset)
            self._refresh()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        preset, changed = self._draft.preset, len(self._draft.differs())
        self._segments.set_value(preset.id)
        if preset.own:
            self._segments.choose_none()
        text = labelled(preset_name(preset), what_it_changes(preset))
        if changed:
            text += " · " + count(changed, "1 setting differs from it", "{n} settings differ from it")
        self._says.setText(text)
        self._reset.setVisible(bool(changed))

    def _do_reset(self) -> None:
        self._draft.apply(self._draft.preset)

    @Slot()
    def _fill(self) -> None:
        self._menu.clear()
        for preset in self._presets.own():
            inner = self._menu.addMenu(preset.name.replace("&", "&&"))
            inner.addAction(tr("Apply"), partial(self.take, preset.id))
            inner.addAction(tr("Rename…"), partial(self._rename, preset))
            inner.addAction(tr("Export…"), partial(self._ask_export, preset)).setObjectName("template.export")
            inner.addAction(tr("Delete…"), partial(self._delete, preset))
        if not self._menu.isEmpty():
            self._menu.addSeparator()
        self._menu.addAction(tr("Save as template…"), self.save_as)
        self._menu.addAction(tr("Import a template…"), self._ask_import).setObjectName("template.import")

    def save_as(self) -> None:
        """Keep the present recipe under a name."""

        def keep(name: str) -> None:
            self._draft.preset = self._presets.save(name, self._draft.document)
            self._refresh()
            self.told.emit(tr("Template '{name}' is saved.", name=name))

        proposed = self._draft.preset.name or str(self._draft.get("name"))
        ask_name(self, tr("Save as template"), proposed, keep)

    def _rename(self, preset: Preset) -> None:
        ask_name(self, tr("Rename template"), preset.name, lambda name: self._presets.rename(preset.id, name))

    def _ask_export(self, preset: Preset) -> None:
        dialog = QFileDialog(self, tr("Export template"), f"{preset.name}.yaml")
        dialog.setNameFilters([f"{tr('Templates')} (*.yaml *.yml)"])
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("yaml")
        dialog.fileSelected.connect(lambda file: self.export(preset, Path(file)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export(self, preset: Preset, file: Path) -> None:
        """Write a template into a file, to hand it on."""

        def done(_none: None) -> None:
            self.refused.emit(None)
            self.told.emit(tr("Saved as {path}", path=file))

        self._aside.do(lambda: write_preset(preset, preset.name, file), done, self.refused.emit)

    def _ask_import(self) -> None:
        dialog = QFileDialog(self, tr("Import a template"), filter=f"{tr('Templates')} (*.yaml *.yml *.json)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda file: self.import_file(Path(file)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def import_file(self, file: Path) -> None:
        """Keep the template of a file, asking first where one of its name would go, and apply it."""
        self._aside.do(lambda: read_preset(file), lambda read: self._imported(*read), self.refused.emit)

    def _imported(self, name: str, settings: dict[str, Any]) -> None:
        self.refused.emit(None)

        def keep() -> None:
            made = self._presets.add(name, settings)
            self.take(made.id)
            self.told.emit(tr("Template '{name}' is saved.", name=name))

        if any(one.name == name for one in self._presets.own()):
            title = tr("Replace the template '{name}'?", name=name)
            ask_before(self, title, tr("Runs made with it stay as they are."), tr("Replace"), "template.replace", keep)
        else:
            keep()

    def _delete(self, preset: Preset) -> None:
        text = tr("Runs made with it stay as they are.")
        title = tr("Delete the template '{name}'?", name=preset.name)
        ask_before(self, title, text, tr("Delete"), "template.delete", lambda: self._presets.delete(preset.id))


def preset_name(preset: Preset) -> str:
    """What a recipe is called."""
    return preset.name or word("preset", preset.id)


def what_it_changes(preset: Preset) -> str:
    """The settings it has other than the defaults, the first few by name."""
    if not preset.settings:
        return tr("every setting at its default")
    named = [
        labelled(title_of(path), written(value) or tr("empty"))
        for path, value in list(preset.settings.items())[:MOST_NAMED]
        if not isinstance(value, bool)
    ]
    more = len(preset.settings) - len(named)
    text = " · ".join(named)
    return f"{text} · {count(more, '1 more', '{n} more')}" if more > 0 else text
