"""Batches: a pure function of seed and epoch, grouped by length, weighted, and padded at the right."""

from array import array

import numpy as np
import pytest

from engine.compute.data.tokenise import Encoded
from engine.compute.training.batches import IGNORED, collate
from engine.compute.training.order import Plan, by_length, epoch_order, epoch_rows, pool_of

LENGTHS = np.random.default_rng(5).integers(5, 400, size=1000)


def batches(seed=1, epoch=0, by_length=True, size=8):
    return list(epoch_order([(1000, 1.0)], LENGTHS, Plan(size, seed, by_length), epoch))


@pytest.mark.parametrize("grouped", [True, False])
def test_that_order_depends_on_seed_and_epoch_alone(grouped):
    np.random.seed(1)
    first = batches(by_length=grouped)
    np.random.seed(2)
    assert batches(by_length=grouped) == first
    assert batches(epoch=1, by_length=grouped) != first
    assert batches(seed=2, by_length=grouped) != first


@pytest.mark.parametrize("grouped", [True, False])
def test_that_each_row_comes_once_an_epoch(grouped):
    found = batches(by_length=grouped)
    assert sorted(row for batch in found for row in batch) == list(range(1000))
    assert [len(batch) for batch in found].count(8) == 125


def test_that_grouping_by_length_saves_filling():
    def filled(found):
        return sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in found)

    assert filled(batches()) < 0.7 * filled(batches(by_length=False))
    assert filled(batches()) < 1.12 * LENGTHS.sum()


@pytest.mark.parametrize(("spread", "pool"), [(0.01, 1), (0.2, 4), (0.5, 16), (1.2, 50)])
def test_that_rows_are_grouped_no_more_than_filling_asks_for(spread, pool):
    chance = np.random.default_rng(3)
    lengths = chance.lognormal(5, spread, size=4000).astype(int)
    assert pool_of(chance.permutation(4000), lengths, 8) == pool


def test_that_the_longest_batch_is_the_second():
    assert max(LENGTHS) in [LENGTHS[row] for row in batches()[1]]


def test_that_a_single_batch_is_the_longest():
    assert len(by_length(np.arange(5), LENGTHS[:5], 5, np.random.default_rng(0))) == 1


def test_that_weights_say_how_often_rows_come():
    groups = [(10, 2.0), (10, 0.5), (10, 1.5)]
    counts = np.bincount(np.concatenate(epoch_rows(groups, seed=3, epoch=0)), minlength=30)
    assert set(counts[:10]) == {2}
    assert sorted(counts[10:20]) == [0] * 5 + [1] * 5
    assert sorted(counts[20:]) == [1] * 5 + [2] * 5
    later = np.bincount(np.concatenate(epoch_rows(groups, seed=3, epoch=1)), minlength=30)
    assert later.sum() == counts.sum()
    assert list(later[10:20]) != list(counts[10:20])


def test_that_filling_is_at_the_right_and_never_learned():
    rows = [Encoded(array("i", [1, 2, 3]), array("b", [0, 1, 1])), Encoded(array("i", range(9)), array("b", [1] * 9))]
    batch = collate(rows, pad=99)
    assert batch["input_ids"].shape == (2, 16)
    assert batch["input_ids"][0].tolist() == [1, 2, 3] + [99] * 13
    assert batch["labels"][0].tolist() == [IGNORED, 2, 3] + [IGNORED] * 13
    assert batch["labels"][1].tolist() == [*range(9)] + [IGNORED] * 7
