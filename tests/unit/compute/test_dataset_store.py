"""Versions on the disk: any row by its number in little memory, the same name for the same content, never half made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import import_job

from engine.compute.data.plain import row_hash
from engine.compute.data.store import is_version, open_version
from engine.compute.data.store.layout import version_hash
from engine.compute.data.store.making import Making
from engine.contract.data_format import Mapping
from engine.contract.datasets import Manifest, RowProblem
from engine.contract.errors import UserError


def make(folder: Path, rows: list[tuple[int, str]], shard_rows: int = 10, problems: int = 0) -> Path:
    """A version with these lines and contents."""
    making = Making(folder / ".making-r", "key", shard_rows=shard_rows)
    for number, (line, content) in enumerate(rows):
        making.add(0, line, content, len(content))
        if number < problems:
            making.problem(RowProblem(kind="private", severity="warning", row=number, line=line, code="x"), 0)
        if making.full:
            making.cut({"at": number})
    making.cut({"at": len(rows)})
    manifest = Manifest(
        hash=making.fingerprint("text", Mapping()),
        format="text",
        rows=making.rows,
        files=["a.jsonl"],
        source=import_job("x").source,
        shards=making.progress.shards,
    )
    return making.finish(manifest, folder)[0]


def content(number: int) -> str:
    return json.dumps({"text": f"row {number}"})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 1 << 40), st.text(st.characters(codec="utf-8"), max_size=30)), max_size=60),
    st.integers(1, 70),
)  # fmt: skip
def test_that_every_row_is_found_by_its_number(tmp_path_factory, rows, shard_rows):
    entries = [(line, json.dumps({"text": text}, ensure_ascii=False)) for line, text in rows]
    version = open_version(make(tmp_path_factory.mktemp("store"), entries, shard_rows))
    assert len(version) == len(rows)
    for number, (line, text) in enumerate(rows):
        assert (version.record(number).line, version.record(number).content) == (line, {"text": text})
        assert version.hash(number) == row_hash(entries[number][1])
    assert [record.content["text"] for record in version.records()] == [text for _, text in rows]
    assert version.characters.tolist() == [len(text) for _, text in entries]
    middle = len(rows) // 2
    assert [record.line for record in version.records(middle, middle + 5)] == [
        line for line, _ in rows[middle : middle + 5]
    ]
    with pytest.raises(IndexError):
        version.record(len(rows))
    assert version.manifest.hash == version_hash("text", Mapping(), [row_hash(text) for _, text in entries])


def test_that_the_name_tells_of_rows_order_format_and_mapping_only():
    hashes = [row_hash("a"), row_hash("b")]
    name = version_hash("text", Mapping(), hashes)
    assert name == version_hash("text", Mapping(), [hashes[0] + hashes[1]])
    others = {
        version_hash("text", Mapping(), hashes[::-1]),
        version_hash("text", Mapping(), hashes[:1]),
        version_hash("alpaca", Mapping(), hashes),
        version_hash("text", Mapping(columns={"text": "body"}), hashes),
    }
    assert len(others | {name}) == 5


def test_that_problems_of_all_shards_are_kept_in_order(tmp_path):
    folder = make(tmp_path, [(n, content(n)) for n in range(25)], problems=23)
    found = [problem.row for _, problem in open_version(folder).problems()]
    assert found == list(range(23))
    assert sorted(path.name for path in folder.iterdir()) == [
        "dataset.json", "problems.arrow", "rows-00000.arrow", "rows-00001.arrow", "rows-00002.arrow",
    ]  # fmt: skip


def test_that_what_no_progress_names_goes_and_what_it_names_stays(tmp_path):
    folder = tmp_path / ".making-r"
    making = Making(folder, "key", shard_rows=5)
    for number in range(5):
        making.add(0, number, content(number), 1)
    making.cut({"at": 5})
    making.add(0, 6, content(6), 1)  # held in memory as a kill finds it
    (folder / "rows-00001.arrow").write_bytes(b"a shard nobody named")
    (folder / ".rows-00001.arrow.part").write_bytes(b"half a shard")
    (folder / ".progress.json.0123abcd").write_bytes(b"half")
    again = Making(folder, "key", shard_rows=5)
    assert (again.rows, again.goes_on, again.progress.state["at"]) == (5, True, 5)
    assert sorted(path.name for path in folder.iterdir()) == ["progress.json", "rows-00000.arrow", "state-00000.json"]
    other = Making(folder, "another key")
    assert (other.rows, other.goes_on, other.begins_anew) == (0, False, True)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_that_a_damaged_shard_is_not_gone_on_with(tmp_path, damage):
    folder = tmp_path / ".making-r"
    making = Making(folder, "key")
    making.add(0, 1, content(1), 1)
    making.cut({"at": 1})
    shard = folder / "rows-00000.arrow"
    if damage == "cut":
        os.truncate(shard, 100)
    elif damage == "changed":
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    else:
        shard.unlink()
    assert Making(folder, "key").rows == 0


def test_that_a_folder_that_is_no_version_is_named(tmp_path):
    assert not is_version(tmp_path)
    with pytest.raises(UserError, match=r"data\.version_missing"):
        open_version(tmp_path)
    folder = make(tmp_path, [(1, content(1))])
    assert is_version(folder)
    (folder / "rows-00000.arrow").write_bytes(b"not arrow")
    with pytest.raises(UserError, match=r"data\.version_damaged"):
        open_version(folder).record(0)
    (folder / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match=r"data\.version_damaged"):
        open_version(folder)


REACH = """
import resource, sys
from pathlib import Path
from engine.compute.data.store import open_version
version = open_version(Path(sys.argv[1]))
version.record(0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for row in (len(version) - 1, len(version) // 2, 17):
    assert version.record(row).content["number"] == row
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_that_a_row_of_a_large_version_is_reached_without_reading_the_rest(tmp_path):
    making = Making(tmp_path / ".making-r", "key")
    for number in range(60_000):
        making.add(0, number, json.dumps({"number": number, "text": "x" * 2000}), 2000)
    making.cut({"at": 1})
    manifest = Manifest(
        hash="h", format="text", rows=making.rows, source=import_job("x").source, shards=making.progress.shards
    )
    folder = making.finish(manifest, tmp_path)[0]
    assert manifest.bytes > 110 << 20
    done = subprocess.run(
        [sys.executable, "-c", REACH, str(folder)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert int(done.stdout) < 30  # a batch is 4 MB
