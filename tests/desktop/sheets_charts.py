"""Pictures of the charts: long noisy runs, attempts, switches, crosshair, odd values, states, many runs on one."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget

from engine.contract.errors import UserError
from engine.contract.events import Device, JournalLine, Step, Validation
from engine.contract.states import RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.models.curves import Curve
from forge_desktop.models.series_view import CurveSource
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.chart_legend import ChartLegend, entries_of
from forge_desktop.panels.chart_options import notch_of
from forge_desktop.panels.chart_series import ChartSeries, ChartSwitches
from forge_desktop.panels.charts_card import ChartsCard
from forge_desktop.panels.curve_chart import CurveChart
from forge_desktop.theme.controls import Card
from tests.desktop.sheets_run import training
from tests.helpers.journals import before_training, demo_spec, resumed, saved

TOTAL = 8000
BEGAN = 1_790_000_100.0
LOAD_ROUNDS = 200


def long_steps(first: int, last: int, later: float = 0.0, odd: bool = False) -> list[JournalLine]:
    """Steps of a run of thousands: noisy loss, warm-up and decay, spikes of the gradient."""
    chance = random.Random(first)
    lines: list[JournalLine] = []
    for step in range(first, last + 1):
        loss = 0.75 + 1.9 * math.exp(-step / 1200) + chance.gauss(0, 0.05)
        rate = 2e-4 * min(1.0, step / 400) * (0.5 + 0.5 * math.cos(math.pi * step / TOTAL))
        values = {
            "loss": math.nan if odd and step % 1700 == 0 else loss,
            "learning_rate": rate,
            "grad_norm": abs(chance.gauss(0.45, 0.05)) * (12 if chance.random() < 0.002 else 1),
            "tokens_per_second": chance.gauss(3120, 40),
            "tokens_seen": step * 4096.0,
        }
        at = BEGAN + later + step * 0.5
        lines.append(Step(seq=len(lines) + 1, t=at, step=step, epoch=step / TOTAL, values=values))
        if step % 500 == 0:
            value = {"validation_loss": loss + 0.08}
            lines.append(Validation(seq=len(lines) + 1, t=at, step=step, values=value))
    return lines


def chart_pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Every state of the charts in turn."""
    window = desktop.window
    uid = backend.add(demo_spec("qwen3-8b-support-zh"), created=9.0)
    backend.play(uid, before_training(TOTAL))
    window.go(f"run/{uid}")
    yield "charts-empty"
    backend.play(uid, [*long_steps(1, 4880, odd=True), *saved(2000, best=True), *saved(4500)])
    backend.play(uid, [line for line in training(400, TOTAL, BEGAN) if isinstance(line, Device)])
    window.go(f"run/{uid}")
    reached(desktop, 4880)
    yield "charts-loss"
    card = shown(desktop)
    card.chart.setFocus()
    QTest.keyClick(card.chart, Qt.Key.Key_End)
    for _ in range(8):
        QTest.keyClick(card.chart, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    yield "charts-crosshair"
    pressed(desktop, "chart.options")
    card.options.slider.setValue(notch_of(0.98))
    pressed(desktop, "chart.log")
    yield "charts-options"
    card.options.window_choice.set_value("range")
    card.options.low.setText("2,000")
    card.options.high.setText("1,000")
    card.options.high.editingFinished.emit()
    yield "charts-range"
    card.options.window_choice.set_value("all")
    pressed(desktop, "chart.options")
    pressed(desktop, "chart.log")
    pressed(desktop, "chart.clip")
    card.choose("all")
    card.link.point_at(2600.0)
    yield "charts-all"
    card.choose("grad_norm")
    pressed(desktop, "chart.clip")
    yield "charts-spikes"
    card.choose("loss")
    backend.play(uid, [*resumed(3000, 1, TOTAL), *long_steps(3001, 3900, later=4000)])
    reached(desktop, 3900)
    card.link.look_at((1800.0, 5000.0))
    card.link.point_at(3001.0)
    yield "charts-attempts"
    card.link.look_at(None)
    card.options.axis.set_value("relative")
    yield "charts-time"
    card.options.axis.set_value("step")
    yield from state_pages(desktop, backend)
    yield from many_pages(desktop)


def state_pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Loading, failed, ended without points, and few points."""
    few = backend.add(demo_spec("few"), created=8.0)
    backend.play(few, [*before_training(), *long_steps(1, 3)])
    desktop.window.go(f"run/{few}")
    yield "charts-few"
    card = shown(desktop)
    card.chart.show_state("loading")
    yield "charts-loading"
    card.chart.show_state("failed", UserError("controller.unreachable", detail="timed out.", log="").body())
    yield "charts-failed"
    none = backend.add(demo_spec("none"), created=7.0)
    backend.move(none, state=RunState.STOPPED)
    desktop.window.go(f"run/{none}")
    yield "charts-none"


def many_pages(desktop: Desktop) -> Iterator[str]:
    """Ten runs on one chart."""
    card = Card("Ten runs")
    series = ten_runs()
    chart = CurveChart()
    chart.set_series(series)
    chart.set_switches(ChartSwitches(smoothing=0.98))
    chart.show_state("ready")
    card.body.addWidget(ChartLegend(entries_of(series)))
    card.body.addWidget(chart, 1)
    page = desktop.window.page
    assert page is not None
    card.setParent(page)
    card.setGeometry(page.rect().adjusted(20, 20, -20, -20))
    card.show()
    chart.link.point_at(700.0)
    yield "charts-ten"
    card.deleteLater()


def ten_runs(points: int = 2000) -> list[ChartSeries]:
    """Series of ten runs, each with its own colour and line."""
    made = []
    for run in range(10):
        chance = np.random.default_rng(run)
        x = np.arange(1.0, points + 1)
        value = 1 + run / 10 + 2 * np.exp(-x / (150 + 40 * run)) + chance.normal(0, 0.05, points)
        curve = Curve()
        curve.replace(SeriesPart(np.ones(points, np.int32), x, BEGAN + x * (1 + run / 10), value))
        made.append(ChartSeries(f"llama-lr-{run}e-5", CurveSource(curve, origin=BEGAN), colour=run, dash=run))
    return made


def shown(desktop: Desktop) -> ChartsCard:
    """The card of the run page."""
    assert isinstance(desktop.window.page, RunPage)
    card = desktop.window.page.findChild(QWidget, "run.charts")
    assert isinstance(card, ChartsCard)
    return card


def pressed(desktop: Desktop, name: str) -> None:
    """Press a button."""
    found = shown(desktop).findChild(QPushButton, name)
    assert found is not None
    found.click()


def reached(desktop: Desktop, step: int) -> None:
    """Wait until the page has the curve up to a step."""
    page = desktop.window.page
    assert isinstance(page, RunPage)
    for _ in range(LOAD_ROUNDS):
        curve = page.model.curve("loss")
        if len(curve) and curve.x[-1] == step and page.model.detail is not None:
            return
        QTest.qWait(50)
