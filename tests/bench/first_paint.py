"""How soon the window is painted, against an empty Qt window in the same run; prints a table."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

OURS = """
import sys, time
begin = time.perf_counter()
from pathlib import Path
from PySide6.QtCore import QTimer
from engine.contract.paths import Home
from forge_desktop.app import Desktop, make_application
from forge_desktop.bridge.replay import ReplayBackend
app = make_application(sys.argv[:1])
desktop = Desktop(app, Home(Path(sys.argv[1])), ReplayBackend, "en", "light")
desktop.open()
app.processEvents()
desktop.window.grab()
painted = time.perf_counter() - begin
import psutil
print(time.process_time(), painted, psutil.Process().memory_info().rss / 1e6)
desktop.close()
"""
EMPTY = """
import sys, time
begin = time.perf_counter()
from PySide6.QtWidgets import QApplication, QMainWindow
app = QApplication(sys.argv[:1])
window = QMainWindow()
window.resize(1440, 900)
window.show()
app.processEvents()
window.grab()
painted = time.perf_counter() - begin
import psutil
print(time.process_time(), painted, psutil.Process().memory_info().rss / 1e6)
"""
ROUNDS = 5


def once(code: str) -> tuple[float, float, float]:
    """Seconds to the first paint, megabytes, and seconds of processor time since Python began."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            [sys.executable, "-c", code, home], capture_output=True, text=True, check=True, env=environment
        )
    processor, seconds, megabytes = map(float, done.stdout.split()[-3:])
    return seconds, megabytes, processor


def main() -> None:
    """Interleaved rounds, medians, ratio."""
    rounds = [(once(OURS), once(EMPTY)) for _ in range(ROUNDS)]
    ours, empty = [pair[0] for pair in rounds], [pair[1] for pair in rounds]
    rows = []
    for place, what in ((0, "first paint, s"), (2, "processor time until then, s"), (1, "memory after it, MB")):
        mine, bare = (statistics.median(part[place] for part in parts) for parts in (ours, empty))
        rows.append(f"| {what} | {mine:.2f} | {bare:.2f} | {mine / bare:.2f} |")
    print("| what | the desktop | an empty Qt window | ratio |\n|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
