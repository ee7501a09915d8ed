"""A dataset as files: all rows, the problems that are listed, progress, and what goes wrong on the way."""

from __future__ import annotations

import csv
import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton

from forge_desktop.bridge.backend import Cancelled
from forge_desktop.bridge.dataset_files import write_lines
from tests.desktop.test_datasets import dataset

pytestmark = pytest.mark.slow


def save_as(page, qtbot, name, file) -> QFileDialog:
    """Press the button and choose a file in the dialog that opens."""
    qtbot.mouseClick(page.findChild(QPushButton, name), Qt.MouseButton.LeftButton)
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, QFileDialog)
    proposed = dialog.selectedFiles()[0]
    dialog.fileSelected.emit(str(file))
    dialog.reject()
    return proposed


def transfer(replay, qtbot, state):
    transfers = replay.window.actions_of_runs.transfers
    qtbot.waitUntil(lambda: bool(transfers.list) and transfers.list[-1].state == state)
    return transfers.list[-1]


def test_all_rows_become_lines_and_the_downloads_say_so(replay, qtbot, tmp_path):
    page = dataset(replay, qtbot)
    file = tmp_path / "rows.jsonl"
    file.write_text("an older file")
    proposed = save_as(page, qtbot, "dataset.rows.export", file)
    assert proposed.endswith("support-tickets-zh-v2.jsonl")
    done = transfer(replay, qtbot, "done")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == page.model.version.rows == done.total == done.done
    assert "messages" in rows[0]
    assert [one for one in tmp_path.iterdir() if one.name != "home"] == [file]


def test_the_problems_that_are_listed_become_a_table(replay, qtbot, tmp_path):
    page = dataset(replay, qtbot, tab="problems")
    page.model.choose(1)
    qtbot.waitUntil(lambda: page.problems.total > 0)
    kind = next(iter(page.problems.counts))
    page.problems.only(kind)
    qtbot.waitUntil(lambda: page.problems.total == page.problems.counts[kind])
    file = tmp_path / "problems.csv"
    assert f"v1-{kind}.csv" in save_as(page, qtbot, "dataset.problems.export", file)
    transfer(replay, qtbot, "done")
    with file.open(newline="") as table:
        found = list(csv.DictReader(table))
    assert len(found) == page.problems.counts[kind]
    assert {one["kind"] for one in found} == {kind}


def test_a_file_that_ends_early_is_no_file_and_can_be_tried_again(replay, qtbot, tmp_path):
    page = dataset(replay, qtbot)
    file = tmp_path / "rows.jsonl"
    file.write_text("an older file")
    replay.backend.export_breaks = 5
    save_as(page, qtbot, "dataset.rows.export", file)
    failed = transfer(replay, qtbot, "failed")
    assert failed.error.code == "dataset.export_short"
    assert file.read_text() == "an older file"
    assert [one for one in tmp_path.iterdir() if one.name != "home"] == [file]
    replay.backend.export_breaks = None
    replay.window.actions_of_runs.transfers.again(failed)
    transfer(replay, qtbot, "done")
    assert file.read_text().count("\n") == page.model.version.rows


def test_a_folder_that_cannot_be_written_to_is_named(replay, qtbot, tmp_path):
    page = dataset(replay, qtbot)
    (tmp_path / "taken").write_text("")
    save_as(page, qtbot, "dataset.rows.export", tmp_path / "taken" / "rows.jsonl")
    assert transfer(replay, qtbot, "failed").error.code == "desktop.file_unwritable"


def test_cancelling_leaves_nothing_behind(tmp_path):
    told = []

    def tell(done, total):
        told.append((done, total))
        if done == 2:
            raise Cancelled

    def send(take):
        for _ in range(9):
            take(b"{}\n")

    with pytest.raises(Cancelled):
        write_lines(tmp_path / "rows.jsonl", send, 9, tell)
    assert told == [(0, 9), (1, 9), (2, 9)]
    assert not [one for one in tmp_path.iterdir() if one.name != "home"]
