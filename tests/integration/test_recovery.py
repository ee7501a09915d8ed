"""Real controllers and workers that die at every place where it could matter."""

import json
import os
import signal
import sqlite3
import time

import pytest

from engine.contract.api import CreateRun, Settings
from engine.contract.errors import Unreachable
from engine.contract.paths import AttemptFolder
from engine.control.executors import identity
from tests.helpers.waiting import PATIENCE_S, wait_until


def start_with_fault(service, monkeypatch, setting):
    """A controller that will die at a named place; the next one will not."""
    monkeypatch.setenv("FORGE_FAULT", setting)
    process = service.start()
    monkeypatch.delenv("FORGE_FAULT")
    return process


def workers_of(service, uid):
    """Process ids of workers that live, of all attempts of a run, by the folder each was given."""
    found = []
    for folder in (service.home.run(uid) / "attempts").glob("*"):
        content = json.loads((folder / "monitor.json").read_text()) if (folder / "monitor.json").exists() else {}
        if identity.alive(content.get("worker")):
            found.append(content["worker"]["pid"])
    return found


def rows(service, sql):
    connection = sqlite3.connect(service.home.database)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def let_go(service, uid):
    """A worker that is held before its last step may end."""
    (service.home.run(uid) / "go").touch()


def lines_once(service, uid):
    """Whether every line of every journal that is an event is in the history exactly once."""
    attempts = rows(service, f"SELECT attempt.id, n FROM attempt JOIN run ON run.id = run_id WHERE uid = '{uid}'")
    for attempt, n in attempts:
        sql = f"SELECT seq FROM event WHERE attempt_id = {attempt} AND seq NOT NULL"
        stored = [row[0] for row in rows(service, sql)]
        kinds = ("step", "device", "validation")
        journal = service.home.attempt(uid, n).journal
        lines = service.journal(uid, n) if journal.exists() else []
        assert sorted(stored) == [line["seq"] for line in lines if line["kind"] not in kinds]
    return True


@pytest.mark.parametrize(
    "place",
    ["start.after_claim", "start.after_folder", "start.after_order", "start.after_monitor", "start.after_handle"],
)
def test_that_a_controller_killed_in_mid_start_leaves_one_worker(service, monkeypatch, place):
    controller = start_with_fault(service, monkeypatch, place)
    run = service.client.create(service.spec("steps=40 delay=0.01 save=5 held"))
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    service.start()
    wait_until(lambda: service.client.run(run.uid).run.step)
    wait_until(lambda: workers_of(service, run.uid), what="its monitor says who the worker is")
    assert len(workers_of(service, run.uid)) == 1
    let_go(service, run.uid)
    detail = service.until(run.uid, "completed")
    assert [(one.n, one.cause, one.exit_code) for one in detail.attempts] == [(1, "first", 0)]
    assert lines_once(service, run.uid)
    assert rows(service, "SELECT * FROM device_lease") == []


@pytest.mark.parametrize(
    "setting",
    [
        "history.before_commit:kill:8",
        "history.after_commit:kill:9",
        "ingest.before_store:kill:3",
        "ingest.after_store:kill:3",
        "durable.before_rename:kill:3",
    ],
)
def test_that_a_controller_killed_at_work_loses_and_repeats_nothing(service, monkeypatch, setting):
    controller = start_with_fault(service, monkeypatch, setting)
    run = service.client.create(service.spec("steps=60 delay=0.05 save=10"))
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    service.start()
    detail = service.until(run.uid, "completed")
    assert len([attempt for attempt in detail.attempts if attempt.first_step is not None]) == 1
    assert [one.step for one in detail.checkpoints] == [10, 20, 30, 40, 50, 60]
    assert lines_once(service, run.uid)


def test_that_a_request_whose_answer_was_lost_is_not_done_twice(service, monkeypatch):
    controller = start_with_fault(service, monkeypatch, "command.after_commit")
    body, key = CreateRun(spec=service.spec("steps=2"), start=False), "the same key"
    with pytest.raises(Unreachable):
        service.client._send("POST", "/runs", body=body, key=key)
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    service.start()
    again = service.client._send("POST", "/runs", body=body, key=key).json()
    assert [run.uid for run in service.client.runs().runs] == [again["uid"]]


@pytest.mark.parametrize("verb", ["stop", "pause"])
def test_that_a_wish_written_down_before_the_crash_is_honoured_after(service, monkeypatch, verb):
    first = service.start()
    run = service.client.create(service.spec("steps=6000 delay=0.05 save=1000"))
    wait_until(lambda: service.client.run(run.uid).run.step)
    first.kill()
    first.wait()
    controller = start_with_fault(service, monkeypatch, "command.after_commit")
    with pytest.raises(Unreachable):
        getattr(service.client, verb)(run.uid)
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    service.start()
    detail = service.until(run.uid, {"stop": "stopped", "pause": "paused"}[verb])
    assert detail.attempts[0].exit_code == 77
    assert workers_of(service, run.uid) == []


def test_pause_and_resume_with_real_processes(service):
    service.start()
    run = service.client.create(service.spec("steps=60 delay=0.03 save=100 held"))
    wait_until(lambda: (service.client.run(run.uid).run.step or 0) >= 3)
    service.client.pause(run.uid)
    detail = service.until(run.uid, "paused")
    assert (detail.run.reason, detail.attempts[0].exit_code, detail.checkpoints[-1].cause) == (
        "paused_by_person", 77, "pause",
    )  # fmt: skip
    assert service.client.resources().used["gpu"] == 0
    at = detail.checkpoints[-1].step
    let_go(service, run.uid)
    assert service.forge("resume", run.uid).returncode == 0
    detail = service.until(run.uid, "completed")
    second = detail.attempts[1]
    assert (second.cause, second.resumed_step, second.first_step) == ("resume", at, at + 1)
    steps = service.client.series(run.uid, ["loss"])["loss"].x.tolist()
    assert sorted(set(steps)) == list(range(1, 61))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGTERM])
def test_that_a_worker_killed_by_somebody_goes_on_from_its_checkpoint(service, number):
    service.start()
    service.client.change_settings(Settings(retry_seconds=0))
    run = service.client.create(service.spec(f"steps=12 delay=0.02 save=4 once dieat=9,{int(number)}"))
    detail = service.until(run.uid, "completed")
    assert [attempt.cause for attempt in detail.attempts] == ["first", "retry"]
    at = 9 if number == signal.SIGTERM else 8  # told to end, it saves first
    assert (detail.attempts[1].resumed_step, detail.run.retries) == (at, 1)
    assert lines_once(service, run.uid)


def test_that_a_hanging_worker_is_ended_with_its_group_and_goes_on(service):
    service.start()
    service.client.change_settings(Settings(retry_seconds=0))
    spec = service.spec("steps=8 delay=0.02 save=2 once hangat=5", limits={"hang_minutes": 0.02})
    run = service.client.create(spec)
    detail = service.until(run.uid, "completed")
    assert [str(attempt.reason) for attempt in detail.attempts] == ["hang", "finished"]
    assert detail.attempts[1].resumed_step == 4
    assert workers_of(service, run.uid) == []


def test_that_a_stopped_process_is_not_taken_for_a_hanging_one(service):
    service.start()
    run = service.client.create(service.spec("steps=60 delay=0.05 held", limits={"hang_minutes": 0.02}))
    wait_until(lambda: service.client.run(run.uid).run.step)
    (worker,) = wait_until(lambda: workers_of(service, run.uid), what="its monitor says who the worker is")
    os.kill(worker, signal.SIGSTOP)
    watched = "SELECT heard FROM member"
    silent_since = rows(service, watched)[0][0]
    deadline = time.monotonic() + 4 * 1.2
    wait_until(lambda: time.monotonic() > deadline, what="four hang limits pass")
    assert rows(service, watched)[0][0] - silent_since < 1.2
    assert service.client.run(run.uid).run.state == "running"
    os.kill(worker, signal.SIGCONT)
    let_go(service, run.uid)
    assert len(service.until(run.uid, "completed").attempts) == 1


def test_save_now_and_sample_now(service):
    service.start()
    run = service.client.create(service.spec("steps=6000 delay=0.02"))
    wait_until(lambda: service.client.run(run.uid).run.step)
    assert service.forge("checkpoint", run.uid).returncode == 0
    asked = service.forge("--json", "sample", run.uid, "who are you?")
    assert json.loads(asked.stdout)[0]["answer"] == "WHO ARE YOU?"
    detail = wait_until(lambda: (found := service.client.run(run.uid)).checkpoints and found)
    assert detail.checkpoints[0].cause == "person"
    with (service.folder / "c.zip").open("wb") as file:
        service.client.download(run.uid, detail.checkpoints[0].id, file.write)
    assert (service.folder / "c.zip").stat().st_size > 0
    service.client.stop(run.uid, save=False)
    service.until(run.uid, "stopped")
    assert service.forge("sample", run.uid, "still there?").returncode == 5


def test_that_results_outlive_the_files_and_are_downloaded_from_the_library(service):
    service.start()
    run = service.client.create(service.spec("steps=3 save=1"))
    detail = service.until(run.uid, "completed")
    assert service.forge("pin", run.uid).returncode == 0
    assert service.forge("clean", run.uid).returncode == 0
    assert not service.home.run(run.uid).exists()
    assert service.client.run(run.uid).checkpoints == []
    with (service.folder / "a.zip").open("wb") as file:
        service.client.download(run.uid, detail.artifacts[0].id, file.write)
    assert (service.folder / "a.zip").stat().st_size > 1000
    assert b"stub worker at work" in service.client.log(run.uid).data
    assert service.client.series(run.uid, ["loss"])["loss"].x.tolist() == [1, 2, 3]


@pytest.mark.parametrize("place", ["retention.after_copy", "retention.after_commit"])
def test_that_a_controller_killed_while_files_go_loses_no_result(service, monkeypatch, place):
    controller = start_with_fault(service, monkeypatch, place)
    run = service.client.create(service.spec("steps=3 save=1"))
    detail = service.until(run.uid, "completed")
    with pytest.raises(Unreachable):
        service.client.clean(run.uid)
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    service.start()
    service.client.clean(run.uid)
    assert not service.home.run(run.uid).exists()
    with (service.folder / "a.zip").open("wb") as file:
        service.client.download(run.uid, detail.artifacts[0].id, file.write)
    assert (service.folder / "a.zip").stat().st_size > 1000


@pytest.mark.parametrize("place", ["monitor.after_claim", "monitor.after_start", "monitor.before_exit"])
def test_that_a_monitor_that_dies_leaves_no_second_worker(service, monkeypatch, place):
    monkeypatch.setenv("FORGE_FAULT", place)
    service.home.root.mkdir()
    service.home.settings_file.write_text('{"retry_seconds": 0}')
    first = service.start()
    run = service.client.create(service.spec("steps=30 delay=0.05 save=5", limits={"retries": 1}))
    wait_until(lambda: len(service.client.run(run.uid).attempts) == 2 or service.client.run(run.uid).run.state.ended)
    monkeypatch.delenv("FORGE_FAULT")
    first.terminate()
    first.wait(PATIENCE_S)
    service.start()
    detail = service.until(run.uid, "failed", "completed")
    folders = [AttemptFolder(path) for path in (service.home.run(run.uid) / "attempts").iterdir()]
    assert len(folders) == len(detail.attempts)
    pids = [line["pid"] for n in range(1, len(folders) + 1) if service.home.attempt(run.uid, n).journal.exists()
            for line in service.journal(run.uid, n) if line["kind"] == "started"]  # fmt: skip
    assert [pid for pid in pids if identity.of(pid)] == []
