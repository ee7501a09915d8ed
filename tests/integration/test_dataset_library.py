"""The library with a real controller and the stub's workers: imports, who is killed, routes, uploads, commands."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.contract.config_file import to_yaml
from engine.contract.datasets import EditDataset, ImportJob, ImportSource, NewUpload
from engine.contract.errors import Conflict, NotFound, Refused, UserError
from engine.contract.run_spec import RunConfig
from engine.contract.stream import DatasetChanged, stream_message
from tests.helpers.controller import ControllerProcess
from tests.helpers.waiting import wait_until


def rows_file(service: ControllerProcess, name: str = "rows.jsonl", rows: int = 20) -> Path:
    path = service.folder / name
    path.write_text("".join(f'{{"text": "row {number}"}}\n' for number in range(rows)))
    return path


def job(path: Path | str, dataset: str = "alpha", **source: Any) -> ImportJob:
    return ImportJob(dataset=dataset, source=ImportSource.model_validate({"place": str(path), **source}))


def versions(service: ControllerProcess) -> list[tuple[str, int]]:
    connection = sqlite3.connect(service.home.database)
    try:
        return connection.execute(
            "SELECT name, n FROM dataset_version JOIN dataset ON dataset.id = dataset_id ORDER BY name, n"
        ).fetchall()
    finally:
        connection.close()


def forecast_steps(service: ControllerProcess, version: str = "") -> int:
    """The steps that the command line counts for a config of a row a step; nobody says how many rows there are."""
    rows = {"path": "alpha", "hub": "library", "version": version}
    data = {"train": [rows], "validation_share": 0.0}
    training = {"epochs": 1, "micro_batch_size": 1, "accumulation": 1}
    document = {"name": "planned", "model": {"path": "demo", "hub": "bundled"}, "data": data, "training": training}
    config = service.folder / "planned.yaml"
    config.write_text(to_yaml(RunConfig.model_validate(document)))
    said = service.forge("forecast", str(config), "--json")
    assert said.returncode == 0, said.stderr
    return int(json.loads(said.stdout)["steps"])


def test_an_import_from_its_file_to_its_rows(service: ControllerProcess) -> None:
    service.start()
    client, path = service.client, rows_file(service)
    run = client.import_dataset(job(path), "steps=2")
    detail = service.until(run.uid, "completed")
    made = next(one.body for one in detail.events if one.kind == "dataset")
    assert (made["name"], made["version"], made["rows"]) == ("alpha", 1, 20)
    assert (run.lane, detail.run.node, detail.run.dataset) == ("cpu", "local", "alpha")
    page = client.datasets()
    assert [(one.name, one.versions) for one in page.datasets] == [("alpha", 1)]
    uid = page.datasets[0].uid
    rows = client.dataset_rows(uid, 1, offset=18)
    assert [json.loads(row.content)["text"] for row in rows.rows] == ["row 18", "row 19"]
    assert rows.total == 20
    assert client.dataset_rows("Alpha", 1, search="row 7").rows[0].row == 7
    assert client.dataset_problems(uid, 1).total == 0
    pieces: list[bytes] = []
    assert client.export_dataset(uid, 1, pieces.append) == 20
    assert b"".join(pieces).decode() == path.read_text()
    sheet: list[bytes] = []
    client.export_problems(uid, 1, sheet.append)
    assert next(csv.reader(io.StringIO(b"".join(sheet).decode("utf-8-sig"))))[0] == "kind"
    rows_file(service, rows=21)
    service.until(client.import_dataset(job(path), "steps=1").uid, "completed")
    assert forecast_steps(service) == 21
    assert forecast_steps(service, client.dataset(uid).versions[-1].hash) == 20
    diff = client.dataset_diff(uid, 1, 2)
    assert (diff.added, diff.removed, diff.same) == (1, 0, 20)
    assert client.dataset(uid, 1).manifest != client.dataset(uid).manifest
    client.edit_dataset(uid, EditDataset(name="Beta / γ".replace("/", "-"), tags=["x"]))
    assert client.dataset("beta - γ").dataset.tags == ["x"]
    client.delete_dataset("Beta - γ", 1)
    assert [one.n for one in client.dataset(uid).versions] == [2]
    client.delete_dataset(uid)
    with pytest.raises(NotFound):
        client.dataset(uid)
    assert [path.name for path in service.home.datasets.iterdir()] == []


def test_that_a_worker_killed_in_mid_import_makes_its_version_once(service: ControllerProcess) -> None:
    service.start()
    service.client.edit_settings({"retry_seconds": 0.1})
    for number, name in enumerate(("once die steps=2", "once dieafter steps=2")):
        path = rows_file(service, f"rows-{number}.jsonl", 5 + number)
        run = service.client.import_dataset(job(path, f"set {number}"), name)
        detail = service.until(run.uid, "completed")
        assert detail.run.attempt == 2
    assert versions(service) == [("set 0", 1), ("set 1", 1)]
    codes = [one.body.get("code") for one in detail.events if one.kind == "note"]
    assert "dataset.unchanged" not in codes


@pytest.mark.parametrize("point", ["ingest.before_store", "ingest.after_store"])
def test_that_a_controller_killed_in_mid_import_keeps_the_version_once(
    service: ControllerProcess, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = service.start()
    run = service.client.import_dataset(job(rows_file(service)), "steps=100 delay=0.05")
    service.until(run.uid, "running")
    process.send_signal(signal.SIGKILL)
    process.wait()
    journal = service.home.attempt(run.uid, 1).journal
    wait_until(lambda: b'"ended"' in journal.read_bytes(), what="the worker went on by itself")
    with monkeypatch.context() as changed:
        changed.setenv("FORGE_FAULT", f"{point}:kill")
        second = service.spawn()
        assert second.wait(120) == -signal.SIGKILL
    service.start()
    service.until(run.uid, "completed")
    assert versions(service) == [("alpha", 1)]


def test_that_an_import_is_paused_and_gone_on_with(service: ControllerProcess) -> None:
    service.start()
    run = service.client.import_dataset(job(rows_file(service)), "steps=400 delay=0.05")
    service.until(run.uid, "running")
    service.client.pause(run.uid)
    service.until(run.uid, "paused")
    assert service.client.datasets().total == 0
    with pytest.raises(Conflict):
        service.client.checkpoint(run.uid)
    service.client.resume(run.uid)
    service.until(run.uid, "running")
    service.client.stop(run.uid)
    service.until(run.uid, "stopped")


def test_that_who_listens_hears_of_new_versions(service: ControllerProcess) -> None:
    from tests.integration.test_service import listen

    service.start()
    with listen(service) as socket:
        service.client.import_dataset(job(rows_file(service)), "steps=1")
        while not isinstance(message := stream_message.validate_json(socket.recv(timeout=60)), DatasetChanged):
            pass
    assert (message.dataset.name, message.dataset.versions) == ("alpha", 1)


def test_that_a_run_learns_from_a_version_that_then_stays(service: ControllerProcess) -> None:
    service.start()
    service.until(service.client.import_dataset(job(rows_file(service)), "steps=1").uid, "completed")
    found = service.client.dataset("alpha")
    spec = service.spec("steps=400 delay=0.05", job={
        "kind": "train", "model": {"path": str(service.folder / "model")},
        "data": {"train": [{"hub": "library", "path": "alpha"}]},
    })  # fmt: skip
    assert not service.client.check(spec).problems
    run = service.client.create(spec)
    order = service.home.attempt(run.uid, 1).order
    wait_until(order.is_file, what="the order is there")
    assert json.loads(order.read_bytes())["spec"]["job"]["data"]["train"][0]["version"] == found.versions[0].hash
    with pytest.raises(Conflict, match=r"dataset\.needed"):
        service.client.delete_dataset("alpha")
    assert [one.run for one in service.client.dataset("alpha").runs] == [run.uid]
    service.client.stop(run.uid)
    service.until(run.uid, "stopped", "completed")
    service.client.delete_dataset("alpha")
    with pytest.raises(Refused, match=r"config\."):
        service.client.resume(run.uid)


def test_that_an_upload_goes_on_where_it_broke_off(service: ControllerProcess) -> None:
    first = service.start()
    client = service.client
    data = random.Random(1).randbytes(5_000)
    path = service.folder / "sent.bin"
    path.write_bytes(data)
    wish = NewUpload(name="../../etc/p\\sent.bin", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    begun = client.begin_upload(wish)
    assert begun.name == "sent.bin"
    assert client.send_piece(begun.uid, 0, data[:2000]).received == 2000
    with pytest.raises(Conflict) as wrong:
        client.send_piece(begun.uid, 1000, data[1000:])
    assert wrong.value.params["received"] == 2000
    with pytest.raises(Refused, match=r"upload\.too_long"):
        client.send_piece(begun.uid, 2000, data)
    with pytest.raises(Refused, match=r"is not complete: 2000 of 5000"):
        client.import_dataset(job(begun.uid, kind="upload"))
    first.send_signal(signal.SIGKILL)
    first.wait()
    with (service.home.upload(begun.uid) / ".part").open("ab") as torn:
        torn.write(b"never counted")
    service.start()
    told: list[tuple[int, int]] = []
    done = client.upload(path, lambda at, size: told.append((at, size)))
    assert (done.uid, done.complete) == (begun.uid, True)
    assert told[0] == (2000, 5000)
    assert told[-1] == (5000, 5000)
    assert [file.name for file in service.home.upload(begun.uid).iterdir()] == ["sent.bin"]
    assert (service.home.upload(begun.uid) / "sent.bin").read_bytes() == data
    assert client.upload(path).uid == begun.uid
    client.delete_upload(begun.uid)
    with pytest.raises(NotFound):
        client.upload_view(begun.uid)


def test_that_an_upload_of_another_content_is_begun_anew(service: ControllerProcess) -> None:
    service.start()
    client = service.client
    begun = client.begin_upload(NewUpload(name="x.jsonl", bytes=4, sha256="0" * 64))
    with pytest.raises(Refused, match=r"upload\.other_content"):
        client.send_piece(begun.uid, 0, b"abcd")
    assert client.upload_view(begun.uid).received == 0
    for name in ("..", "a\x00b", "", "   ", "/"):
        with pytest.raises(Refused):
            client.begin_upload(NewUpload.model_construct(name=name, bytes=1, sha256=""))
    with pytest.raises(UserError, match=r"upload\.no_room"):
        client.begin_upload(NewUpload(name="x", bytes=1 << 60))
    empty = client.begin_upload(NewUpload(name="empty.jsonl", bytes=0))
    assert empty.complete


def test_that_uploads_go_on_while_the_controller_comes_and_goes(service: ControllerProcess) -> None:
    process = service.start()
    data = random.Random(2).randbytes(40 << 20)
    path = service.folder / "large.bin"
    path.write_bytes(data)
    seen, killed = threading.Event(), threading.Event()

    def kill() -> None:
        seen.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        service.start()
        killed.set()

    thread = threading.Thread(target=kill)
    thread.start()

    def told(at: int, _size: int) -> None:
        if at >= 8 << 20:
            seen.set()

    done = service.client.upload(path, told)
    thread.join(60)
    assert killed.is_set()
    assert (service.home.upload(done.uid) / "large.bin").read_bytes() == data


def test_the_command_line_of_the_library(service: ControllerProcess) -> None:
    service.start()
    path = rows_file(service, "My rows.jsonl")
    done = service.forge("data", "import", str(path), "--follow", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["state"], made["dataset"]["name"], made["dataset"]["version"]) == ("completed", "My rows", 1)
    again = service.forge("data", "import", str(path), "--name", "MY ROWS", "--follow", "--upload")
    assert "nothing new" in again.stdout
    rows_file(service, "My rows.jsonl", 25)
    assert "version 2: 25 rows" in service.forge("data", "import", str(path), "--follow").stdout
    assert "My rows" in service.forge("data", "list").stdout
    shown = json.loads(service.forge("data", "show", "my rows", "--json").stdout)
    assert [one["n"] for one in shown["versions"]] == [2, 1]
    assert "5 added, 0 removed, 0 changed, 20 the same" in service.forge("data", "diff", "My rows").stdout
    assert "row 24" in service.forge("data", "rows", "My rows", "--search", "ROW 24").stdout
    assert "0 of 0 problems" in service.forge("data", "problems", "My rows").stdout
    out = service.folder / "out.jsonl"
    assert service.forge("data", "export", "My rows", str(out), "--version", "1").returncode == 0
    assert len(out.read_text().splitlines()) == 20
    assert service.forge("data", "export", "My rows", str(out)).returncode == 5
    assert service.forge("data", "rename", "My rows", "Other").returncode == 0
    near = service.forge("data", "show", "Othr")
    assert near.returncode == 3
    assert "Other" in near.stderr
    assert service.forge("data", "delete", "Other", "--yes").returncode == 0
    assert json.loads(service.forge("data", "list", "--json").stdout)["total"] == 0
    assert service.forge("data", "import", str(service.folder / "none.jsonl")).returncode == 2
    assert service.forge("data", "import", str(path), "--map", "nonsense").returncode == 1
    storage = service.client.storage(again=True)
    assert "datasets" in storage.parts
