"""The card that chooses a model or a dataset: the bundled one, or a path that is typed, picked or dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QButtonGroup, QFileDialog, QLabel, QPushButton, QWidget

from engine.contract.errors import Problem
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Card, Field, button, label, restyle, row
from forge_desktop.theme.language import problem_text, tr


@dataclass(frozen=True)
class SourceTexts:
    """What one such card says, in the language in force."""

    title: str
    bundled: tuple[str, str]
    local: tuple[str, str]
    hint: str
    picker: str
    filter: str = ""
    """For files; without one a folder is picked."""


class SourceCard(Card):
    """Writes to the draft through `take_bundled` and `take_path`; shows the problem of its path."""

    def __init__(
        self,
        draft: DraftModel,
        at: str,
        texts: SourceTexts,
        take_bundled: Callable[[], object],
        take_path: Callable[[str], object],
    ) -> None:
        super().__init__(texts.title)
        self._draft, self._at, self._texts, self._take_path = draft, at, texts, take_path
        name = f"wizard.{at.partition('.')[0]}"
        self._bundled = choice(*texts.bundled, name=f"{name}.demo")
        self._local = choice(*texts.local, name=f"{name}.local")
        group = QButtonGroup(self)
        group.addButton(self._bundled)
        group.addButton(self._local)
        self._bundled.clicked.connect(lambda: take_bundled())
        self._local.clicked.connect(self._pick)
        self._path = Field(hint=texts.hint, name=f"{name}.path")
        self._path.setAccessibleName(texts.picker)
        self._path.textEdited.connect(self._typed)
        self._path.editingFinished.connect(self._finished)
        self._pending = False
        browse = button(tr("Browse…"), "default", "folder-open", self._pick, name=f"{name}.browse")
        self._problem = label("", "hint", tone="bad", wrap=True)
        for widgets, stretches in (((self._bundled, self._local), (1, 1)), ((self._path, browse), (1, 0))):
            line = row(*widgets, spacing=10)
            for place, stretch in enumerate(stretches):
                line.setStretch(place, stretch)
            self.body.addLayout(line)
        self.body.addWidget(self._problem)
        draft.changed.connect(self._refresh)
        draft.checked.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        path, bundled = str(self._draft.get(f"{self._at}.path")), self._draft.get(f"{self._at}.hub") == "bundled"
        self._bundled.setChecked(bundled)
        self._local.setChecked(not bundled and bool(path))
        shown = "" if bundled else path
        if self._path.text() != shown:
            self._path.setText(shown)
        problems = self._draft.problems_of(f"{self._at}.path") if path else []
        show_problem(self._problem, self._path, problems)

    def _typed(self, text: str) -> None:
        self._pending = True
        self._draft.set(f"{self._at}.hub", "local")
        self._draft.set(f"{self._at}.path", text.strip())

    def _finished(self) -> None:
        """Leaving the field takes what was typed; leaving it untouched changes nothing."""
        if self._pending and self._path.text().strip():
            self._take(self._path.text().strip())

    def _take(self, path: str) -> None:
        self._pending = False
        self._take_path(path)

    def _pick(self) -> None:
        pick(self, self._texts.picker, self._texts.filter, self._take, self._refresh)


def choice(title: str, sentence: str, name: str) -> QPushButton:
    """A large button with a title and a sentence."""
    made = button(f"{title}\n{sentence}", "choice", name=name)
    made.setAccessibleName(title)
    made.setCheckable(True)
    return made


def pick(
    parent: QWidget, title: str, files: str, chosen: Callable[[str], object], done: Callable[[], object] | None = None
) -> None:
    """Ask for a file that passes the filter, or without one for a folder."""
    dialog = QFileDialog(parent, title, filter=f"{files};;{tr('All files')} (*)" if files else "")
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile if files else QFileDialog.FileMode.Directory)
    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    if done is not None:
        dialog.finished.connect(lambda _result: done())
    dialog.open()


def show_problem(below: QLabel, field: Field, problems: list[Problem]) -> None:
    """The first problem under a field, or nothing."""
    below.setText(problem_text(problems[0]) if problems else "")
    below.setVisible(bool(problems))
    restyle(field, tone="bad" if problems else "")
