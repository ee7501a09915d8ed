"""Questions that are asked once before something would be lost; the safe answer is the default."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialogButtonBox, QInputDialog, QLabel, QLineEdit, QMessageBox, QWidget

from forge_desktop.theme.language import tr

WIDTH = 320
MARGIN = 24


def ask_before(parent: QWidget, title: str, text: str, yes: str, name: str, do: Callable[[], object]) -> None:
    """Ask, naming what is lost; `do` happens only when the person says so."""
    box = question(parent, title, text)
    gone = box.addButton(yes, QMessageBox.ButtonRole.DestructiveRole)
    gone.setObjectName(name)
    keep = box.addButton(tr("Keep"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.finished.connect(lambda _code: do() if answer_to(box) == name else None)
    box.open()


def ask_name(parent: QWidget, title: str, proposed: str, take: Callable[[str], object]) -> None:
    """Ask for a name; nothing happens without one."""
    dialog = QInputDialog(parent)
    dialog.setObjectName("name")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(title)
    dialog.setLabelText(tr("Name"))
    dialog.setTextEchoMode(QLineEdit.EchoMode.Normal)
    dialog.setTextValue(proposed)
    dialog.setMinimumWidth(360)
    dialog.textValueSelected.connect(lambda name: take(name.strip()[:80]) if name.strip() else None)
    dialog.open()


def answer_to(box: QMessageBox) -> str:
    """The name of the answer that was given, or an empty text.

    By name, since Python may meet one and the same button as two objects, and then an answer would be lost."""
    pressed = box.clickedButton()
    return pressed.objectName() if pressed is not None else ""


class _Question(QMessageBox):
    """Its answers stand below each other on a screen that is too narrow for them side by side."""

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook."""
        answers = self.findChild(QDialogButtonBox)
        if answers is not None and answers.sizeHint().width() > self.screen().availableGeometry().width() - 2 * MARGIN:
            answers.setOrientation(Qt.Orientation.Vertical)
        super().showEvent(event)


def question(parent: QWidget, title: str, text: str) -> QMessageBox:
    """A message box with a question and no answers yet."""
    box = _Question(parent)
    box.setObjectName("question")
    box.setIcon(QMessageBox.Icon.NoIcon)
    box.setWindowTitle(title)
    box.setText(title)
    box.setInformativeText(text)
    said = box.findChild(QLabel, "qt_msgbox_informativelabel")
    if said is not None:  # by itself it is as wide as the buttons, and then very tall
        said.setMinimumWidth(WIDTH)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return box
