"""The desktop saves a dataset of a real controller as files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from engine.contract.datasets import ImportJob, ImportSource
from engine.contract.errors import UserError
from forge_desktop.bridge.controller import ControllerBackend
from tests.helpers.controller import ControllerProcess

ROWS = 30


def test_rows_and_problems_become_files_whole_or_not_at_all(service: ControllerProcess, tmp_path: Path) -> None:
    service.start()
    path = service.folder / "rows.jsonl"
    path.write_text("".join(f'{{"text": "row {number}"}}\n' for number in range(ROWS)))
    job = ImportJob(dataset="alpha", source=ImportSource.model_validate({"place": str(path)}))
    service.until(service.client.import_dataset(job, "steps=1").uid, "completed")
    backend = ControllerBackend(service.home, service.client)
    uid = service.client.dataset("alpha").dataset.uid
    told = list[tuple[int, int | None]]()
    folder = tmp_path / "saved"
    folder.mkdir()
    rows, problems = folder / "rows.jsonl", folder / "problems.csv"
    assert backend.export_dataset(uid, 1, ROWS, rows, lambda *news: told.append(news)) == ROWS
    assert rows.read_text() == path.read_text()
    assert told[0] == (0, ROWS)
    assert told[-1] == (ROWS, ROWS)
    backend.export_problems(uid, 1, "", 0, problems, lambda *_news: None)
    with problems.open(newline="", encoding="utf-8-sig") as table:
        assert next(csv.reader(table))[0] == "kind"
    with pytest.raises(UserError, match=r"dataset\.export_short"):
        backend.export_dataset(uid, 1, ROWS + 1, rows, lambda *_news: None)
    assert rows.read_text() == path.read_text()
    assert sorted(one.name for one in folder.iterdir()) == ["problems.csv", "rows.jsonl"]
