"""SIGTERM means save and stop at every moment of a worker's life: from its first instruction to its last."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from engine.contract.paths import AttemptFolder
from engine.control.executors import identity
from engine.control.executors.base import Exit, Launch, SparePlan
from engine.control.executors.code import WORKER_PATH
from engine.control.executors.process import ProcessExecutor
from tests.helpers.light_code import make_light_code
from tests.helpers.waiting import wait_until

UNTIL_TOLD = "import time\nwhile not stop: time.sleep(0.01)\ncode = 77"
TOLD_AT_THE_END = """
import logging, os, signal

class Last(logging.Handler):
    def close(self):
        os.kill(os.getpid(), signal.SIGTERM)
        print('told', flush=True)
        super().close()

logging.getLogger().addHandler(Last())  # is closed when the process leaves, after signal handlers have gone
code = 77
"""
TELL = "os.kill(os.getpid(), signal.SIGTERM)"
FORKED = {"the monitor to be": "        os.setsid()\n", "the worker to be": "    os.setpgid(0, 0)\n"}
"""The first lines in which a process that was just forked does something of its own."""


class Bed:
    """An executor and one attempt for it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.code = make_light_code(folder / "code")
        self.environment = {WORKER_PATH: str(self.code), "FORGE_HOME": str(folder)}
        self.executor = ProcessExecutor()
        self.folder = AttemptFolder(folder / "attempt")
        self.folder.root.mkdir()

    def start(self, do: str, python: str = sys.executable) -> str:
        (self.folder.root / "do.py").write_text(do)
        command = [python, "-m", "engine.compute.worker", str(self.folder.root)]
        return self.executor.start(Launch(self.folder, command, self.environment))

    def warm_up(self, method: str) -> None:
        plan = SparePlan(sys.executable, self.environment, self.root / "spare.log", method=method)
        self.executor.keep_spares(lambda: plan)
        wait_until(lambda: self.executor.spare().state == "ready", what="a spare is ready")

    def ended(self, handle: str) -> Exit:
        return wait_until(lambda: self.executor.poll(self.folder, handle), what="the worker ends")

    def close(self) -> None:
        self.executor.close()
        if self.folder.monitor.exists():
            for who in json.loads(self.folder.monitor.read_text()).values():
                if who and identity.alive(who):
                    os.kill(who["pid"], signal.SIGKILL)


@pytest.fixture
def bed(tmp_path: Path):
    bed = Bed(tmp_path)
    yield bed
    bed.close()


def test_that_a_worker_told_before_its_interpreter_begins_stops_in_good_order(bed):
    python = bed.root / "python"
    python.write_text(f'#!/bin/sh\nkill -TERM $$\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    assert bed.ended(bed.start(UNTIL_TOLD, str(python))) == Exit(77, None)


def test_that_a_monitor_told_before_it_has_a_worker_tells_the_worker(bed):
    handle = bed.start(UNTIL_TOLD)
    os.kill(json.loads(handle)["pid"], signal.SIGTERM)
    assert bed.ended(handle) == Exit(77, None)


@pytest.mark.parametrize("who", FORKED)
def test_that_a_process_told_right_after_it_was_forked_stops_in_good_order(bed, who):
    warm = bed.code / "engine" / "compute" / "worker" / "warm.py"
    line = FORKED[who]
    told = line.replace(line.strip(), TELL) + line
    assert warm.read_text().count(line) == 1
    warm.write_text(warm.read_text().replace(line, told))
    bed.warm_up("auto")
    assert bed.ended(bed.start(UNTIL_TOLD)) == Exit(77, None)


@pytest.mark.parametrize("method", ["cold", "auto", "spawn"])
def test_that_sigterm_after_the_last_word_changes_no_exit_code(bed, method):
    if method != "cold":
        bed.warm_up(method)
    assert bed.ended(bed.start(TOLD_AT_THE_END)) == Exit(77, None)
    assert "told" in bed.folder.log.read_text()


def test_that_a_spare_that_is_told_to_end_ends_and_stops_no_later_attempt(bed):
    bed.warm_up("spawn")
    spare = identity.of(bed.executor._spares._spares[0].pid)
    os.kill(spare["pid"], signal.SIGTERM)
    assert bed.ended(bed.start("code = 5 if not stop else 77")) == Exit(5, None)
    assert not identity.alive(spare)
