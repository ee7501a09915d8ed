"""`python -m forge_desktop`: the window, or with --demo the main job driven through its widgets."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from engine.contract.errors import UserError
from engine.contract.paths import Home
from forge_desktop.app import Desktop, make_application, report_bugs, say_and_end, use_scale
from forge_desktop.bridge.controller import connect_to_controller
from forge_desktop.bridge.single_instance import SingleInstance


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the desktop until its window is closed."""
    parser = argparse.ArgumentParser(prog="loraforge-desktop", description="LoRAForge Desktop")
    parser.add_argument("--theme", choices=("light", "dark", "system"), default="")
    parser.add_argument("--language", choices=("en", "zh_CN", "system"), default="")
    parser.add_argument("--demo", action="store_true", help="fine-tune the bundled model, driving the window's widgets")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="where --demo puts its screenshots")
    parser.add_argument("--stay", action="store_true", help="keep the window open after --demo")
    options = parser.parse_args(arguments)
    try:
        home = Home.find()
    except UserError as error:
        return say_and_end(error)
    report_bugs(home)
    use_scale(home)
    app = make_application(sys.argv[:1])
    single = SingleInstance(home.root, app)
    if not options.demo:
        if single.hand_over():
            return 0
        single.listen()
    wishes = heed_interrupts(app)
    desktop = Desktop(app, home, lambda: connect_to_controller(home), options.language, options.theme)
    single.asked.connect(desktop.window.come_forward)
    desktop.open()
    # Python handles signals between bytecodes only; a timer lets Ctrl+C through while Qt's loop runs.
    breath = QTimer()
    breath.start(200)
    breath.timeout.connect(lambda: None)
    code = 0
    if wishes:
        QTimer.singleShot(0, app.quit)
    if options.demo:
        from forge_desktop.demo import Demo

        demo = Demo(desktop, options.output, options.stay)
        demo.begin()
        app.exec()
        code = demo.exit_code
    else:
        code = app.exec()
    single.close()
    desktop.close()
    return code


def heed_interrupts(app: QApplication) -> list[int]:
    """Let Ctrl+C and an end of the session quit; the list holds what came, as `quit` before the loop runs is forgotten.

    Done before there are widgets: an interrupt that raises while Qt calls into Python, as it does while a page is put
    together, crashes the program.
    """
    wishes: list[int] = []

    def heed(number: int, _frame: FrameType | None) -> None:
        wishes.append(number)
        app.quit()

    signal.signal(signal.SIGINT, heed)
    signal.signal(signal.SIGTERM, heed)
    return wishes


if __name__ == "__main__":
    sys.exit(main())
