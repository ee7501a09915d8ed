"""Mixing datasets: exact counts by weight, orders that seed and epoch make, versions read when they are wanted."""

import gc
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from test_resume import again, losses, tensors
from versions import make_version

from engine.compute.data import pool as pool_module
from engine.compute.data.loading import load_source
from engine.compute.data.pool import RowPool
from engine.compute.data.self_cognition import self_cognition_rows
from engine.compute.data.split import split
from engine.compute.data.templates import choose_template
from engine.compute.data.tokenise import Tokeniser
from engine.compute.training.order import Plan, epoch_order, epoch_rows, epoch_size, interleaved, taken
from engine.compute.worker.commands import StopFlag
from engine.compute.worker.validation import ManyBatches, validation_batches
from engine.contract.data import DataSource, SelfCognition
from engine.contract.errors import Refused, UserError
from engine.contract.paths import Home
from tests.bench import data_train

weights = st.floats(0.01, 20)
groups = st.lists(st.tuples(st.integers(0, 60), weights), min_size=1, max_size=5)
plans = st.builds(
    Plan, st.integers(1, 9), st.integers(0, 2**32 - 1), st.booleans(), st.booleans(),
    st.none() | st.integers(1, 80),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(groups, plans, st.integers(0, 5))
def test_that_every_source_is_taken_exactly_as_often_as_its_weight_says(sources, plan, epoch):
    lengths = np.arange(sum(rows for rows, _ in sources)) % 17
    batches = list(epoch_order(sources, lengths, plan, epoch))
    seen = Counter(row for batch in batches for row in batch)
    assert sum(seen.values()) == epoch_size(sources)
    begin = 0
    for rows, weight in sources:
        counts = [seen.pop(row, 0) for row in range(begin, begin + rows)]
        assert sum(counts) == taken(rows, weight) == round(rows * weight)
        assert max(counts, default=0) - min(counts, default=0) <= 1  # no row is favoured
        begin += rows
    assert not seen
    assert all(0 < len(batch) <= plan.size for batch in batches)
    assert len(batches) == -(-epoch_size(sources) // plan.size)
    assert list(epoch_order(sources, lengths, plan, epoch)) == batches


@settings(max_examples=100, deadline=None)
@given(groups, st.integers(0, 2**32 - 1))
def test_that_a_kept_order_is_that_of_the_datasets(sources, seed):
    lengths = np.arange(sum(rows for rows, _ in sources))
    found = [row for batch in epoch_order(sources, lengths, Plan(3, seed, True, kept=True), 1) for row in batch]
    assert found == np.concatenate(epoch_rows(sources, seed, 1)).tolist()
    if all(weight <= 1 for _, weight in sources):
        assert found == sorted(found)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_that_a_buffer_never_reaches_further_ahead_than_it_is_long(rows, buffer, seed):
    plan = Plan(1, seed, buffer=buffer)
    order = [batch[0] for batch in epoch_order([(rows, 1.0)], np.ones(rows), plan, 0)]
    assert sorted(order) == list(range(rows))
    assert all(row < at + buffer for at, row in enumerate(order))


def test_that_epochs_and_seeds_differ_and_a_large_buffer_mixes():
    def order(seed: int, epoch: int, buffer: int | None = 50) -> list[list[int]]:
        return list(epoch_order([(200, 1.0)], np.ones(200), Plan(4, seed, buffer=buffer), epoch))

    assert order(1, 0) != order(1, 1) != order(2, 1)
    assert order(1, 0) != order(1, 0, None)


def test_that_sources_read_in_their_order_are_spread_evenly():
    order = interleaved([np.arange(100), np.arange(100, 110)])
    small = np.flatnonzero(order >= 100)
    assert np.diff(small).min() >= 10
    assert order[order < 100].tolist() == list(range(100))


@pytest.fixture
def rows(tmp_path):
    return tiny.make_rows(60)


def make_pool(tokenizer, *sources: Path, names=(), **more) -> RowPool:
    loaded = [load_source(DataSource(path=str(path), **more)).content for path in sources]
    tokeniser = Tokeniser(choose_template(tokenizer, "auto"), 200)
    return RowPool(tokeniser, [(rows, 1.0) for rows in loaded], 1, names)


def test_that_a_version_gives_the_rows_of_the_file_it_was_made_of(tmp_path, tokenizer, rows):
    version, file = make_version(tmp_path / "v", rows), tiny.write_jsonl(tmp_path / "rows.jsonl", rows)
    stored, held = make_pool(tokenizer, version), make_pool(tokenizer, file)
    for pool in (stored, held):
        pool.prepare(lambda done: None)
    assert [list(row.ids) for row in stored.fetch(range(60))] == [list(row.ids) for row in held.fetch(range(60))]
    first, second = (load_source(DataSource(path=str(path), limit=9), seed=3).examples for path in (version, file))
    assert [example.turns for example in first] == [example.turns for example in second]


def test_that_rows_are_known_by_version_and_fingerprint(tmp_path, tokenizer, rows):
    rows[4]["messages"][1]["content"] = ""  # nothing to learn: left out, and the rows after it keep their names
    folder = make_version(tmp_path / "v", rows)
    rows[4]["messages"][1]["content"] = "x"
    pool = make_pool(tokenizer, make_version(tmp_path / "w", rows), tiny.write_jsonl(tmp_path / "r.jsonl", rows))
    content = load_source(DataSource(path=str(folder), limit=20)).content
    found = content.row_id(7)
    assert found.version == folder.name
    assert bytes.fromhex(found.fingerprint) == content.version.hash(int(content.numbers[7]))
    assert pool.row_id(3).version != folder.name
    assert pool.row_id(63).version == ""
    assert len({pool.row_id(n).fingerprint for n in range(120)}) == 120


def test_that_many_rows_are_read_when_wanted_and_few_tokens_are_kept(tmp_path, tokenizer, rows, monkeypatch):
    monkeypatch.setattr(pool_module, "EAGER_ROWS", 10)
    monkeypatch.setattr(pool_module, "PROBE_ROWS", 5)
    monkeypatch.setattr(pool_module, "KEPT_TOKENS", 100)
    folder = make_version(tmp_path / "v", rows)
    whole = make_pool(tokenizer, tiny.write_jsonl(tmp_path / "rows.jsonl", rows))
    pool = make_pool(tokenizer, folder)
    pool.prepare(lambda done: None)
    for _ in range(3):
        found = pool.fetch(range(60))
        assert [list(row.ids) for row in found] == [list(row.ids) for row in whole.fetch(range(60))]
        assert 0 < pool.kept_tokens <= 100
    assert pool.tokeniser.tally.rows == 60  # each counted once, however often it was made


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is told by Linux only")
def test_that_twenty_times_the_rows_need_little_more_memory(tmp_path):
    grown = []
    for count in (10_000, 200_000):
        folder = make_version(tmp_path / str(count), data_train.rows(count), shard_rows=200_000)
        command = [sys.executable, "-m", "tests.bench.data_train", "--folder", str(folder), "--batches", "150"]
        done = subprocess.run(command, cwd=data_train.ROOT, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        assert found["rows"] > 0.98 * count
        grown.append(found["grown_mb"]["anonymous"])
    assert grown[1] - grown[0] < 40  # held as examples, 200,000 of them take 215 MB


def test_that_rows_teaching_nothing_are_left_out_of_many(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(pool_module, "EAGER_ROWS", 10)
    monkeypatch.setattr(pool_module, "PROBE_ROWS", 1)
    rows = tiny.make_rows(30)
    for row in rows[:-1]:
        row["messages"][0]["content"] = "please " * 400  # the answer lies behind the cut
    pool = make_pool(tokenizer, make_version(tmp_path / "v", rows))
    pool.prepare(lambda done: None)
    assert len(pool) == 1
    assert pool.fetch([0])[0].trained_tokens
    content = load_source(DataSource(path=str(tmp_path / "v" / pool.row_id(0).version))).content
    assert pool.row_id(0) == content.row_id(29)


def test_that_reading_a_version_in_another_way_checks_every_row(tmp_path):
    rows = [{"text": f"row {n}", **({"content": "x"} if n != 5 else {})} for n in range(9)]
    folder = make_version(tmp_path / "v", rows)
    mapping = {"columns": {"text": "content"}}
    with pytest.raises(Refused) as caught:
        load_source(DataSource(path=str(folder), mapping=mapping))
    assert [problem.line for problem in caught.value.problems] == [6]
    assert load_source(DataSource(path=str(folder))).examples[5].text == "row 5"


def test_that_many_validation_rows_are_measured_as_few_are(tokenizer, monkeypatch, tmp_path, rows):
    content = load_source(DataSource(path=str(make_version(tmp_path / "v", rows)))).content
    tokeniser = Tokeniser(choose_template(tokenizer, "auto"), 200)
    few = validation_batches(tokeniser, [content], 8, 0, 1)
    monkeypatch.setattr(pool_module, "EAGER_ROWS", 10)
    many = validation_batches(tokeniser, [content], 8, 0, 1)
    assert isinstance(many, ManyBatches)

    def trained(batches) -> list[tuple[int, ...]]:
        return sorted(tuple(row[row >= 0].tolist()) for batch in batches for row in batch["labels"])

    assert trained(few) == trained(many) == trained(many)


@pytest.mark.parametrize("eager", [True, False])
def test_that_a_dataset_of_a_mix_that_teaches_nothing_is_named(tokenizer, monkeypatch, rows, tmp_path, eager):
    if not eager:
        monkeypatch.setattr(pool_module, "EAGER_ROWS", 10)
        monkeypatch.setattr(pool_module, "CHUNK", 7)
    barren = [{"messages": [{"role": "user", "content": "long " * 99}, row["messages"][-1]]} for row in rows[:20]]
    good, empty = tiny.write_jsonl(tmp_path / "good.jsonl", rows), tiny.write_jsonl(tmp_path / "none.jsonl", barren)
    pool = make_pool(tokenizer, good, empty)
    pool.prepare(lambda done: None)  # nobody asked that each teaches
    pool = make_pool(tokenizer, good, empty, names=("good", "none"))
    with pytest.raises(UserError) as caught:
        pool.prepare(lambda done: None)
    assert caught.value.code == "data.nothing_trained_of"
    assert (caught.value.params["name"], caught.value.params["rows"]) == ("none", 20)
    last = tiny.write_jsonl(tmp_path / "last.jsonl", [*barren, rows[0]])  # one row is enough, however far it stands
    make_pool(tokenizer, good, last, names=("good", "last")).prepare(lambda done: None)


def test_that_a_run_with_validation_rows_that_measure_nothing_names_them(attempt, tmp_path, rows):
    long = [{"messages": [{"role": "user", "content": "long " * 99}, row["messages"][-1]]} for row in rows[:3]]
    data = {
        "train": [{"path": str(tiny.write_jsonl(tmp_path / "rows.jsonl", rows))}],
        "validation": [{"path": str(tiny.write_jsonl(tmp_path / "long.jsonl", long))}],
    }
    made = attempt(data={**data, "max_length": 64})
    assert made.run() != 0
    assert made.end.error.code == "data.nothing_measured_of"
    assert "long.jsonl" in made.end.error.what


def test_that_the_set_about_itself_holds_both_names_in_both_languages():
    rows = self_cognition_rows(SelfCognition(name="{{AUTHOR}} 小锻", author="锻造坊 {{NAME}}"))
    assert len(rows) == 40
    answers = [row.turns[1]["content"] for row in rows]
    plain = self_cognition_rows(SelfCognition(name="N", author="A"))
    assert not any("{{" in turn["content"] for row in plain for turn in row.turns)
    assert sum("小锻" in answer for answer in answers) > 30
    assert sum("锻造坊" in answer for answer in answers) > 20
    assert any("锻造坊 {{NAME}}" in answer for answer in answers)  # a name is never read as a placeholder
    assert len({row.turns[0]["content"] for row in rows}) == 40
    assert sum(row.turns[0]["content"].isascii() for row in rows) == 20


def versions_recipe(folder: Path, **data) -> dict:
    return {
        "data": {"train": [{"path": str(folder)}], "validation_share": 0.2, **data},
        "tuner": {"kind": "lora", "rank": 4, "dropout": 0.3},
        "training": {"max_steps": 12, "micro_batch_size": 4, "accumulation": 2, "learning_rate": 1e-2,
                     "group_by_length": True, "validate_every": 6},
        "checkpoints": {"every_minutes": None, "every_steps": 3, "keep_last": 100},
    }  # fmt: skip


CASES = {
    "usual": {},
    "kept": {"order": "kept"},
    "buffer": {"shuffle_buffer": 9},
    "itself": {"self_cognition": {"name": "N", "author": "A", "rows": 25}},
}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("case", list(CASES))
def test_that_a_run_on_a_version_goes_on_bit_by_bit(attempt, tmp_path, rows, case, lazy, monkeypatch):
    if lazy:
        monkeypatch.setattr(pool_module, "EAGER_ROWS", 8)
        monkeypatch.setattr(pool_module, "PROBE_ROWS", 5)
        monkeypatch.setattr(pool_module, "KEPT_TOKENS", 300)
    folder = make_version(tmp_path / "datasets", rows)
    whole = attempt(**versions_recipe(folder, **CASES[case]))
    assert whole.run() == 0, whole.end
    (plan,) = whole.of("planned")
    assert plan.validation_rows > 3
    assert plan.rows + plan.validation_rows == 60 + (40 if case == "itself" else 0)
    resumed = again(whole, 6)
    assert resumed.run() == 0, resumed.end
    assert losses(resumed) == {at: values for at, values in losses(whole).items() if at > 6}
    last = whole.folder.parent.parent / "checkpoints"
    assert tensors(last / "a2-s12") == tensors(last / "a1-s12") != {}


def test_that_another_order_is_another_run(attempt, tmp_path, rows):
    folder = make_version(tmp_path / "datasets", rows)
    made = [attempt(name=name, **versions_recipe(folder, **CASES[name])) for name in ("usual", "kept", "buffer")]
    assert [one.run() for one in made] == [0, 0, 0]
    assert len({str(losses(one)) for one in made}) == 3


def test_that_a_dataset_deleted_in_the_middle_is_said_and_the_attempt_ends_well(attempt, tmp_path, rows, monkeypatch):
    monkeypatch.setattr(pool_module, "EAGER_ROWS", 8)  # rows are read while it trains
    monkeypatch.setattr(pool_module, "PROBE_ROWS", 5)
    monkeypatch.setattr(pool_module, "KEPT_TOKENS", 0)
    undisturbed = attempt(**versions_recipe(make_version(tmp_path / "datasets", rows)), name="undisturbed")
    assert undisturbed.run() == 0
    monkeypatch.setattr("engine.compute.data.row_set.LET_GO", 3)  # read again from a file nobody sees any more
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    home = Home.find()
    home.datasets.mkdir(parents=True)
    folder = make_version(home.datasets, rows)
    recipe = versions_recipe(folder)
    recipe["data"]["train"] = [{"hub": "library", "path": "questions", "version": folder.name}]
    made = attempt(**recipe)

    class Deleting(StopFlag):
        def __bool__(self) -> bool:
            if folder.exists() and any(made.of("step") if (made.folder / "journal.jsonl").exists() else ()):
                shutil.rmtree(folder)
            return super().__bool__()

    assert made.run(Deleting()) == 0, made.end
    assert not folder.exists()
    gone = [line for line in made.of("note") if line.code == "data.removed_while_training"]
    assert [(line.level, line.params["name"]) for line in gone] == [("warning", "questions")]
    assert losses(made) == losses(undisturbed)
    gc.collect()
    resumed = again(made, 6)
    assert resumed.run() != 0
    assert resumed.end.error.code == "data.version_gone"
    assert "questions" in resumed.end.error.what


def test_that_a_version_that_is_gone_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    with pytest.raises(UserError) as caught:
        load_source(DataSource(hub="library", path="questions", version="ab" * 32))
    assert caught.value.code == "data.version_gone"
    assert caught.value.params["name"] == "questions"


def test_that_setting_all_rows_aside_is_refused_and_none_is_said(attempt, tmp_path):
    alike = tiny.make_rows(1) * 5
    content = load_source(DataSource(path=str(tiny.write_jsonl(tmp_path / "alike.jsonl", alike)))).content
    aside = {seed: len(split(content, 0.5, seed)[1]) for seed in range(20)}
    everything = next(seed for seed, count in aside.items() if count == 5)
    nothing = next(seed for seed, count in aside.items() if count == 0)
    recipe = {"data": {"train": [{"path": str(tmp_path / "alike.jsonl")}], "validation_share": 0.5}}
    refused = attempt(name="refused", training={"max_steps": 1, "seed": everything}, **recipe)
    assert refused.run() != 0
    assert refused.end.error.code == "data.all_set_aside"
    made = attempt(name="made", training={"max_steps": 1, "seed": nothing}, **recipe)
    assert made.run() == 0
    assert "data.none_set_aside" in [line.code for line in made.of("note")]
