"""From a step in a worker to the painted chart that contains it: a real worker, then stub workers, one and eight.

The beginning is the time stamp of the step's line in the worker's journal; the end is the end of the painting whose
curve reaches that step. Beside it stands when the step reached the window's thread: the rest is the window's share.
"""

from __future__ import annotations

import bisect
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Slot
from PySide6.QtWidgets import QWidget

from engine.contract.run_spec import RunSpec
from engine.contract.stream import Points
from forge_desktop.app import Desktop, make_application
from forge_desktop.bridge.controller import connect_to_controller
from forge_desktop.models.curves import Curve
from forge_desktop.pages.run_page import RunPage
from tests.bench.loops import rest, until
from tests.helpers.controller import ControllerProcess, make_stub_python

STEP_SECONDS, STUB_STEPS, REAL_STEPS = 0.02, 500, 150
PROMISED_MS = 150.0
BUNDLED = {"path": "demo", "hub": "bundled"}


class Watch(QObject):
    """Notes when steps reach the window's thread, and which step each finished painting of the chart reaches."""

    def __init__(self, desktop: Desktop, chart: QWidget, curve: Curve, uid: str) -> None:
        super().__init__(chart)
        self.reached: dict[float, float] = {}
        self.painted: list[tuple[float, float]] = []
        """Last step of the picture, and when it was finished."""
        self._curve, self._uid = curve, uid
        desktop.session.points.connect(self._points)
        chart.installEventFilter(self)

    @Slot(object)
    def _points(self, message: Points) -> None:
        now = time.time()
        if message.run == self._uid:
            for x, _t, _value in message.points.get("loss", []):
                self.reached.setdefault(x, now)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: paints in place of the widget's own turn, so that its end is seen."""
        if event.type() != QEvent.Type.Paint or not len(self._curve):
            return False
        last = float(self._curve.x[-1])  # the picture is made from the curve as it is now
        watched.event(event)
        self.painted.append((last, time.time()))
        return True

    def waits(self) -> tuple[list[float], list[float]]:
        """Seconds from each live step's journal line to the window's thread, and to the pixel."""
        heights = [last for last, _at in self.painted]
        to_thread, to_pixel = [], []
        written = dict(zip(self._curve.x.tolist(), self._curve.t.tolist(), strict=True))
        for step, at in self.reached.items():
            place = bisect.bisect_left(heights, step)
            if place < len(heights):
                to_thread.append(at - written[step])
                to_pixel.append(self.painted[place][1] - written[step])
        return to_thread, to_pixel


def real_order() -> RunSpec:
    """The bundled model, a batch small enough for many steps a second."""
    training = {"max_steps": REAL_STEPS, "epochs": 50, "micro_batch_size": 2, "threads": 1}
    data = {"train": [{**BUNDLED, "limit": 256}], "max_length": 128}
    job = {"kind": "train", "model": BUNDLED, "data": data, "training": training, "evaluation": {"data": []}}
    return RunSpec.model_validate({"name": "real", "job": job})


def measure(worker: Path, orders: Callable[[ControllerProcess], list[RunSpec]]) -> tuple[list[float], list[float]]:
    """Start them all, look at the first until it has ended."""
    with tempfile.TemporaryDirectory() as folder:
        service = ControllerProcess(Path(folder), worker)
        wanted = orders(service)
        service.home.root.mkdir(parents=True)
        service.home.settings_file.write_text(json.dumps({"slots": {"gpu": len(wanted)}}))
        os.environ.update({key: value for key, value in service.environment.items() if key.startswith("FORGE_")})
        service.start()
        desktop = Desktop(
            make_application(sys.argv[:1]), service.home, lambda: connect_to_controller(service.home), "en", "light"
        )
        desktop.preferences.set("onboarding", "done")
        desktop.open()
        try:
            until(lambda: desktop.session.is_online)
            uids = [service.client.create(order, start=False).uid for order in wanted]
            desktop.window.go(f"run/{uids[0]}")
            page = desktop.window.page
            assert isinstance(page, RunPage)
            until(lambda: page.model.detail is not None and not desktop.session.is_asking)
            watch = Watch(desktop, page.chart, page.model.curve("loss"), uids[0])
            for uid in uids:
                service.client.start(uid)
            until(lambda: page.model.detail is not None and page.model.detail.run.state.ended)
            rest(300)
            return watch.waits()
        finally:
            desktop.close()
            desktop.window.deleteLater()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            service.close()


def stubs(number: int) -> Callable[[ControllerProcess], list[RunSpec]]:
    """So many runs that take a step each 20 ms."""
    return lambda service: [service.spec(f"steps={STUB_STEPS} delay={STEP_SECONDS}") for _ in range(number)]


def row(title: str, to_thread: list[float], to_pixel: list[float]) -> tuple[str, float]:
    """A line of the table, and its 99 % in milliseconds."""

    def part(waits: list[float], share: float) -> float:
        return 1000 * sorted(waits)[int(share * (len(waits) - 1))]

    late = part(to_pixel, 0.99)
    ratio = part(to_pixel, 0.5) / part(to_thread, 0.5)
    return (
        f"| {title} | {len(to_pixel)} | {part(to_thread, 0.5):.0f} | {part(to_thread, 0.99):.0f} | "
        f"{part(to_pixel, 0.5):.0f} | {late:.0f} | {ratio:.2f} |"
    ), late


def main() -> None:
    """The table."""
    real = Path(os.environ.get("FORGE_WORKER_PYTHON") or ".venv-worker/bin/python").absolute()
    print("| ms from the line in the journal | steps | to the window's thread, 50 % | 99 % "
          "| to the pixel, 50 % | 99 % | pixel by thread |\n|---|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        stub = make_stub_python(Path(folder))
        cases: list[tuple[str, Path, Callable[[ControllerProcess], list[RunSpec]]]] = [
            ("one run, a step each 20 ms", stub, stubs(1)),
            ("eight runs, a step each 20 ms", stub, stubs(8)),
        ]
        if real.exists():
            cases.insert(0, ("the bundled model, really trained", real, lambda _service: [real_order()]))
        for title, worker, orders in cases:
            text, late = row(title, *measure(worker, orders))
            worst = max(worst, late)
            print(text, flush=True)
    print(f"\nWorst 99 %: {worst:.0f} ms; aimed at: {PROMISED_MS:.0f} ms.")


if __name__ == "__main__":
    main()
