"""Figures of a dataset as tokens: exact where there is time, else of a sample that a seed alone decides."""

import hashlib
import json
import random
import time

import pyarrow as pa
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from test_templates import says, user
from test_xray import DEMO, TOKENIZERS, ask, write

from engine.compute.data.measure import measure, tokens_by_role
from engine.compute.data.packing import packed_share, padded_share
from engine.compute.data.row_source import RowSource
from engine.compute.data.rows import Example
from engine.compute.data.templates import choose_template
from engine.compute.data.tokenise import Tokeniser
from engine.compute.data.xray import quantiles
from engine.contract.data import DataSource
from engine.contract.datasets import Manifest, Shard
from engine.contract.errors import UserError


def make_version(folder, rows, batch=50):
    """A version of the library as it lies on disk."""
    folder.mkdir(parents=True)
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    table = pa.table(
        {
            "file": pa.array([0] * len(rows), pa.int32()),
            "line": pa.array(range(1, len(rows) + 1), pa.int64()),
            "hash": pa.array([hashlib.blake2b(t.encode(), digest_size=16).digest() for t in texts], pa.binary(16)),
            "characters": pa.array(list(map(len, texts)), pa.int32()),
            "content": pa.array(texts, pa.large_string()),
        }
    )
    with pa.ipc.new_file(folder / "rows-00000.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=batch)
    size = (folder / "rows-00000.arrow").stat().st_size
    manifest = Manifest(
        hash="ab" * 32, format="prompt_completion", rows=len(rows), source={"place": "x"}, languages={"en": 1.0},
        shards=[Shard(name="rows-00000.arrow", rows=len(rows), bytes=size, sha256="0" * 64)],
    )  # fmt: skip
    (folder / "dataset.json").write_text(manifest.model_dump_json())
    return folder


def rows_of(count):
    return [{"prompt": f"question {n}", "completion": "word " * (n % 17 + 1)} for n in range(count)]


def tokeniser(max_length=64):
    return Tokeniser(choose_template(TOKENIZERS["bytes"], "chatml"), max_length)


def test_that_a_small_dataset_is_counted_exactly(tmp_path):
    model = {"path": str(tiny.save_model(tmp_path / "m", template=None))}
    data = write(tmp_path / "rows.jsonl", rows_of(300))
    found = ask("data_statistics", model=model, source={"path": data}, max_length=64, seconds=8).result
    assert (found["rows"], found["measured"], found["exact"]) == (300, 300, True)
    assert found["lengths"] == sorted(found["lengths"])
    assert sum(found["lengths"]) == found["tokens"] == sum(found["tokens_by_role"].values())
    said = sum(len(row["completion"]) + 1 for row in rows_of(300))  # a token a byte, and the one that ends it
    assert found["tokens_by_role"]["assistant"] == said
    assert found["tokens_by_role"]["user"] == sum(len(row["prompt"]) for row in rows_of(300))
    assert found["turns"] == {2: 300}
    assert 0 < found["trained_share"] < 1
    assert 0 < found["packing"] <= 1
    assert found["packing"] < found["padding"] <= 1


def test_that_the_share_learned_is_that_of_rows_as_they_are_cut():
    rows = [(n, Example(turns=(user("q"), says("a" * 100)))) for n in range(4)]
    found = measure(rows, tokeniser(50), None, time.monotonic() + 60)
    encoded = tokeniser(50).encode([example for _, example in rows])
    assert found.trained == sum(row.trained_tokens for row in encoded)
    assert found.trained_share == found.trained / sum(map(len, encoded))
    assert found.lengths[0] > 50


def test_that_rows_of_a_version_are_reached_anywhere(tmp_path):
    rows = rows_of(500)
    source = RowSource(DataSource(path=str(make_version(tmp_path / "version", rows))))
    found = source.rows([499, 0, 123], 1.0)
    assert [(number, example.line) for number, example in found] == [(499, 500), (0, 1), (123, 124)]
    assert found[0][1].turns[0]["content"] == "question 499"
    assert (source.extent.rows, source.extent.exact, source.form) == (500, True, "prompt_completion")
    with pytest.raises(UserError, match="no row 501"):
        source.rows([500], 1.0)


def test_that_a_sample_is_the_seeds_alone_and_spread_over_all(tmp_path):
    folder = make_version(tmp_path / "version", rows_of(1000))
    source = DataSource(path=str(folder))
    few = [number for number, _ in RowSource(source).sample(1.0, most=100)]
    assert few == [number for number, _ in RowSource(source).sample(1.0, most=100)]
    assert len(set(few)) == 100
    assert [sum(low <= number < low + 250 for number in few) > 10 for low in (0, 250, 500, 750)] == [True] * 4
    other = [number for number, _ in RowSource(source).sample(1.0, most=100, seed=2)]
    assert few != other


def test_that_less_time_counts_the_first_of_the_same_sample(tmp_path):
    source = DataSource(path=str(make_version(tmp_path / "version", rows_of(600))))
    short = measure(RowSource(source).sample(1.0), tokeniser(), None, until=0)
    long = measure(RowSource(source).sample(1.0), tokeniser(), None, time.monotonic() + 60)
    assert not short.complete
    assert long.complete
    assert len(long.rows) == 600
    assert short.rows == long.rows[: len(short.rows)]
    assert short.lengths == long.lengths[: len(short.lengths)]


def test_that_a_file_too_long_for_the_time_is_sampled_from_all_over(tmp_path):
    data = write(tmp_path / "rows.jsonl", [{"prompt": f"{n:06}", "completion": "x" * 50} for n in range(5000)])
    source = RowSource(DataSource(path=data))
    source._read_on(0.0)
    assert not source.extent.exact
    assert source.extent.rows == pytest.approx(5000, rel=0.1)
    with pytest.raises(UserError, match="too far back"):
        source.rows([4_999], 0.0)
    seen = [example.turns[0]["content"] for _, example in source.sample(0.0)]
    assert seen
    assert len(seen) < 5000


def test_that_statistics_of_a_version_name_its_languages(tmp_path):
    folder = make_version(tmp_path / "version", rows_of(40))
    found = ask("data_statistics", model=DEMO, source={"path": str(folder)}, max_length=64).result
    assert (found["rows"], found["exact"], found["languages"]) == (40, True, {"en": 1.0})


def test_that_tokens_are_told_by_who_said_them():
    turns = ({"role": "system", "content": "sys"}, user("four"), says("answer"), user("four"), says("no", train=False))
    (row,) = tokeniser().look([Example(turns=turns)])
    counts = tokens_by_role(row, Example(turns=turns))
    assert {role: counts[role] for role in ("system", "user", "assistant")} == {
        "system": 3, "user": 8, "assistant": len("answer") + 1 + len("no"),
    }  # fmt: skip
    assert sum(counts.values()) == len(row.ids)


LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(lengths=LENGTHS, size=st.integers(8, 128))
def test_that_packing_is_first_fit_decreasing(lengths, size):
    room = []
    for length in sorted((min(one, size) for one in lengths), reverse=True):
        place = next((place for place, left in enumerate(room) if left >= length), None)
        if place is None:
            room.append(size - length)
        else:
            room[place] -= length
    kept = sum(min(one, size) for one in lengths)
    assert packed_share(lengths, size) == pytest.approx(kept / (size * len(room)))


@settings(max_examples=100, deadline=None)
@given(lengths=LENGTHS, size=st.integers(8, 128), batch=st.integers(1, 8))
def test_that_filling_is_least_where_like_lengths_stand_together(lengths, size, batch):
    share = padded_share(lengths, size, batch)
    assert 0 < share <= 1
    if batch == 1:
        assert share == 1
    mixed = [min(one, size) for one in lengths]
    random.Random(0).shuffle(mixed)
    groups = [mixed[at : at + batch] for at in range(0, len(mixed), batch)]
    anyhow = sum(mixed) / sum(max(group) * len(group) for group in groups)
    if len(mixed) % batch == 0:
        assert share >= anyhow - 1e-9


def test_that_nothing_has_no_share():
    assert packed_share([], 10) is None
    assert padded_share([], 10, 2) is None


def test_that_many_lengths_are_sent_as_quantiles():
    found = quantiles(list(range(10_000)), most=101)
    assert (len(found), found[0], found[50], found[-1]) == (101, 0, 5000, 9999)
    assert quantiles([3, 1, 2]) == [1, 2, 3]
