"""The pictures in docs/screens: every page and dialog in light and dark, in English and Chinese.

    python -m tests.desktop.screenshots [FOLDER]      (or `make screenshots`)

walks the states of the contact sheets once in each look, and puts the four looks of a state on one picture. The
index beside them says what each shows. Looks are taken in processes of their own, so that two cores help.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from engine.contract.events import JournalLine
from engine.contract.paths import Home
from forge_desktop.app import Desktop, make_application
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.theme.look import tokens
from forge_desktop.window import Window
from tests.desktop import contact_sheets
from tests.desktop.conftest import DATA_FACTS, MODEL_FACTS
from tests.desktop.screens_shown import SHOWN, index

LOOKS = (("light", "en"), ("dark", "en"), ("light", "zh_CN"), ("dark", "zh_CN"))
SIZE = QSize(1440, 900)
ONE, GAP, QUALITY = QSize(1120, 700), 6, 62
ROUNDS, ROUND_MS = 12, 60
SHADE = QColor(0, 0, 0, 90)
RECORDED, LONG_AGO_S, AGO_S = 1_790_000_000.0, 86_400.0, 5400.0
"""When the journals of `tests.helpers.journals` begin; in the pictures that was an hour and a half ago."""


class Recent(ReplayBackend):
    """A replay in which recorded journals are of today, so that no run is at work for weeks."""

    def play(self, uid: str, lines: Sequence[JournalLine]) -> None:
        """The lines, moved to today."""
        now = time.time()
        later = now - AGO_S - RECORDED
        old = RECORDED - LONG_AGO_S, RECORDED + LONG_AGO_S
        moved = [line.model_copy(update={"t": line.t + later}) if old[0] < line.t < old[1] else line for line in lines]
        super().play(uid, moved)


def settle() -> None:
    """Let answers come and pictures be painted."""
    for _ in range(ROUNDS):
        QTest.qWait(ROUND_MS)
        QApplication.processEvents()


def seen(window: Window) -> QImage:
    """The window as a person sees it: with the dialog or the menu that lies over it."""
    whole = window.grab().toImage()
    over = [widget for widget in QApplication.topLevelWidgets() if _lies_over(widget, window)]
    painter = QPainter(whole)
    if any(isinstance(widget, QDialog) for widget in over):
        painter.fillRect(whole.rect(), SHADE)
    for widget in over:
        where = QRect(widget.mapToGlobal(QPoint()) - window.mapToGlobal(QPoint()), widget.size())
        if isinstance(widget, QDialog):
            where.moveCenter(whole.rect().center())
        painter.drawPixmap(where.topLeft(), widget.grab())
        painter.setPen(QPen(QColor(tokens().border_strong), 1))  # what a desktop's frame does
        painter.drawRect(where.adjusted(0, 0, -1, -1))
    painter.end()
    return whole


def _lies_over(widget: QWidget, window: Window) -> bool:
    popup = widget.windowType() is Qt.WindowType.Popup or isinstance(widget, QDialog)
    return widget is not window and widget.isVisible() and popup


def shoot(app: QApplication, folder: Path, theme: str, tongue: str) -> None:
    """A picture of every state that is shown, in one look."""
    wanted = {shown.state for shown in SHOWN}
    backend = Recent()
    backend.answers = {"inspect_model": dict(MODEL_FACTS), "preview_data": dict(DATA_FACTS)}
    with tempfile.TemporaryDirectory() as home:
        desktop = Desktop(app, Home(Path(home)), lambda: backend, tongue, theme)
        desktop.window.resize(SIZE)
        desktop.open()
        settle()
        for name in contact_sheets.pages(desktop, backend):
            settle()
            if name in wanted:
                seen(desktop.window).save(str(folder / f"{name}-{theme}-{tongue}.png"))
                wanted.discard(name)
        desktop.close()
    if wanted:
        raise SystemExit(f"no such states: {', '.join(sorted(wanted))}")


def four(folder: Path, state: str) -> QImage:
    """The four looks of a state: light beside dark, English above Chinese."""
    whole = QImage(2 * ONE.width() + GAP, 2 * ONE.height() + GAP, QImage.Format.Format_RGB32)
    whole.fill(QColor(128, 128, 128))
    painter = QPainter(whole)
    for place, (theme, tongue) in enumerate(LOOKS):
        one = QImage(str(folder / f"{state}-{theme}-{tongue}.png"))
        small = one.scaled(ONE, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)
        painter.drawImage(place % 2 * (ONE.width() + GAP), place // 2 * (ONE.height() + GAP), small)
    painter.end()
    return whole


def _take(folder: Path, theme: str, tongue: str) -> None:
    command = [sys.executable, "-m", "tests.desktop.screenshots", str(folder), theme, tongue]
    subprocess.run(command, check=True, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"})


def write(folder: Path) -> int:
    """All pictures and the index; the bytes they take."""
    with tempfile.TemporaryDirectory() as raw:
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda look: _take(Path(raw), *look), LOOKS))
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.webp"):
            old.unlink()
        for shown in SHOWN:
            four(Path(raw), shown.state).save(str(folder / shown.file), "webp", QUALITY)  # type: ignore[call-overload]
    (folder / "README.md").write_text(index(), encoding="utf-8")
    return sum(file.stat().st_size for file in folder.glob("*.webp"))


def main() -> None:
    """All looks, or one of them."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if len(sys.argv) == 4:
        shoot(make_application(sys.argv[:1]), Path(sys.argv[1]), *sys.argv[2:])
        return
    taken = write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screens"))
    print(f"{len(SHOWN)} pictures, {taken / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
