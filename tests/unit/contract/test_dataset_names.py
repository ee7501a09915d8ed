"""Names of datasets by where they come from, and cells that a spreadsheet carries out."""

import pytest

from engine.contract.csv_cells import harmless
from engine.contract.dataset_names import name_from


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/a/b/rows.jsonl.gz", "rows"),
        ("C:/x/train.csv.zst", "train"),
        ("C:\\x\\Train.CSV", "Train"),
        ("/a/talks.tar.gz", "talks"),
        ("/a/talks.tgz", "talks"),
        ("owner/name", "name"),
        ("org/llama-3.1", "llama-3.1"),
        ("https://example.org/a/data.json?x=1", "data"),
        ("https://x.org/y/z.parquet#part", "z"),
        ("/a/what?.jsonl", "what?"),
        ("/a/folder/", "folder"),
        ("my.data.v2.csv", "my.data.v2"),
        (".jsonl", ".jsonl"),
        ("", ""),
        ("/", ""),
        ("/a/" + "x" * 200 + ".jsonl", "x" * 120),
    ],
)
def test_that_a_dataset_is_called_as_what_it_is_made_of(place: str, name: str) -> None:
    assert name_from(place) == name


@pytest.mark.parametrize("evil", ["=1+1", "@SUM(A1)", "+cmd", "-2+3", " =1", "\ufeff=1", "\t=1", "\r=1", "-1\n=2"])
def test_that_no_cell_is_a_formula(evil: str) -> None:
    assert harmless(evil) == f"'{evil}"


@pytest.mark.parametrize("plain", ["-0.5", "+3", "-1e-05", "12%", "a=b", "", "1 - 2", -4, -0.25])
def test_that_numbers_and_texts_stay_as_they_are(plain: object) -> None:
    assert harmless(plain) == str(plain)
    assert harmless(None) == ""
