"""A real controller process and real worker processes (of the stub): what survives whose death."""

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as open_socket

from engine.client.address import read_address
from engine.client.launch import connect
from engine.client.stream import RunStream
from engine.contract.config_file import to_yaml
from engine.contract.errors import NotFound
from engine.contract.run_spec import RunConfig
from engine.contract.states import LIVE
from engine.contract.stream import stream_message
from engine.control.executors import identity
from engine.control.service import _listen
from engine.control.store import metrics
from tests.helpers.waiting import PATIENCE_S, wait_until


def listen(service, since=None):
    """A bare WebSocket."""
    address = read_address(service.home)
    query = "" if since is None else f"?since={since}"
    return open_socket(address.stream + query, additional_headers=address.headers, proxy=None)


def drain(socket):
    """Read until the other end closes."""
    while True:
        socket.recv(timeout=PATIENCE_S)


def stored_lines(service, uid):
    """Every journal line the history holds, by number, with how often."""
    connection = sqlite3.connect(service.home.database)
    connection.row_factory = sqlite3.Row
    run_id = connection.execute("SELECT id FROM run WHERE uid = ?", (uid,)).fetchone()[0]
    found = [row[0] for row in connection.execute("SELECT seq FROM event WHERE run_id = ? AND seq NOT NULL", (run_id,))]
    for name in ("loss", "cpu.utilisation"):
        for points in metrics.read(connection, run_id, [name]):
            found += points.seq.tolist()
    connection.close()
    return sorted(found)


def test_a_run_from_its_config_to_its_result(service):
    service.start()
    run = service.client.create(service.spec("steps=5"))
    detail = service.until(run.uid, "completed")
    assert [(score.when, score.value) for score in detail.scores] == [("before", 0.0), ("after", 0.9)]
    assert detail.samples[0].answer == "4"
    assert detail.device_names == {"cpu": "Stub"}
    assert detail.submit_to_first_step_s > 0
    assert detail.attempts[0].exit_code == 0
    assert service.client.series(run.uid, ["loss"])["loss"].x.tolist() == [1, 2, 3, 4, 5]
    view = service.client.series_view(run.uid, ["loss"], buckets=2, from_x=2)["loss"]
    assert (view.n.tolist(), view.x_first.tolist(), view.x_last.tolist()) == ([2, 2], [2, 4], [3, 5])
    assert b"stub worker at work" in service.client.log(run.uid).data
    assert service.client.config(run.uid).startswith("version: 1")
    assert service.client.config(run.uid, 1) == service.client.config(run.uid)
    with pytest.raises(NotFound):
        service.client.config(run.uid, 2)
    assert stored_lines(service, run.uid) == [line["seq"] for line in service.journal(run.uid)]


def test_that_a_controller_killed_in_mid_run_loses_and_repeats_nothing(service):
    controller = service.start()
    run = service.client.create(service.spec("steps=60 delay=0.05"))
    wait_until(lambda: (service.client.run(run.uid).run.step or 0) >= 3)
    before = (service.home.attempt(run.uid, 1).root / "monitor.json").read_bytes()
    controller.kill()
    controller.wait()
    lines = len(service.journal(run.uid))
    wait_until(lambda: len(service.journal(run.uid)) > lines + 3, what="the worker goes on without a controller")
    service.start()
    detail = service.until(run.uid, "completed")
    assert [attempt.n for attempt in detail.attempts] == [1]
    assert (service.home.attempt(run.uid, 1).root / "monitor.json").read_bytes() == before
    assert stored_lines(service, run.uid) == [line["seq"] for line in service.journal(run.uid)]
    moves = [event.body["to"] for event in detail.events if event.kind == "state"]
    assert moves == ["queued", "preparing", "running", "finishing", "completed"]


def test_that_a_worker_that_ended_while_no_controller_lived_is_found_ended(service):
    controller = service.start()
    run = service.client.create(service.spec("steps=20 delay=0.05"))
    wait_until(lambda: service.client.run(run.uid).run.state in LIVE and service.client.run(run.uid).run.step)
    controller.kill()
    controller.wait()
    wait_until(service.home.attempt(run.uid, 1).exit.exists, what="the monitor writes exit.json")
    service.start()
    service.until(run.uid, "completed")
    assert stored_lines(service, run.uid) == [line["seq"] for line in service.journal(run.uid)]


def test_that_a_worker_killed_by_the_system_ends_its_run_within_ten_seconds(service):
    service.start()
    run = service.client.create(service.spec("steps=4 die", limits={"retries": 0}))
    wait_until(service.home.attempt(run.uid, 1).exit.exists)
    gone = time.monotonic()
    detail = service.until(run.uid, "failed")
    assert time.monotonic() - gone < 10
    assert detail.run.reason == "worker_killed"
    assert detail.run.error.params == {"signal": 9}


def test_that_sigterm_ends_it_within_seconds_with_clients_listening_and_workers_going_on(service):
    controller = service.start()
    run = service.client.create(service.spec("steps=200 delay=0.05"))
    wait_until(lambda: service.client.run(run.uid).run.step)
    with listen(service) as socket:
        socket.recv(timeout=PATIENCE_S)
        began = time.monotonic()
        controller.send_signal(signal.SIGTERM)
        assert controller.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < 4
        with pytest.raises(ConnectionClosed):
            drain(socket)
    assert read_address(service.home) is None
    lines = len(service.journal(run.uid))
    wait_until(lambda: len(service.journal(run.uid)) > lines)


def test_that_a_handler_notices_its_client_leaving(service):
    service.start()
    for _ in range(3):
        with listen(service) as socket:
            socket.recv(timeout=PATIENCE_S)
    lonely = listen(service)
    with lonely as socket:
        socket.recv(timeout=PATIENCE_S)
        socket.socket.shutdown(2)  # gone without a word
    assert service.client.health().pid


def test_that_replay_begins_after_the_cursor_and_goes_over_into_live(service):
    service.start()
    first = service.client.create(service.spec("steps=2"))
    middle = service.until(first.uid, "completed").cursor
    second = service.client.create(service.spec("steps=3"))
    with listen(service, since=middle) as socket:
        seen, messages = [], []
        while not any(m.type == "run" and m.run.uid == second.uid and m.run.state == "completed" for m in messages):
            messages.append(stream_message.validate_json(socket.recv(timeout=PATIENCE_S)))
            if getattr(messages[-1], "cursor", None) is not None:
                seen.append(messages[-1].cursor)
    assert messages[0].type == "hello"
    assert messages[0].cursor == middle
    assert seen[1:] == list(range(middle + 1, seen[-1] + 1))


def test_that_the_stream_is_refused_without_the_token(service):
    service.start()
    address = read_address(service.home)
    with pytest.raises(InvalidStatus), open_socket(address.stream, proxy=None):
        pass


def test_that_what_a_killed_controller_wrote_aside_goes_when_the_next_begins(service):
    home = service.home
    left = [folder / ".facts.json.0123abcd" for folder in (home.root, home.nodes)]
    kept = home.nodes / "facts.json"
    for file in (*left, kept):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{")
    service.start()
    assert not any(file.exists() for file in left)
    assert kept.exists()


def test_that_a_home_has_one_controller(service):
    first = service.start()
    second = service.spawn()
    assert second.wait(PATIENCE_S) == 9
    assert first.poll() is None
    assert read_address(service.home).pid == first.pid


def test_that_two_who_need_a_controller_at_once_get_the_same(service, monkeypatch):
    monkeypatch.setenv("FORGE_WORKER_PYTHON", str(service.worker_python))
    pids = []

    def ask():
        with connect(service.home) as client:
            pids.append(client.health().pid)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 3
    assert len(set(pids)) == 1
    with connect(service.home) as client:
        client.shutdown()
    wait_until(lambda: read_address(service.home) is None)


def test_that_a_stream_goes_on_over_the_death_of_the_controller(service):
    controller = service.start()
    run = service.client.create(service.spec("steps=40 delay=0.05"))
    seen, told = [], []
    stream = RunStream(
        service.home,
        since=0,
        on_online=lambda: told.append("online"),
        on_offline=lambda _: told.append("offline"),
        on_gap=lambda: told.append("gap"),
    )

    def follow():
        for message in stream:
            seen.append(message)
            if message.type == "run" and message.run.state == "completed":
                return

    thread = threading.Thread(target=follow)
    thread.start()
    wait_until(lambda: any(message.type == "points" for message in seen))
    controller.kill()
    controller.wait()
    wait_until(lambda: "offline" in told)
    service.start()
    thread.join(60)
    stream.close()
    assert told == ["online", "offline", "online", "gap"]
    cursors = [m.cursor for m in seen if m.type != "hello" and getattr(m, "cursor", None) is not None]
    assert cursors == sorted(set(cursors))
    assert {message.run.uid for message in seen if message.type == "run"} == {run.uid}


def test_that_stop_saves_and_ends(service):
    service.start()
    run = service.client.create(service.spec("steps=500 delay=0.05"))
    wait_until(lambda: service.client.run(run.uid).run.step)
    service.client.stop(run.uid)
    detail = service.until(run.uid, "stopped")
    assert detail.run.reason == "stopped_by_person"
    assert detail.attempts[0].exit_code == 77
    assert [artifact.kind for artifact in detail.artifacts] == ["adapter"]


def test_that_a_deaf_worker_is_killed_after_the_grace_time(service):
    service.home.root.mkdir()
    service.home.settings_file.write_text('{"stop_grace_seconds": 0.5}')
    service.start()
    run = service.client.create(service.spec("steps=500 delay=0.05 deaf"))
    wait_until(lambda: service.client.run(run.uid).run.step)
    service.client.stop(run.uid)
    detail = service.until(run.uid, "stopped")
    assert detail.attempts[0].exit_code == -9
    worker = json.loads(service.home.attempt(run.uid, 1).monitor.read_text())["worker"]
    assert not identity.alive(worker)


def test_that_deleting_leaves_nothing(service):
    service.start()
    run = service.client.create(service.spec("steps=2"))
    service.until(run.uid, "completed")
    service.client.delete(run.uid)
    assert service.client.runs().total == 0
    assert list(service.home.runs.iterdir()) == []


def test_that_it_ends_by_itself_when_there_is_nothing_to_do(service):
    service.home.root.mkdir()
    service.home.settings_file.write_text('{"idle_minutes": 0.03}')
    process = service.spawn()
    assert process.wait(PATIENCE_S) == 0
    assert read_address(service.home) is None


def test_that_it_ends_when_nobody_can_find_it_any_more(service):
    process = service.start()
    service.home.controller_file.unlink()
    assert process.wait(PATIENCE_S) == 0


def test_that_it_ends_in_good_order_from_the_moment_it_can_be_found(service):
    process = service.spawn()
    wait_until(service.home.controller_file.exists)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert not service.home.controller_file.exists()


def test_that_a_newer_history_is_refused_in_plain_words(service):
    service.start().terminate()
    wait_until(lambda: read_address(service.home) is None)
    connection = sqlite3.connect(service.home.database)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    done = subprocess.run(
        [sys.executable, "-m", "engine.control"], env=service.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "newer version" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_line_with_a_controller(service):
    config = service.folder / "run.yaml"
    config.write_text(to_yaml(RunConfig.from_spec(service.spec("steps=3"))))
    done = service.forge("run", str(config), "--wait", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["state"], result["metrics"]["exact_match_after"]) == (0, "completed", 0.9)
    assert result["submit_to_first_step_s"] > 0
    uid = result["id"]
    assert uid in service.forge("runs").stdout
    assert json.loads(service.forge("--json", "show", uid[:12]).stdout)["run"]["uid"] == uid
    assert service.forge("metrics", "steps=3", "--metric", "loss").stdout.splitlines()[0] == "metric,attempt,x,t,value"
    assert service.forge("metrics", uid, "--metric", "colour").returncode == 3
    assert "stub worker" in service.forge("logs", uid, "--follow").stdout
    fetched = service.forge("download", uid, "--to", str(service.folder / "out"), "--json")
    assert sorted(p.name for p in (service.folder / "out").rglob("*.json")) == ["adapter_config.json"], fetched
    assert service.forge("download", uid, "--to", str(service.folder / "out")).returncode == 5
    assert service.forge("run", str(config), "--name", "exit=3", "--wait").returncode == 1
    assert service.forge("show", "nobody").returncode == 3
    assert service.forge("stop", uid).returncode == 5
    assert service.forge("delete", uid, "--yes").returncode == 0
    assert service.forge("controller", "stop").returncode == 0
    assert service.forge("controller", "status").returncode == 4


def test_that_no_process_is_left(service):
    service.start()
    run = service.client.create(service.spec("steps=2"))
    service.until(run.uid, "completed")
    content = json.loads(service.home.attempt(run.uid, 1).monitor.read_text())
    for who in content.values():
        wait_until(lambda who=who: not identity.alive(who))


def test_that_slots_are_set_from_the_command_line_and_hold(service):
    service.start()
    refused = service.forge("settings", "--slots", "gpu=2", "gpu=many")
    assert refused.returncode == 2
    assert "'gpu=many'" in refused.stderr
    assert service.client.resources().slots["gpu"] == 1
    assert service.forge("settings", "--slots", "gpu=8", "--idle-minutes", "30").returncode == 0
    assert service.client.resources().slots["gpu"] == 8
    assert json.loads(service.forge("--json", "settings").stdout)["idle_minutes"] == 30
    uids = [service.client.create(service.spec(f"run{n} steps=400 delay=0.02")).uid for n in range(8)]
    for uid in uids:
        service.until(uid, "running")
    assert service.client.resources().used["gpu"] == 8
    for uid in uids:
        service.client.stop(uid, save=False)
    for uid in uids:
        service.until(uid, "stopped")


def test_that_the_controllers_log_is_json_and_as_loud_as_its_settings_say(service):
    service.home.root.mkdir(parents=True)
    service.start()
    assert service.forge("settings", "--log-json", "--log-level", "info").returncode == 0
    before = service.home.controller_log.stat().st_size
    run = service.client.create(service.spec("steps=2"))
    service.until(run.uid, "completed")
    lines = [json.loads(line) for line in service.home.controller_log.read_text()[before:].splitlines()]
    assert any(run.uid in line["message"] and line["level"] == "info" for line in lines)
    assert service.forge("settings", "--log-level", "error", "--no-log-json").returncode == 0
    before = service.home.controller_log.stat().st_size
    run = service.client.create(service.spec("steps=2"))
    service.until(run.uid, "completed")
    assert service.home.controller_log.stat().st_size == before
    shown = service.forge("settings", "--keep-days", "forever", "--json")
    assert json.loads(shown.stdout)["keep_days"] is None
    assert service.forge("settings", "--keep-days", "soon").returncode != 0


def test_that_small_answers_are_sent_at_once():
    listener = _listen()
    with listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP  # by which asyncio knows to switch Nagle's waiting off
        assert client
