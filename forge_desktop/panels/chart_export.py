"""A chart as a file or on the clipboard: PNG, SVG, or all its points as CSV. Drawn here, written off this thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QBuffer,
    QByteArray,
    QIODevice,
    QObject,
    QPoint,
    QRect,
    QRectF,
    QSize,
    QStandardPaths,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QMenu

from forge_desktop.bridge.backend_series import Named
from forge_desktop.bridge.series_files import write_picture
from forge_desktop.bridge.session import Session
from forge_desktop.models.transfers import Transfers
from forge_desktop.panels.curve_chart import CurveChart
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

SCALE = 2
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

    def fill(self, menu: QMenu, chart: CurveChart, metrics: Sequence[str], name: str) -> None:
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

    def copy(self, chart: CurveChart) -> None:
        """The picture on the clipboard."""
        QGuiApplication.clipboard().setImage(as_image(chart))
        self.told.emit(tr("The chart is on the clipboard."))

    def ask(self, form: str, chart: CurveChart, metrics: Sequence[str], name: str) -> None:
        """Ask for a file, then save as it; the dialog asks before replacing one."""
        start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
        dialog = QFileDialog(chart, tr("Save the chart"), start)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(form)
        dialog.selectFile(f"{name}.{form}")
        dialog.fileSelected.connect(lambda file: self.save(form, chart, metrics, Path(file)))
        dialog.open()

    def save(self, form: str, chart: CurveChart, metrics: Sequence[str], file: Path) -> None:
        """Write it; says when it is done, or why it could not be. Points are written as a transfer."""
        if form == "csv":
            runs, names = self._runs(), tuple(metrics)
            self._transfers.write(
                runs[0][0], tr("Points of the chart {name}", name=file.name), file,
                lambda backend, tell: backend.write_curves(runs, names, file, tell),
            )  # fmt: skip
            return
        content = as_svg(chart) if form == "svg" else as_png(chart)
        self._session.transfer(
            lambda _backend: write_picture(file, content),
            lambda _done: self.told.emit(tr("The chart was saved as {file}", file=str(file))),
            self.failed.emit,
            self,
        )


def as_image(chart: CurveChart) -> QImage:
    """The chart at twice its size, on its ground."""
    made = QImage(chart.size() * SCALE, QImage.Format.Format_RGB32)
    made.setDevicePixelRatio(SCALE)
    made.fill(QColor(tokens().surface))
    painter = QPainter(made)
    _paint(chart, painter)
    painter.end()
    return made


def as_png(chart: CurveChart) -> bytes:
    """The same as a file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image: Any = as_image(chart)  # the stubs want the form as bytes, Qt as text
    image.save(buffer, "PNG")
    return bytes(buffer.data().data())


def as_svg(chart: CurveChart) -> bytes:
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
    _paint(chart, painter)
    painter.end()
    buffer.close()
    return bytes(made.data())


def _paint(chart: CurveChart, painter: QPainter) -> None:
    frame = chart.made_frame(QRectF(chart.rect()), chart.frame().x)
    chart.paint_all(painter, frame, exact=True)
