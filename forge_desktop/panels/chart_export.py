"""A chart as a file or on the clipboard: PNG, SVG, or all its points as CSV. Drawn here, written off this thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from PySide6.QtCore import (
    QBuffer,
    QByteArray,
    QIODevice,
    QObject,
    QPoint,
    QRect,
    QSize,
    QStandardPaths,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from forge_desktop.bridge.backend_series import Named
from forge_desktop.bridge.series_files import write_picture
from forge_desktop.bridge.session import Session
from forge_desktop.models.transfers import Transfers
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

SCALE = 2


class Drawable(Protocol):
    """A widget that can be drawn into a file."""

    def has_points(self) -> bool:
        """Anything to draw."""

    def paint_export(self, painter: QPainter) -> None:
        """Draw it, in true lines."""

    def size(self) -> QSize:
        """Of the widget."""

    def rect(self) -> QRect:
        """Of the widget."""

    def accessibleName(self) -> str:
        """What it is called."""


FORMATS = ("png", "svg", "csv")


class ChartExport(QObject):
    """What can be made of the charts of one run, or of some that are compared."""

    told = Signal(str)
    failed = Signal(object)
    """ErrorBody."""

    def __init__(
        self, session: Session, runs: Callable[[], Named], parent: QObject, transfers: Transfers | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._runs = session, runs
        self._transfers = transfers or Transfers(session, self)

    def fill(self, menu: QMenu, chart: Drawable, metrics: Sequence[str], name: str) -> None:
        """Put the ways out into a menu."""
        deeds: tuple[tuple[str, str, Callable[[], object]], ...] = (
            ("copy", tr("Copy image"), lambda: self.copy(chart)),
            ("png", tr("Save as PNG…"), lambda: self.ask("png", chart, metrics, name)),
            ("svg", tr("Save as SVG…"), lambda: self.ask("svg", chart, metrics, name)),
            ("csv", tr("Save all points as CSV…"), lambda: self.ask("csv", chart, metrics, name)),
        )
        for key, text, does in deeds:
            action = menu.addAction(text)
            action.setObjectName(f"chart.export.{key}")
            action.setEnabled(chart.has_points())
            action.triggered.connect(lambda _checked=False, does=does: does())

    def copy(self, chart: Drawable) -> None:
        """The picture on the clipboard."""
        QGuiApplication.clipboard().setImage(as_image(chart))
        self.told.emit(tr("The chart is on the clipboard."))

    def ask(self, form: str, chart: Drawable, metrics: Sequence[str], name: str) -> None:
        """Ask for a file, then save as it; the dialog asks before replacing one."""
        start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
        dialog = QFileDialog(cast(QWidget, chart), tr("Save the chart"), start)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(form)
        dialog.selectFile(f"{name}.{form}")
        dialog.fileSelected.connect(lambda file: self.save(form, chart, metrics, Path(file)))
        dialog.open()

    def save(self, form: str, chart: Drawable, metrics: Sequence[str], file: Path) -> None:
        """Write it; says when it is done, or why it could not be. Points are written as a transfer."""
        if form == "csv":
            self.save_points(metrics, file)
            return
        content = as_svg(chart) if form == "svg" else as_png(chart)
        self.write(file, lambda: write_picture(file, content))

    def save_points(self, metrics: Sequence[str], file: Path) -> None:
        """Every point of these metrics as CSV, among the downloads, which say how far they are."""
        runs, names = self._runs(), tuple(metrics)
        self._transfers.write(
            runs[0][0], tr("Points of the chart {name}", name=file.name), file,
            lambda backend, tell: backend.write_curves(runs, names, file, tell),
        )  # fmt: skip

    def write(self, file: Path, work: Callable[[], object]) -> None:
        """Do the writing on a thread, and say what became of it."""
        self._session.transfer(
            lambda _backend: work(),
            lambda _done: self.told.emit(tr("The chart was saved as {file}", file=str(file))),
            self.failed.emit,
            self,
        )


def as_image(chart: Drawable) -> QImage:
    """The chart at twice its size, on its ground."""
    made = QImage(chart.size() * SCALE, QImage.Format.Format_RGB32)
    made.setDevicePixelRatio(SCALE)
    made.fill(QColor(tokens().surface))
    painter = QPainter(made)
    chart.paint_export(painter)
    painter.end()
    return made


def as_png(chart: Drawable) -> bytes:
    """The same as a file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image: Any = as_image(chart)  # the stubs want the form as bytes, Qt as text
    image.save(buffer, "PNG")
    return bytes(buffer.data().data())


def as_svg(chart: Drawable) -> bytes:
    """The chart as lines and texts."""
    made = QByteArray()
    buffer = QBuffer(made)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(QSize(chart.size()))
    generator.setViewBox(QRect(QPoint(0, 0), chart.size()))
    generator.setTitle(chart.accessibleName())
    painter = QPainter(generator)
    painter.fillRect(chart.rect(), QColor(tokens().surface))
    chart.paint_export(painter)
    painter.end()
    buffer.close()
    return bytes(made.data())
