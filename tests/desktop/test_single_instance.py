"""A second start brings the first window forward instead of opening another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from forge_desktop.bridge.single_instance import SingleInstance


@pytest.fixture
def first(qapp, tmp_path):
    made = SingleInstance(tmp_path, qapp)
    made.listen()
    yield made
    made.close()
    made.deleteLater()


def run(home: Path, then: str) -> subprocess.Popen[str]:
    code = (
        "import sys; from pathlib import Path; from PySide6.QtCore import QCoreApplication\n"
        "from forge_desktop.bridge.single_instance import SingleInstance\n"
        f"app = QCoreApplication([]); one = SingleInstance(Path(sys.argv[1])); {then}"
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True, env=environment)


def start_another(home: Path) -> subprocess.Popen[str]:
    return run(home, "print(one.hand_over())")


def test_that_a_second_start_asks_the_first(first, tmp_path, qtbot):
    with qtbot.waitSignal(first.asked, timeout=20_000):
        other = start_another(tmp_path)
    assert other.communicate(timeout=120)[0].strip() == "True"


def test_that_another_home_has_a_window_of_its_own(first, tmp_path):
    assert SingleInstance(tmp_path / "other").hand_over() is False


def test_that_what_a_crash_left_behind_does_not_stop_the_next_window(qapp, tmp_path, qtbot):
    crashed = run(tmp_path, "one.listen(); print('listening', flush=True); app.exec()")
    assert crashed.stdout.readline().strip() == "listening"
    crashed.kill()
    crashed.communicate(timeout=120)
    next_one = SingleInstance(tmp_path, qapp)
    next_one.listen()
    with qtbot.waitSignal(next_one.asked, timeout=20_000):
        other = start_another(tmp_path)
    assert other.communicate(timeout=120)[0].strip() == "True"
    next_one.close()
    next_one.deleteLater()


def test_that_the_window_comes_forward(replay):
    replay.window.showMinimized()
    replay.window.come_forward()
    assert not replay.window.windowState() & Qt.WindowState.WindowMinimized
    assert replay.window.isVisible()
