"""Setting rows aside: a row's side depends on itself, so that rows that are added move no other."""

import json

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from versions import make_version

from engine.compute.data.loading import load_source
from engine.compute.data.row_set import HeldRows, digests_of
from engine.compute.data.rows import Example
from engine.compute.data.split import split
from engine.contract.data import DataSource
from engine.contract.errors import Refused

texts = st.text(max_size=8)


def held(texts: list[str], groups: list[str] | None = None) -> HeldRows:
    rows = [Example(text=text) for text in texts]
    return HeldRows(rows, None if groups is None else digests_of(groups, len(rows)))


def sides(rows: HeldRows, share: float, seed: int) -> tuple[set[str], set[str]]:
    train, aside = split(rows, share, seed)
    assert len(train) + len(aside) == len(rows)
    return {row.text for row in train.all()}, {row.text for row in aside.all()}


@settings(max_examples=200, deadline=None)
@given(st.lists(texts), st.lists(texts), st.floats(0, 0.5), st.integers(0, 2**32 - 1), st.randoms())
def test_that_adding_rows_never_moves_a_row(before, added, share, seed, chance):
    after = before + added
    chance.shuffle(after)
    train, aside = sides(held(before), share, seed)
    more_train, more_aside = sides(held(after), share, seed)
    assert train <= more_train
    assert aside <= more_aside
    assert not more_train & more_aside


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(texts, st.sampled_from("abcdefgh"))),
    st.lists(st.tuples(texts, st.sampled_from("abcdefghij"))),
    st.floats(0, 0.5),
    st.integers(0, 2**32 - 1),
)
def test_that_no_group_is_on_both_sides_and_none_moves(before, added, share, seed):
    def groups(rows):
        made = held([f"{group} {text}" for text, group in rows], [group for _, group in rows])
        return [{text[0] for text in side} for side in sides(made, share, seed)]

    train, aside = groups(before)
    more_train, more_aside = groups(before + added)
    assert not more_train & more_aside
    assert train <= more_train
    assert aside <= more_aside


def test_that_the_share_is_met_and_the_seed_chooses():
    rows = held([f"row {n}" for n in range(4000)])
    _, aside = sides(rows, 0.1, seed=1)
    assert 330 < len(aside) < 470
    assert sides(rows, 0.1, seed=2)[1] != aside
    assert sides(rows, 0.2, seed=1)[1] > aside


def test_that_rows_keep_their_order_on_both_sides():
    for side in split(held([f"{n:03}" for n in range(300)]), 0.3, seed=5):
        assert [row.text for row in side.all()] == sorted(row.text for row in side.all())


def test_that_a_version_is_split_by_the_fingerprints_of_its_rows(tmp_path):
    rows = tiny.make_rows(120)
    small = load_source(DataSource(path=str(make_version(tmp_path / "a", rows[:80])))).content
    large = load_source(DataSource(path=str(make_version(tmp_path / "b", rows[::-1])))).content
    (train, aside), (more_train, more_aside) = split(small, 0.25, 3), split(large, 0.25, 3)
    ids = [{s.row_id(n).fingerprint for n in range(len(s))} for s in (train, aside, more_train, more_aside)]
    assert ids[0] < ids[2]
    assert ids[1] < ids[3]
    assert not ids[2] & ids[3]
    assert aside.examples([0])[0].turns == small.examples([int(aside.numbers[0])])[0].turns


@pytest.mark.parametrize("stored", [False, True])
def test_that_a_group_column_keeps_rows_together(tmp_path, stored):
    rows = [{**row, "person": f"p{n % 7}"} for n, row in enumerate(tiny.make_rows(70))]
    path = make_version(tmp_path / "v", rows) if stored else tiny.write_jsonl(tmp_path / "rows.jsonl", rows)
    content = load_source(DataSource(path=str(path)), group="person").content
    persons = {json.dumps(e.turns): n % 7 for n, e in enumerate(content.all())}
    found = [split(content, 0.4, seed) for seed in range(5)]
    for train, aside in found:
        left, right = ({persons[json.dumps(e.turns)] for e in side.all()} for side in (train, aside))
        assert not left & right
        assert len(left) + len(right) == 7
        assert len(aside) == 10 * len(right)
    assert len({len(aside) for _, aside in found}) > 1


def test_that_a_group_is_on_the_same_side_in_a_file_and_in_a_version(tmp_path):
    rows = [{**row, "person": n % 20} for n, row in enumerate(tiny.make_rows(60))]
    contents = [
        load_source(DataSource(path=str(path)), group="person").content
        for path in (make_version(tmp_path / "v", rows), tiny.write_jsonl(tmp_path / "rows.jsonl", rows))
    ]
    first, second = (split(content, 0.3, 1)[1] for content in contents)
    assert [e.turns for e in first.all()] == [e.turns for e in second.all()] != []


@pytest.mark.parametrize("stored", [False, True])
def test_that_rows_without_their_group_are_refused_by_line(tmp_path, stored):
    rows = [{**row, "person": "" if n == 3 else n} for n, row in enumerate(tiny.make_rows(6))]
    del rows[4]["person"]
    path = make_version(tmp_path / "v", rows) if stored else tiny.write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(Refused) as caught:
        load_source(DataSource(path=str(path)), group="person")
    assert [(p.code, p.field, p.line) for p in caught.value.problems] == [
        ("data.group_missing", "person", 4), ("data.group_missing", "person", 5)
    ]  # fmt: skip


def test_that_taking_keeps_rows_and_groups_together():
    rows = held(["a", "b", "c"], ["x", "y", "x"]).take(np.array([2, 0]))
    assert [row.text for row in rows.all()] == ["c", "a"]
    assert rows.groups.tolist() == digests_of(["x", "x"], 2).tolist()
