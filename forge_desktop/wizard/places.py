"""Small parts that several steps of the wizard share: file dialogs, recent places, the problem below a field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath

from PySide6.QtWidgets import QFileDialog, QLabel, QMenu, QPushButton, QWidget

from engine.contract.errors import Problem
from engine.contract.preflight import DATA_SUFFIXES
from forge_desktop.models.recents import Place
from forge_desktop.theme.controls import Field, button, restyle, set_enabled
from forge_desktop.theme.language import problem_text, tr, word
from forge_desktop.wizard.fields import sign_of

FILES = " ".join(f"*{ending}" for ending in DATA_SUFFIXES)


def pick_files(parent: QWidget, title: str, chosen: Callable[[list[str]], object], several: bool = True) -> None:
    """Ask for dataset files."""
    dialog = QFileDialog(parent, title, filter=f"{tr('Datasets')} ({FILES});;{tr('All files')} (*)")
    dialog.setFileMode(QFileDialog.FileMode.ExistingFiles if several else QFileDialog.FileMode.ExistingFile)
    dialog.filesSelected.connect(lambda files: chosen(list(files)))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()


def pick_folder(parent: QWidget, title: str, chosen: Callable[[str], object]) -> None:
    """Ask for a folder."""
    dialog = QFileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()


def recent_button(
    name: str, places: Callable[[], Sequence[Place]], chosen: Callable[[str, str], object]
) -> QPushButton:
    """A button with a menu of what was used lately."""
    made = button(tr("Recent"), "default", "clock", name=name)
    menu = QMenu(made)
    made.setMenu(menu)

    def fill() -> None:
        menu.clear()
        for path, hub in places():
            action = menu.addAction(f"{short(path)} · {word('choice', hub)}")
            action.setToolTip(path)
            action.triggered.connect(lambda _checked=False, path=path, hub=hub: chosen(path, hub))

    menu.aboutToShow.connect(fill)
    fill()
    set_enabled(made, bool(places()), tr("Nothing was used yet."))
    return made


def short(path: str) -> str:
    """The last two parts of a path."""
    return "/".join(PurePath(path).parts[-2:]) or path


def show_problem(below: QLabel, field: Field, problems: Sequence[Problem]) -> None:
    """The first problem under a field, or nothing."""
    below.setText(sign_of("bad") + problem_text(problems[0]) if problems else "")
    below.setVisible(bool(problems))
    restyle(field, tone="bad" if problems else "")
