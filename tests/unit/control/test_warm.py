"""Spare workers: real processes, with light code in place of torch."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.contract.paths import AttemptFolder, code_root
from engine.control.executors import identity
from engine.control.executors.base import Exit, Launch, SparePlan
from engine.control.executors.code import WORKER_PATH
from engine.control.executors.memory import Memory, read_memory
from engine.control.executors.process import ProcessExecutor
from engine.control.executors.spares import Spares
from tests.helpers.light_code import make_light_code
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.slow
FACTS = """
import json, os, sys
facts = dict(env=dict(os.environ), cwd=os.getcwd(), argv=sys.argv[1:], pid=os.getpid(), ppid=os.getppid(),
             pgid=os.getpgid(0), sid=os.getsid(0), heavy='torch' in sys.modules)
print('facts ' + json.dumps(facts), flush=True)
print('to stderr', file=sys.stderr)
code = 7
"""
WAITS = "import time\nprint('here', flush=True)\nwhile not stop: time.sleep(0.01)\ncode = 77"
CHILD = """
import subprocess, sys, time
ignore = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'
p = subprocess.Popen([sys.executable, '-c', ignore])
print('child', p.pid, flush=True)
time.sleep(600)
"""


class Bed:
    """An executor with spares, and attempts for it."""

    def __init__(self, folder: Path, method: str) -> None:
        self.folder, self.method = folder, method
        self.code = make_light_code(folder / "code")
        self.environment = {WORKER_PATH: str(self.code), "PYTHONUNBUFFERED": "1", "FORGE_HOME": str(folder)}
        self.memory = read_memory()
        self.spares = Spares(memory=lambda: self.memory, first_wait=0.05)
        self.executor = ProcessExecutor(self.spares)
        self.attempts: list[AttemptFolder] = []

    @property
    def plan(self) -> SparePlan:
        return SparePlan(sys.executable, self.environment, self.folder / "spare.log", method=self.method)

    def begin(self) -> None:
        self.executor.keep_spares(lambda: self.plan)
        self.until("ready")

    def until(self, state: str) -> None:
        wait_until(lambda: self.executor.spare().state == state, what=f"spares are {state}")

    def attempt(self, do: str) -> AttemptFolder:
        folder = AttemptFolder(self.folder / f"attempt{len(self.attempts)}")
        folder.root.mkdir()
        (folder.root / "do.py").write_text(do)
        self.attempts.append(folder)
        return folder

    def start(self, folder: AttemptFolder, **more: str) -> str:
        command = [sys.executable, "-m", "engine.compute.worker", str(folder.root)]
        return self.executor.start(Launch(folder, command, {**self.environment, **more}))

    def ended(self, folder: AttemptFolder, handle: str) -> Exit:
        return wait_until(lambda: self.executor.poll(folder, handle), what="the worker ends")

    def said(self, folder: AttemptFolder, word: str) -> str:
        def line() -> str:
            lines = folder.log.read_text().splitlines() if folder.log.exists() else []
            return next((line for line in lines if line.startswith(word) and line.endswith(line.strip())), "")

        return wait_until(line, what=f"the worker says {word}")

    def facts(self, folder: AttemptFolder) -> dict:
        return json.loads(self.said(folder, "facts").partition(" ")[2])

    def spare(self) -> dict:
        """The warm process."""
        return identity.of(self.spares._spares[0].pid)

    def warm(self, folder: AttemptFolder) -> bool:
        monitor = json.loads(folder.monitor.read_text())["monitor"]["pid"]
        command = Path(f"/proc/{monitor}/cmdline").read_bytes()
        return b"--child" in command or b"--spare" in command

    def close(self) -> None:
        self.executor.close()
        for folder in self.attempts:
            if folder.monitor.exists():
                for who in json.loads(folder.monitor.read_text()).values():
                    if who and identity.alive(who):
                        os.kill(who["pid"], signal.SIGKILL)


@pytest.fixture(params=["auto", "spawn"])
def bed(tmp_path: Path, request: pytest.FixtureRequest):
    bed = Bed(tmp_path, request.param)
    yield bed
    bed.close()


@pytest.fixture
def forks(tmp_path: Path):
    bed = Bed(tmp_path, "auto")
    yield bed
    bed.close()


def test_that_a_warm_worker_is_like_a_cold_one(bed):
    cold_folder, warm_folder = bed.attempt(FACTS), bed.attempt(FACTS)
    assert bed.ended(cold_folder, bed.start(cold_folder, CUDA_VISIBLE_DEVICES="")) == Exit(7, None)
    bed.begin()
    handle = bed.start(warm_folder, CUDA_VISIBLE_DEVICES="")
    assert bed.ended(warm_folder, handle) == Exit(7, None)
    cold, warm = bed.facts(cold_folder), bed.facts(warm_folder)
    assert (cold["heavy"], warm["heavy"]) == (False, True)
    assert warm["env"] == cold["env"]
    assert (warm["cwd"], warm["argv"]) == (str(warm_folder.root), [str(warm_folder.root)])
    processes = json.loads(warm_folder.monitor.read_text())
    assert warm["pid"] == warm["pgid"] == processes["worker"]["pid"]
    assert warm["ppid"] == warm["sid"] == processes["monitor"]["pid"] == json.loads(handle)["pid"]
    assert "to stderr" in warm_folder.log.read_text()


def test_that_a_spare_serves_one_after_the_other(bed):
    bed.begin()
    folders = [bed.attempt(FACTS) for _ in range(3)]
    for folder in folders:
        bed.until("ready")
        assert bed.ended(folder, bed.start(folder)) == Exit(7, None)
    assert all(bed.facts(folder)["heavy"] for folder in folders)


def test_that_forked_workers_work_beside_each_other(forks):
    forks.begin()
    folders = [forks.attempt(WAITS) for _ in range(3)]
    handles = [forks.start(folder) for folder in folders]
    for folder in folders:
        forks.said(folder, "here")
        assert forks.warm(folder)
    for folder, handle in zip(folders, handles, strict=True):
        forks.executor.stop(folder, handle)
        assert forks.ended(folder, handle) == Exit(77, None)


def test_that_stop_is_save_and_stop_for_a_warm_worker(bed):
    bed.begin()
    folder = bed.attempt(WAITS)
    handle = bed.start(folder)
    bed.said(folder, "here")
    bed.executor.stop(folder, handle)
    assert bed.ended(folder, handle) == Exit(77, None)


def test_that_kill_ends_a_warm_worker_with_its_children_and_not_the_spare(bed):
    bed.begin()
    folder = bed.attempt(CHILD)
    handle = bed.start(folder)
    child = identity.of(int(bed.said(folder, "child").split()[1]))
    bed.until("ready")
    spare = bed.spare()
    bed.executor.kill(folder, handle)
    assert bed.ended(folder, handle) == Exit(None, 9)
    wait_until(lambda: not identity.alive(child), what="the child has gone")
    assert identity.alive(spare)


def test_that_an_attempt_given_up_is_not_begun_by_a_spare(bed):
    bed.begin()
    folder = bed.attempt(FACTS)
    assert not bed.executor.adopt(folder, "")
    monitor = json.loads(bed.start(folder))
    wait_until(lambda: not identity.alive(monitor), what="the monitor has gone")
    assert json.loads(folder.monitor.read_text()) == {"monitor": None, "worker": None}
    assert not folder.exit.exists()
    assert not folder.log.exists() or "facts" not in folder.log.read_text()


def test_that_a_spare_that_was_killed_makes_the_next_start_cold_and_comes_back(bed):
    bed.begin()
    os.kill(bed.spare()["pid"], signal.SIGKILL)
    folder = bed.attempt(FACTS)
    assert bed.ended(folder, bed.start(folder)) == Exit(7, None)
    bed.until("ready")


def test_that_a_spare_that_does_not_answer_makes_the_start_cold(forks, monkeypatch):
    monkeypatch.setattr("engine.control.executors.spare.ANSWER_S", 0.1)
    forks.begin()
    spare = forks.spare()
    os.kill(spare["pid"], signal.SIGSTOP)
    folder = forks.attempt(FACTS)
    assert forks.ended(folder, forks.start(folder)) == Exit(7, None)
    assert not forks.facts(folder)["heavy"]
    assert not identity.alive(spare)
    forks.until("ready")


def test_that_spares_that_break_are_tried_less_and_less_often_and_starts_are_cold(bed):
    (bed.code / "peft" / "__init__.py").write_text("raise ImportError('broken on purpose')")
    bed.executor.keep_spares(lambda: bed.plan)
    wait_until(lambda: bed.spares._failures >= 3, what="it broke three times")
    assert "broken on purpose" in (bed.folder / "spare.log").read_text()
    folder = bed.attempt(FACTS)
    assert bed.ended(folder, bed.start(folder)) == Exit(7, None)
    (bed.code / "peft" / "__init__.py").write_text("")
    bed.until("ready")


def test_that_short_memory_ends_the_spare_and_room_brings_it_back(bed):
    bed.begin()
    spare = bed.spare()
    bed.memory = Memory(available=1 << 20, stalled=True)
    bed.until("given_up")
    assert not identity.alive(spare)
    folder = bed.attempt(FACTS)
    assert bed.ended(folder, bed.start(folder)) == Exit(7, None)
    bed.memory = Memory(available=64 << 30)
    bed.until("ready")


def test_that_changed_code_gets_a_new_spare_and_never_the_old_one(forks):
    forks.begin()
    old = forks.spare()
    session = forks.code / "engine" / "compute" / "worker" / "session.py"
    session.write_text(session.read_text() + "\nprint('facts {}', flush=True)\n")
    folder = forks.attempt("print('new code', flush=True)")
    assert forks.ended(folder, forks.start(folder)) == Exit(0, None)
    assert "facts" in folder.log.read_text()
    wait_until(lambda: not identity.alive(old), what="the old spare has gone")
    forks.until("ready")


def test_that_variables_a_spare_cannot_take_on_any_more_mean_a_cold_start(forks):
    forks.begin()
    folder = forks.attempt(FACTS)
    assert forks.ended(folder, forks.start(folder, OMP_NUM_THREADS="1")) == Exit(7, None)
    facts = forks.facts(folder)
    assert (facts["heavy"], facts["env"]["OMP_NUM_THREADS"]) == (False, "1")


def test_that_none_are_kept_when_none_are_wanted(forks):
    forks.begin()
    spare = forks.spare()
    forks.executor.keep_spares(lambda: None)
    forks.until("off")
    assert not identity.alive(spare)


def test_that_a_spare_that_must_not_be_forked_is_used_as_a_process_of_its_own(forks):
    text = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    torch = forks.code / "torch" / "__init__.py"
    torch.write_text(text + torch.read_text())
    forks.begin()
    assert forks.spares._spares[0].plan.method == "wait"
    folder = forks.attempt(FACTS)
    assert forks.ended(folder, forks.start(folder)) == Exit(7, None)
    assert forks.facts(folder)["heavy"]


@pytest.mark.parametrize("devices", ["0", "1"])
def test_that_a_spare_whose_imports_asked_the_gpus_driver_takes_no_other_choice_of_devices(forks, devices):
    forks.environment["CUDA_VISIBLE_DEVICES"] = "0"
    warm = forks.code / "engine" / "compute" / "worker" / "warm.py"
    warm.write_text(warm.read_text().replace('"/dev/nvidia"', '"/dev/null"'))  # every process has that one open
    forks.begin()
    assert forks.spares._spares[0].plan.method == "wait"
    folder = forks.attempt(FACTS)
    assert forks.ended(folder, forks.start(folder, CUDA_VISIBLE_DEVICES=devices)) == Exit(7, None)
    facts = forks.facts(folder)
    assert (facts["heavy"], facts["env"]["CUDA_VISIBLE_DEVICES"]) == (devices == "0", devices)


CONTROLLER = """
import json, sys, time
from pathlib import Path
from engine.contract.paths import AttemptFolder
from engine.control.executors.base import Launch, SparePlan
from engine.control.executors.process import ProcessExecutor
folder, environment, method = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
executor = ProcessExecutor()
plan = SparePlan(sys.executable, environment, folder / "spare.log", method=method)
executor.keep_spares(lambda: plan)
while executor.spare().state != "ready":
    time.sleep(0.01)
attempt = AttemptFolder(folder / "attempt0")
command = [sys.executable, "-m", "engine.compute.worker", str(attempt.root)]
handle = executor.start(Launch(attempt, command, environment))
while executor.spare().state != "ready":
    time.sleep(0.01)
print(json.dumps([handle, executor._spares._spares[0].pid]), flush=True)
time.sleep(600)
"""


def test_that_a_spare_dies_with_its_controller_and_the_worker_goes_on(bed):
    folder = bed.attempt(WAITS)
    arguments = [str(bed.folder), json.dumps(bed.environment), bed.method]
    environment = {**os.environ, "PYTHONPATH": str(code_root())}
    controller = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CONTROLLER), *arguments], stdout=subprocess.PIPE, env=environment
    )
    try:
        handle, pid = json.loads(controller.stdout.readline())
        spare = identity.of(pid)
        assert identity.alive(spare)
    finally:
        controller.kill()
        controller.wait()
        controller.stdout.close()
    wait_until(lambda: not identity.alive(spare), what="the spare has gone")
    bed.said(folder, "here")
    assert bed.warm(folder)
    assert bed.executor.adopt(folder, handle)
    assert bed.executor.poll(folder, handle) is None
    bed.executor.stop(folder, handle)
    assert bed.ended(folder, handle) == Exit(77, None)
