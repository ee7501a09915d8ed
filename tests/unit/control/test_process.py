"""Real processes below a real monitor: how they start, end, and are found again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.contract.paths import AttemptFolder
from engine.control.executors import identity
from engine.control.executors.base import Exit, Launch
from engine.control.executors.monitor import claim
from engine.control.executors.process import ProcessExecutor
from tests.helpers.waiting import wait_until


class Bed:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = AttemptFolder(folder)
        self.executor = ProcessExecutor()

    def start(self, code: str) -> str:
        command = [sys.executable, "-c", code]
        self.handle = self.executor.start(Launch(self.folder, command, {"COLOUR": "blue"}))
        return self.handle

    def poll(self) -> Exit | None:
        return self.executor.poll(self.folder, self.handle)

    def ended(self) -> Exit:
        return wait_until(self.poll, what="the worker ends")

    def processes(self) -> dict:
        wait_until(lambda: self.folder.monitor.exists() and json.loads(self.folder.monitor.read_text())["worker"])
        return json.loads(self.folder.monitor.read_text())

    def said(self, word: str) -> bool:
        """The worker printed it, and its monitor has noted who it is: the one may come before the other."""
        self.processes()
        return wait_until(lambda: word in self.folder.log.read_text(), what=f"the worker says {word}")

    def clean(self) -> None:
        if self.folder.monitor.exists():
            for who in json.loads(self.folder.monitor.read_text()).values():
                if who and identity.alive(who):
                    os.kill(who["pid"], signal.SIGKILL)


@pytest.fixture
def bed(tmp_path: Path):
    bed = Bed(tmp_path / "attempt")
    yield bed
    bed.clean()


CHILD = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
WAITS = "import time; print('here', flush=True); time.sleep(600)"


def test_that_output_environment_and_exit_code_are_kept(bed):
    bed.start("import os, sys; print('out', os.environ['COLOUR']); print('err', file=sys.stderr); sys.exit(7)")
    ended = bed.ended()
    assert ended == Exit(7, None)
    assert ended.at == json.loads(bed.folder.exit.read_text())["t"]
    text = bed.folder.log.read_text()
    assert "out blue" in text
    assert "err" in text


def test_that_a_command_that_is_not_there_is_an_end_too(bed):
    bed.handle = bed.executor.start(Launch(bed.folder, ["/nowhere/python"]))
    assert bed.ended() == Exit(127, None)
    assert "could not be started" in bed.folder.log.read_text()


def test_that_a_worker_leads_its_own_group_in_a_session_apart_from_ours(bed):
    bed.start(WAITS)
    pids = bed.processes()
    worker = pids["worker"]["pid"]
    assert os.getpgid(worker) == worker
    assert os.getsid(worker) == pids["monitor"]["pid"] != os.getsid(0)


def test_that_kill_ends_the_whole_group_and_only_it(bed):
    bystander = subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.DEVNULL)
    try:
        bed.start(f"{CHILD}\nimport time; print('child', p.pid, flush=True); time.sleep(600)")
        bed.said("child")
        child = identity.of(int(bed.folder.log.read_text().split()[1]))
        assert child is not None
        bed.executor.kill(bed.folder, bed.handle)
        assert bed.ended() == Exit(None, 9)
        wait_until(lambda: not identity.alive(child), what="the child has gone")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {grandchild!r}])"
subprocess.Popen([sys.executable, '-c', child + "; print('child', p.pid, flush=True); time.sleep(600)"])
time.sleep(600)
"""


def child_of(bed) -> dict:
    """The process whose number the worker's output names."""
    bed.said("child")
    return wait_until(lambda: identity.of(int(bed.folder.log.read_text().split()[1])), what="the child is there")


@pytest.mark.parametrize("stopped", [False, True])
def test_that_kill_ends_grandchildren_that_heed_no_sigterm_and_processes_that_are_stopped(bed, stopped):
    bed.start(STUBBORN)
    grandchild, worker = child_of(bed), bed.processes()["worker"]
    if stopped:
        os.killpg(worker["pid"], signal.SIGSTOP)
    bed.executor.stop(bed.folder, bed.handle)
    assert bed.poll() is None
    bed.executor.kill(bed.folder, bed.handle)
    assert bed.ended() == Exit(None, 9)
    wait_until(lambda: not identity.alive(grandchild), what="the grandchild has gone")


def test_that_kill_ends_the_group_when_its_leader_and_its_monitor_have_gone(bed):
    bed.start(STUBBORN)
    grandchild, processes = child_of(bed), bed.processes()
    for who in ("monitor", "worker"):
        os.kill(processes[who]["pid"], signal.SIGKILL)
        wait_until(lambda who=who: not identity.alive(processes[who]))
    assert identity.alive(grandchild)
    bed.executor.kill(bed.folder, bed.handle)
    wait_until(lambda: not identity.alive(grandchild), what="the grandchild has gone")
    assert bed.ended() == Exit(None, None)


def test_that_a_worker_found_dead_without_its_monitor_leaves_nothing_behind(bed):
    bed.start(STUBBORN)
    grandchild, processes = child_of(bed), bed.processes()
    for who in ("monitor", "worker"):
        os.kill(processes[who]["pid"], signal.SIGKILL)
    bed.folder.journal.write_text("its last words\n")
    os.utime(bed.folder.journal, (1e9, 1e9))
    ended = bed.ended()
    assert ended == Exit(None, None)
    assert ended.at == 1e9  # nobody saw when: its last sign of life
    wait_until(lambda: not identity.alive(grandchild), what="the grandchild has gone")


def test_that_kill_before_the_worker_is_known_ends_it_too(bed):
    bed.start(f"{CHILD}\nprint('child', p.pid, flush=True); import time; time.sleep(600)")
    child, processes = child_of(bed), bed.processes()
    bed.folder.monitor.write_text(json.dumps({**processes, "worker": None}))  # as in the moment before it is noted
    bed.executor.kill(bed.folder, bed.handle)
    for who in (processes["monitor"], processes["worker"], child):
        wait_until(lambda who=who: not identity.alive(who), what="all of it has gone")


def test_that_a_process_that_left_the_group_on_purpose_is_not_ended(bed):
    bed.start(f"{CHILD.replace('time.sleep(600)', 'import os; os.setsid(); time.sleep(600)')}\n"
              "import os, time\nwhile os.getsid(p.pid) == os.getsid(0): time.sleep(0.01)\n"
              "print('child', p.pid, flush=True); time.sleep(600)")  # fmt: skip
    child = child_of(bed)
    try:
        bed.executor.kill(bed.folder, bed.handle)
        assert bed.ended() == Exit(None, 9)
        assert identity.alive(child)
    finally:
        os.kill(child["pid"], signal.SIGKILL)


def test_that_nothing_is_signalled_for_a_process_id_that_passed_to_another(bed):
    bystander = subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        who = identity.of(bystander.pid)
        earlier = {**who, "ticks": who["ticks"] - 100}
        bed.folder.monitor.write_text(json.dumps({"monitor": {**earlier, "pid": 1}, "worker": earlier}))
        bed.handle = json.dumps(earlier)
        bed.executor.stop(bed.folder, bed.handle)
        bed.executor.kill(bed.folder, bed.handle)
        bed.folder.monitor.unlink()
        bed.executor.kill(bed.folder, bed.handle)
        assert bystander.poll() is None
        assert identity.alive(who)
    finally:
        bystander.kill()
        bystander.wait()


def test_that_monitor_and_worker_that_are_stopped_for_a_while_fail_nothing(bed):
    bed.start("import time; print('here', flush=True); [print(n, flush=True) or time.sleep(0.05) for n in range(10)]")
    bed.said("here")
    pids = [who["pid"] for who in bed.processes().values()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    state = {pid: lambda pid=pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids}
    for pid in pids:
        wait_until(lambda pid=pid: state[pid]() == "T", what="it is stopped")
    other = ProcessExecutor()
    assert bed.poll() is None
    assert other.adopt(bed.folder, bed.handle)
    assert other.poll(bed.folder, bed.handle) is None
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert bed.ended() == Exit(0, None)
    assert bed.folder.log.read_text().split() == ["here", *map(str, range(10))]


def test_that_an_attempt_of_another_lease_is_left_alone(bed):
    bed.folder.order.write_text(json.dumps({"lease": "theirs"}))
    bed.start(WAITS)
    bed.said("here")
    before = bed.folder.monitor.read_bytes()
    assert not ProcessExecutor().adopt(bed.folder, bed.handle, "ours")
    assert bed.folder.monitor.read_bytes() == before
    assert bed.poll() is None
    assert ProcessExecutor().adopt(bed.folder, bed.handle, "theirs")


def test_that_what_a_worker_leaves_behind_is_ended(bed):
    bed.start(f"{CHILD}\nprint('child', p.pid, flush=True)")
    bed.said("child")
    child = {"pid": int(bed.folder.log.read_text().split()[1])}
    assert bed.ended() == Exit(0, None)
    wait_until(lambda: identity.of(child["pid"]) is None, what="the child has gone")


def test_that_stop_is_sigterm_to_the_worker(bed):
    bed.start(
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(77))\n"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})\n"
        "print('here', flush=True); time.sleep(600)"
    )
    bed.said("here")
    bed.executor.stop(bed.folder, bed.handle)
    assert bed.ended() == Exit(77, None)


def test_that_stop_before_the_worker_is_known_reaches_it_too(bed):
    bed.start(
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(77))\n"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})\n"
        "print('here', flush=True); time.sleep(600)"
    )
    bed.said("here")
    noted = bed.processes()
    bed.folder.monitor.write_text(json.dumps({**noted, "worker": None}))  # as in the moment before it is noted
    bed.executor.stop(bed.folder, bed.handle)
    bed.folder.monitor.write_text(json.dumps(noted))
    assert bed.ended() == Exit(77, None)


def test_that_another_executor_finds_worker_and_exit(bed):
    bed.start(WAITS)
    bed.said("here")
    other = ProcessExecutor()
    assert other.adopt(bed.folder, bed.handle)
    assert other.poll(bed.folder, bed.handle) is None
    os.kill(bed.processes()["worker"]["pid"], signal.SIGKILL)
    assert wait_until(lambda: other.poll(bed.folder, bed.handle)) == Exit(None, 9)


def test_that_a_worker_lives_on_without_its_monitor(bed):
    bed.start(WAITS)
    pids = bed.processes()
    os.kill(pids["monitor"]["pid"], signal.SIGKILL)
    wait_until(lambda: not identity.alive(pids["monitor"]))
    assert bed.poll() is None
    os.kill(pids["worker"]["pid"], signal.SIGKILL)
    assert bed.ended() == Exit(None, None)


def test_that_a_start_given_up_never_happens(bed):
    assert not bed.executor.adopt(bed.folder, "")
    bed.start("print('here')")
    wait_until(lambda: not identity.alive(json.loads(bed.handle)))
    assert "here" not in bed.folder.log.read_text()
    assert not bed.folder.exit.exists()


def test_that_a_start_given_up_stays_given_up_for_the_next_controller(bed):
    assert not bed.executor.adopt(bed.folder, "")
    assert not ProcessExecutor().adopt(bed.folder, "")


def test_that_a_folder_is_claimed_once(tmp_path):
    assert claim(tmp_path, {"monitor": 1})
    assert not claim(tmp_path, {"monitor": 2})
    assert json.loads((tmp_path / "monitor.json").read_text()) == {"monitor": 1}


def test_that_a_process_id_given_to_another_is_not_taken_for_the_old_process():
    me = identity.of(os.getpid())
    assert identity.alive(me)
    assert not identity.alive({**me, "ticks": me["ticks"] - 1})
    assert not identity.alive({**me, "boot": "another"})
    assert not identity.alive(None)


def test_that_a_process_that_ended_but_was_not_waited_for_is_dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    who = {"pid": process.pid}
    wait_until(lambda: identity.of(who["pid"]) is None)
    process.wait()


def test_that_start_times_are_those_of_psutil():
    import psutil

    assert identity.of(os.getpid())["started"] == pytest.approx(psutil.Process().create_time(), abs=0.02)
