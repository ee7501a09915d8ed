"""What the program holds while nothing happens: the desktop, the controller and its spare worker, each by itself.

The desktop is a process of its own over a real controller; an empty Qt window in the same run is the baseline.
Proportional set size (PSS) where the system tells it: shared libraries count once, not once a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from engine.client.address import read_address
from engine.client.client import ControllerClient
from engine.contract.api import Settings
from engine.contract.paths import Home
from tests.bench.first_paint import EMPTY

GOAL_MB = 250.0
ROUNDS = 3
DESKTOP = """
import sys, psutil
from pathlib import Path
from engine.contract.paths import Home
from forge_desktop.app import Desktop, make_application
from forge_desktop.bridge.controller import connect_to_controller
from tests.bench.loops import rest
home = Home(Path(sys.argv[1]))
app = make_application(sys.argv[:1])
desktop = Desktop(app, home, lambda: connect_to_controller(home), "en", "light")
desktop.preferences.set("onboarding", "done")
desktop.open()
while not desktop.session.is_online or desktop.session.is_asking:
    rest(50)

def held():
    rest(3000)
    full = psutil.Process().memory_full_info()
    return full.rss / 1e6, getattr(full, "pss", full.rss) / 1e6

first = held()
for address in ("new", "settings/workers", "settings/data", "compare/", "welcome", "runs"):
    desktop.window.go(address)
    rest(700)
print(*first, *held())
desktop.close()
"""


def process(pid: int) -> tuple[float, float]:
    """Megabytes of one process: resident, and its share."""
    full = psutil.Process(pid).memory_full_info()
    return full.rss / 1e6, getattr(full, "pss", full.rss) / 1e6


def desktop_and_controller(folder: str) -> dict[str, tuple[float, float]]:
    """Megabytes of each part, with nothing at work."""
    home = Home(Path(folder))
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "FORGE_HOME": folder}
    home.root.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", DESKTOP, folder], capture_output=True, text=True, check=True, env=environment
    )
    numbers = [float(text) for text in done.stdout.split()[-4:]]
    found = {"desktop, the list of runs": (numbers[0], numbers[1])}
    found["desktop, after every page was open"] = (numbers[2], numbers[3])
    address = read_address(home)
    assert address is not None
    try:
        with ControllerClient(home) as client:
            spare = client.health().spare_bytes
            client.change_settings(Settings(spare_workers=0))
        found["controller"] = process(address.pid)
        found["spare worker, as the controller tells"] = (spare / 1e6, spare / 1e6)
    finally:
        subprocess.run(
            [sys.executable, "-m", "engine.cli", "controller", "stop"], capture_output=True, check=True, env=environment
        )
    return found


def empty() -> tuple[float, float]:
    """The empty window's resident megabytes."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    code = EMPTY.replace("psutil.Process().memory_info().rss / 1e6", "psutil.Process().memory_full_info().pss / 1e6")
    done = subprocess.run(
        [sys.executable, "-c", code + "\nprint(psutil.Process().memory_info().rss / 1e6)", "empty"],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    share, resident = done.stdout.split()[-2:]
    return float(resident), float(share)


def main() -> None:
    """Medians and ratios."""
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append({"an empty Qt window": empty(), **desktop_and_controller(folder)})
    print("| idle | resident, MB | share (PSS), MB | by the empty window |\n|---|---:|---:|---:|")
    middle = {
        name: tuple(sorted(one[name][place] for one in rounds)[ROUNDS // 2] for place in (0, 1)) for name in rounds[0]
    }
    base = middle["an empty Qt window"][0]
    for name, (resident, share) in middle.items():
        print(f"| {name} | {resident:.0f} | {share:.0f} | {resident / base:.2f} |")
    print(f"\nAimed at for the idle desktop: {GOAL_MB:.0f} MB.")


if __name__ == "__main__":
    main()
