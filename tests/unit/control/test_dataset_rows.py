"""Rows of the library: pages, searches, problems, exports and differences, over real files."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.contract.datasets import MANIFEST
from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.control.store import dataset_diff, dataset_rows
from engine.control.store.dataset_folder import Folder, Opened
from engine.control.store.dataset_rows import Searches
from tests.helpers.dataset_folders import problem, write_version


def folder_of(home: Home, contents: Any, **more: Any) -> Folder:
    return Folder(home.dataset(write_version(home, contents, **more).hash))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def texts(rows: Any) -> list[str]:
    return [json.loads(row.content)["text"] for row in rows]


def test_that_a_page_begins_anywhere_also_between_pieces(home: Home) -> None:
    folder = folder_of(home, [{"text": f"row {number}"} for number in range(2500)])
    for offset in (0, 995, 1999, 2495):
        page = dataset_rows.page(folder, Searches(), offset=offset, limit=10)
        assert texts(page.rows) == [f"row {number}" for number in range(offset, min(offset + 10, 2500))]
        assert [row.row for row in page.rows] == list(range(offset, min(offset + 10, 2500)))
        assert page.total == 2500
        assert page.complete
        assert page.rows[0].line == offset + 1
        assert page.rows[0].file == "rows.jsonl"
    assert dataset_rows.page(folder, Searches(), offset=5000, limit=10).rows == []


def test_that_a_search_finds_what_stands_in_rows_and_not_how_it_is_written(home: Home) -> None:
    contents = [{"text": f"row {number}"} for number in range(3000)]
    contents[7] = {"text": 'she said "Hello"\nand left'}
    contents[2900] = {"text": "你好，世界"}
    folder, searches = folder_of(home, contents), Searches()
    for asked, rows in (
        ('"hello"', [7]),
        ('hello"\nand', [7]),
        ("世界", [2900]),
        ("ROW 2999", [2999]),
        ("nowhere", []),
    ):
        page = dataset_rows.page(folder, searches, search=asked)
        assert [row.row for row in page.rows] == rows, asked
        assert page.complete
        assert page.total == len(rows)
    page = dataset_rows.page(folder, searches, search="row 1", offset=1100, limit=5)
    assert page.total == 1111
    assert [row.row for row in page.rows] == [1989, 1990, 1991, 1992, 1993]


def test_that_a_search_that_takes_long_says_so_and_goes_on(home: Home) -> None:
    folder = folder_of(home, [{"text": f"row {number}"} for number in range(5000)])
    search = dataset_rows.Search(folder, "row")
    search.look(enough=10, seconds=0.0)
    assert not search.complete
    assert 0 < len(search.found) < 5000
    while not search.complete:
        search.look(enough=10, seconds=0.0)
    assert search.found == list(range(5000))


def test_that_problems_are_filtered_counted_and_shown_with_their_rows(home: Home) -> None:
    problems = [problem("malformed", 3), problem("duplicate", 5, row=2), problem("duplicate", 9, row=4),
                problem("repetition", 9, row=4, severity="note")]  # fmt: skip
    folder = folder_of(home, [{"text": str(number)} for number in range(6)], problems=problems, refused=1)
    page = dataset_rows.problem_page(folder)
    assert page.total == 4
    assert page.counts == {"malformed": 1, "duplicate": 2, "repetition": 1}
    assert page.problems[0].row is None
    assert page.problems[0].params == {"found": "list"}
    assert dataset_rows.problem_page(folder, kind="duplicate", offset=1).problems[0].row == 4
    assert dataset_rows.problem_page(folder, severity="note").total == 1
    assert [row.row for row in dataset_rows.page(folder, Searches(), problem="duplicate").rows] == [2, 4]
    assert dataset_rows.page(folder, Searches(), offset=4, limit=1).rows[0].problems == ["duplicate", "repetition"]
    both = dataset_rows.page(folder, Searches(), problem="duplicate", search="4")
    assert [row.row for row in both.rows] == [4]


@pytest.mark.parametrize("evil", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =HYPERLINK()", "\n=1"])
def test_that_no_cell_of_an_export_is_a_formula(home: Home, evil: str) -> None:
    problems = [problem("malformed", 1, excerpt=evil, column=evil), problem("malformed", -5, excerpt='a, "b"\nc')]
    folder = folder_of(home, [{"text": "x"}], problems=problems, files=[evil])
    data = b"".join(dataset_rows.problems_csv(folder)).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(data, newline="")))
    assert rows[0] == list(dataset_rows.CSV_HEAD)
    assert len(rows) == 3
    for cell in (rows[1][8], rows[1][5], rows[1][2]):
        assert cell == "'" + evil
    assert rows[2][8] == 'a, "b"\nc'
    assert rows[2][3] == "-5"


def test_that_an_export_gives_every_row_as_it_was_kept(home: Home) -> None:
    contents = [{"text": f"ü {number}\n"} for number in range(2100)]
    data = b"".join(dataset_rows.jsonl(folder_of(home, contents)))
    assert [json.loads(line) for line in data.decode().splitlines()] == contents


def test_that_a_long_row_is_cut_in_a_list_and_whole_by_itself(home: Home) -> None:
    folder = folder_of(home, [{"text": "字" * 20_000}, {"text": "b"}])
    first = dataset_rows.page(folder, Searches(), limit=2).rows[0]
    assert first.cut
    assert len(first.content) == dataset_rows.SHOWN_CHARACTERS
    alone = dataset_rows.page(folder, Searches(), limit=1).rows[0]
    assert not alone.cut
    assert json.loads(alone.content)["text"] == "字" * 20_000


def test_that_a_difference_names_what_was_added_removed_and_changed(home: Home) -> None:
    before = folder_of(home, ["a", "b", "c", "c", "d"], lines=[1, 2, 3, 4, 5])
    after = folder_of(home, ["a", "B", "c", "e", "f"], lines=[1, 2, 3, 6, 7])
    diff = dataset_diff.page(dataset_diff.Differences(), before, after, (1, 2))
    assert (diff.same, diff.changed, diff.removed, diff.added) == (2, 1, 2, 2)
    shown = [(one.kind, one.before and one.before.content, one.after and one.after.content) for one in diff.rows]
    assert shown == [
        ("changed", "b", "B"), ("removed", "c", None), ("added", None, "e"), ("removed", "d", None),
        ("added", None, "f"),
    ]  # fmt: skip
    only = dataset_diff.page(dataset_diff.Differences(), before, after, (1, 2), kind="removed", offset=1, limit=5)
    assert [one.before and one.before.content for one in only.rows] == ["d"]
    assert only.removed == 2
    assert not diff.format_changed
    other = folder_of(home, ["a"], form="prompt_only")
    assert dataset_diff.page(dataset_diff.Differences(), before, other, (1, 3)).format_changed


def test_that_differences_agree_with_counting_for_any_two_versions(home: Home) -> None:
    chance = random.Random(7)
    for _ in range(30):
        sides = [[str(chance.randrange(8)) for _ in range(chance.randrange(0, 25))] for _ in range(2)]
        before, after = (folder_of(home, side, lines=[1000 * at + n for n in range(len(side))])
                         for at, side in enumerate(sides))  # fmt: skip
        old, new = Counter(sides[0]), Counter(sides[1])
        found = dataset_diff.compare(before, after)
        changed = found.count(dataset_diff.CHANGED)
        assert found.same == (old & new).total()
        assert found.count(dataset_diff.REMOVED) + changed == (old - new).total()
        assert found.count(dataset_diff.ADDED) + changed == (new - old).total()


def test_that_files_that_were_cut_or_are_missing_are_said_and_end_nothing(home: Home) -> None:
    manifest = write_version(home, [f"row {number}" for number in range(4000)])
    path = home.dataset(manifest.hash)
    folder = Folder(path)
    shard = path / manifest.shards[0].name
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size // 2)
    for broken in (lambda: dataset_rows.page(folder, Searches(), offset=3500), lambda: Folder(path)):
        with pytest.raises(UserError, match=r"dataset\.damaged"):
            broken()
    (path / MANIFEST).unlink()
    with pytest.raises(UserError, match=r"dataset\.gone"):
        Opened().get(path)


def test_that_a_version_that_was_made_again_is_read_anew(home: Home) -> None:
    manifest = write_version(home, ["a", "b"])
    path, opened = home.dataset(manifest.hash), Opened()
    first = opened.get(path)
    assert opened.get(path) is first
    shutil.rmtree(path)
    with pytest.raises(UserError, match=r"dataset\.gone"):
        opened.get(path)
    write_version(home, ["a", "b"])
    again = opened.get(path)
    assert again is not first
    assert [row.content for row in dataset_rows.page(again, Searches()).rows] == ["a", "b"]


def test_that_who_reads_a_version_that_goes_reads_on(home: Home) -> None:
    contents = [f'"{number}"' for number in range(3000)]
    folder = folder_of(home, contents)
    pieces = dataset_rows.jsonl(folder)
    first = next(pieces)
    aside = folder.folder.with_name(".gone")
    folder.folder.rename(aside)
    shutil.rmtree(aside)
    assert b"".join([first, *pieces]).decode().splitlines() == contents


def test_that_many_rows_in_several_files_open_page_and_differ(home: Home) -> None:
    rows = 210_000
    old = [f'{{"text": "{number}"}}' for number in range(rows)]
    before = folder_of(home, old)
    after = folder_of(home, [*old[:10], *old[20:], '{"text": "new"}'], lines=[*range(1, 11), *range(21, rows + 2)])
    assert len(before.manifest.shards) == 2
    page = dataset_rows.page(before, Searches(), offset=199_998, limit=4)
    assert texts(page.rows) == ["199998", "199999", "200000", "200001"]
    found = dataset_diff.compare(before, after)
    assert (found.same, found.count(dataset_diff.ADDED), found.count(dataset_diff.REMOVED)) == (rows - 10, 1, 10)
