"""Saved searches: a menu that recalls them, a question for the name, and a list to rename and delete them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QMenu, QWidget

from forge_desktop.models.runs_model import Question, RunsModel
from forge_desktop.models.saved_searches import SavedSearches
from forge_desktop.theme.controls import Field, button, column, label, row, set_enabled
from forge_desktop.theme.language import tr


def fill_saved_menu(
    menu: QMenu, saved: SavedSearches, model: RunsModel, recall: Callable[[Question], object], parent: QWidget
) -> None:
    """Every saved search, saving the present one, and managing them."""
    for name in saved.names:
        question = saved.question(name)
        if question is None:
            continue
        action = menu.addAction(name.replace("&", "&&"), partial(recall, question))
        action.setCheckable(True)
        action.setChecked(question == model.question)
    if not saved.names:
        menu.addAction(tr("No search is saved yet")).setEnabled(False)
    menu.addSeparator()
    menu.addAction(tr("Save this search…"), lambda: NameDialog(saved, model.question, parent).open())
    manage = menu.addAction(tr("Manage saved searches…"), lambda: ManageDialog(saved, parent).open())
    manage.setEnabled(bool(saved.names))


class NameDialog(QDialog):
    """Asks for a name."""

    def __init__(self, saved: SavedSearches, question: Question, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("saved.name")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Save this search"))
        self.setMinimumWidth(400)
        self._saved, self._question = saved, question
        self.name = Field(question.search, name="saved.name.field")
        self.name.setAccessibleName(tr("Name"))
        self.name.selectAll()
        self._hint = label(tr("Search, filter and order are kept under this name."), "hint", wrap=True)
        self._save = button(tr("Save"), "primary", on_click=self._done, name="saved.name.save")
        self._save.setDefault(True)
        layout = column(label(self.windowTitle(), "card-title"), self.name, self._hint, spacing=12)
        layout.setContentsMargins(20, 18, 20, 18)
        layout.addLayout(row(None, button(tr("Cancel"), on_click=self.reject), self._save))
        self.setLayout(layout)
        self.name.textChanged.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        name = self.name.text().strip()
        set_enabled(self._save, bool(name), tr("Give it a name first."))
        taken = tr("There is one with this name: it is replaced.")
        plain = tr("Search, filter and order are kept under this name.")
        self._hint.setText(taken if name in self._saved.names else plain)

    def _done(self) -> None:
        name = self.name.text().strip()
        if name:
            self._saved.save(name, self._question)
            self.accept()


class ManageDialog(QDialog):
    """Double click or F2 renames, Delete deletes."""

    def __init__(self, saved: SavedSearches, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("saved.manage")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Saved searches"))
        self.resize(440, 360)
        self._saved = saved
        self.list = QListWidget()
        self.list.setProperty("role", "boxed")
        self.list.setObjectName("saved.manage.list")
        self.list.setAccessibleName(tr("Saved searches"))
        self._rename = button(tr("Rename"), on_click=self._edit, name="saved.manage.rename")
        self._delete = button(tr("Delete"), "danger", on_click=self._gone, name="saved.manage.delete")
        layout = column(label(self.windowTitle(), "card-title"), spacing=12, margins=(20, 18, 20, 18))
        layout.addWidget(self.list, 1)
        close = button(tr("Close"), on_click=self.accept)
        layout.addLayout(row(self._rename, self._delete, None, close))
        self.setLayout(layout)
        self._fill()
        self.list.itemChanged.connect(self._renamed)
        self.list.currentItemChanged.connect(self._refresh)
        self._refresh()

    def _fill(self) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        for name in self._saved.names:
            item = QListWidgetItem(name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            item.setData(Qt.ItemDataRole.UserRole, name)
            self.list.addItem(item)
        self.list.blockSignals(False)
        self.list.setCurrentRow(0)

    @Slot()
    def _refresh(self) -> None:
        chosen = self.list.currentItem() is not None
        for made in (self._rename, self._delete):
            set_enabled(made, chosen, tr("Choose one first."))

    def _edit(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.list.editItem(item)

    @Slot(QListWidgetItem)
    def _renamed(self, item: QListWidgetItem) -> None:
        old = str(item.data(Qt.ItemDataRole.UserRole))
        if item.text().strip() != old:
            self._saved.rename(old, item.text().strip())
            self._fill()

    def _gone(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self._saved.delete(str(item.data(Qt.ItemDataRole.UserRole)))
            self._fill()
            self._refresh()
