"""Step 2: the dataset. Its form is recognised, its first rows are shown as the model will see them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QWidget

from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.recents import Recents
from forge_desktop.theme.controls import Card, Field, button, column, label, row
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import percent
from forge_desktop.wizard.data_source import DataSourceCard, dropped_paths
from forge_desktop.wizard.fields import FoldedForm, Form, SettingField
from forge_desktop.wizard.places import pick_files, show_problem
from forge_desktop.wizard.rows_card import RowsCard

MIX = [
    "data.validation_by",
    "data.group_column",
    "data.order",
    "data.shuffle_buffer",
    "data.self_cognition.name",
    "data.self_cognition.author",
    "data.self_cognition.rows",
]


class DataStep(QWidget):
    """Choose rows; see them."""

    def __init__(self, draft: DraftModel, recents: Recents) -> None:
        super().__init__()
        self._draft = draft
        self.setAcceptDrops(True)
        self.source = DataSourceCard(draft, recents)
        apart = Card(tr("Rows to measure on"))
        self._validation = _FilesLine(
            draft, "data.validation", tr("Validation rows"), self._set_validation, tr("empty: a share of the rows")
        )
        self._held_out = _FilesLine(
            draft, "evaluation.data", tr("Held-out rows"), draft.set_held_out, tr("empty: nothing is measured")
        )
        share = Form(draft, ["data.validation_share"], columns=1, special={"data.validation_share": self._share})
        text = tr("Their loss is measured while training goes on; it is never learned from.")
        parts = (label(text, "hint", wrap=True), self._validation, share)
        for part in parts:
            apart.body.addWidget(part)
        text = tr("Questions with known answers the model never trains on. They are asked before and after training.")
        apart.body.addWidget(label(text, "hint", wrap=True))
        apart.body.addWidget(self._held_out)
        mix = FoldedForm(draft, tr("Order, groups and self-cognition"), MIX, "wizard.fold.mix", self._mixed)
        self.setLayout(column(self.source, RowsCard(draft), apart, mix, None, spacing=14))

    def focus_first(self) -> None:
        """Where the keyboard begins."""
        self.source.focus_first()

    def _mixed(self) -> str:
        said, name = word("choice", str(self._draft.get("data.order"))), self._draft.get("data.self_cognition.name")
        return f"{said} · {name}" if name else said

    def _set_validation(self, path: str) -> None:
        self._draft.set_validation([path] if path else [])

    def _share(self, draft: DraftModel, path: str) -> SettingField:
        def said() -> str:
            if draft.get("data.validation"):
                return tr("Not used: validation rows are named above.")
            share = draft.get(path)
            return (
                tr("{share} of the training rows", share=percent(share, 1))
                if isinstance(share, float) and share
                else ""
            )

        return SettingField(draft, path, said)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Qt's own hook: files and folders may be dropped; a single config is the wizard's."""
        paths = dropped_paths(event)
        if paths and not all(path.endswith((".yaml", ".yml")) for path in paths):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Qt's own hook."""
        self._draft.add_data(dropped_paths(event))
        event.acceptProposedAction()


class _FilesLine(QWidget):
    """A list of datasets that mostly holds one file: a field, a button, and the problem below."""

    def __init__(self, draft: DraftModel, at: str, title: str, take: Callable[[str], object], hint: str) -> None:
        super().__init__()
        self._draft, self._at, self._title, self._take = draft, at, title, take
        self._name = f"wizard.data.{'held_out' if at.startswith('evaluation') else 'validation'}"
        self._field = Field(hint=hint, name=self._name)
        self._field.setAccessibleName(title)
        self._field.editingFinished.connect(self._typed)
        browse = button(tr("Browse…"), "default", "folder-open", self._pick, name=f"{self._name}.browse")
        self._problem = label("", "hint", tone="bad", wrap=True)
        line = row(self._field, browse, spacing=8)
        line.setStretch(0, 1)
        layout = column(label(title, "label"), spacing=5)
        layout.addLayout(line)
        layout.addWidget(self._problem)
        self.setLayout(layout)
        draft.changed.connect(self._refresh)
        draft.checked.connect(self._refresh)
        self._refresh()

    def _text(self) -> str:
        return ", ".join(str(source["path"]) for source in self._draft.get(self._at))

    @Slot()
    def _refresh(self, *_news: object) -> None:
        if self._field.text() != self._text() and not self._field.hasFocus():
            self._field.setText(self._text())
        places = range(len(self._draft.get(self._at)))
        wrong = [one for place in places for one in self._draft.problems_of(f"{self._at}.{place}.path")]
        show_problem(self._problem, self._field, wrong)

    def _typed(self) -> None:
        if self._field.text().strip() != self._text():
            self._take(self._field.text().strip())

    def _pick(self) -> None:
        pick_files(self, self._title, lambda files: self._take(files[0]), several=False)
