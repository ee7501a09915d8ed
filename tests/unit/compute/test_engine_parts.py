"""Parts of the engine by themselves: who is next, how a token is drawn, text in pieces, blocks, percentiles."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, LlamaConfig
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engine.compute.inference.engine.blocks import BlockPool, chain
from engine.compute.inference.engine.metrics import percentile
from engine.compute.inference.engine.paged import PagedCache, Row, plan
from engine.compute.inference.engine.requests import Asked, Handle, Patience, Said, Sampling
from engine.compute.inference.engine.sampling import Chooser
from engine.compute.inference.engine.texts import TextStream
from engine.compute.inference.engine.waiting import Queue
from engine.contract.paths import resources_folder

TIERS = st.lists(st.integers(0, 5), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(resources_folder() / "demo" / "model")


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 31), st.floats(-100, 100), max_size=4), st.integers(0, 31))
def test_that_what_is_added_to_logits_decides_with_them(added, likely):
    logits = torch.zeros(32)
    logits[likely] = 1.0
    bias = tuple(added.items())
    wanted = logits.clone()
    for token, value in bias:
        wanted[token] += value
    token, _, _ = Chooser(Sampling(temperature=0, bias=bias), (1,)).choose(logits)
    assert wanted[token] == wanted.max()
    assert logits[likely] == 1.0, "the logits given stay as they are"


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-40, 1e-6])
def test_that_the_smallest_temperatures_take_the_likeliest(temperature):
    logits = torch.linspace(-40, 40, 32)
    token, _, _ = Chooser(Sampling(temperature=temperature, seed=1), (1,)).choose(logits)
    assert token == 31


def test_that_what_a_handle_tells_is_heard_without_waiting():
    handle, heard = Handle(Asked((1,))), []
    handle.tell(Said(5, "a"))
    handle.watch(lambda: heard.append(len(heard)))
    assert heard == [0], "what was told before is not missed"
    handle.tell(Said(6, "b"))
    assert heard == [0, 1]
    assert [one.token for one in handle.news()] == [5, 6]
    assert handle.news() == []


@given(TIERS)
def test_that_a_smaller_tier_comes_first_and_of_one_tier_who_was_first(tiers):
    queue = Queue()
    for tier in tiers:
        queue.add(Handle(Asked((1,), tier=tier)), at=100.0)
    order = [(one.handle.asked.tier, one.number) for one in queue.in_order(100.0)]
    assert order == sorted(order)


@given(TIERS, st.integers(1, 9))
def test_that_nobody_waits_for_ever(tiers, late):
    """However many come in better tiers later, who waits so long that it counts as more is before them."""
    queue = Queue(ageing=10.0)
    old = queue.add(Handle(Asked((1,), tier=late)), at=0.0)
    for tier in tiers:
        queue.add(Handle(Asked((1,), tier=tier)), at=(late + 1) * 10.0)
    assert queue.in_order((late + 1) * 10.0)[0] is old


@given(st.lists(st.one_of(st.none(), st.floats(0.1, 100)), min_size=6, max_size=6))
def test_that_the_smallest_patience_counts(limits):
    ours, theirs = Patience(*limits[:3]), Patience(*limits[3:])
    found = ours.at_most(theirs)
    for name in ("queue", "prefill", "stream"):
        pair = [one for one in (getattr(ours, name), getattr(theirs, name)) if one is not None]
        assert getattr(found, name) == (min(pair) if pair else None)


LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=5, max_size=40)


def possible(sampling: Sampling, logits: torch.Tensor) -> set[int]:
    """Tokens that come in many draws of ever other chances; the rest has chance zero."""
    found = set()
    for seed in range(60):
        chooser = Chooser(Sampling(**{**vars(sampling), "seed": seed}), ())
        found.add(chooser.choose(logits)[0])
    return found


@settings(deadline=None)
@given(LOGITS, st.integers(1, 6), st.floats(0.1, 0.999), st.floats(0.0, 0.5))
def test_that_only_what_transformers_would_leave_is_drawn(values, k, p, least):
    logits = torch.tensor(values)
    for sampling, warper in (
        (Sampling(top_k=k), TopKLogitsWarper(k)),
        (Sampling(top_p=p), TopPLogitsWarper(p)),
        (Sampling(min_p=least), MinPLogitsWarper(least)),
    ):
        left = warper(torch.zeros((1, 1), dtype=torch.long), logits.unsqueeze(0).clone())[0]
        allowed = set(torch.isfinite(left).nonzero().flatten().tolist())
        near = {n for n in range(len(values)) if any(math.isclose(values[n], values[m], abs_tol=1e-4) for m in allowed)}
        assert possible(sampling, logits) <= allowed | near


@given(LOGITS, st.floats(1.01, 3.0), st.lists(st.integers(0, 4), max_size=6))
def test_that_repetition_costs_what_it_costs_in_transformers(values, penalty, said):
    logits = torch.tensor(values)
    known = torch.tensor([[0, *said]])
    expected = RepetitionPenaltyLogitsProcessor(penalty)(known, logits.unsqueeze(0).clone())[0]
    chooser = Chooser(Sampling(temperature=0, repetition=penalty), (0,), list(said))
    assert torch.allclose(chooser._penalised(logits), expected)


@settings(deadline=None)
@given(
    LOGITS, st.sampled_from((1e-320, 1e-45, 1e-9, 0.5, 1.0)), st.sampled_from((1e-300, 1e-30, 0.01, 1.0, 10.0)),
    st.sampled_from((0.0, 1e-320, 1.0, 2.0)), st.integers(0, 4),
)  # fmt: skip
def test_that_values_at_the_edge_still_choose_what_may_come(values, p, repetition, temperature, only):
    allowed = torch.zeros(len(values), dtype=torch.bool)
    allowed[[only, 0]] = True
    sampling = Sampling(temperature=temperature, top_p=p, repetition=repetition, seed=1, presence=2, frequency=2)
    chooser = Chooser(sampling, (0, 1, 2), [1, 3])
    assert chooser.choose(torch.tensor(values), allowed)[0] in (0, only)
    assert 0 <= chooser.choose(torch.tensor(values))[0] < len(values)
    assert torch.isfinite(chooser._penalised(torch.tensor(values))).all()


def test_that_presence_and_frequency_count_what_was_said():
    chooser = Chooser(Sampling(presence=0.5, frequency=0.25), (3,), [1, 1, 2])
    assert chooser._penalised(torch.zeros(4)).tolist() == [0.0, -1.0, -0.75, 0.0]


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=4), max_size=2))
def test_that_pieces_of_text_are_the_text_up_to_its_stop(tokenizer, text, stops):
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    whole = tokenizer.decode(tokens, skip_special_tokens=True)
    stream = TextStream(tokenizer, stops)
    told = ""
    for token in tokens:
        told += stream.add(token)
        if stream.stopped:
            break
    told += stream.rest()
    first = min((whole.find(stop) for stop in stops if stop in whole), default=len(whole))
    assert told == whole[:first]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.sampled_from((0.5, 0.95, 0.99)))
def test_that_a_percentile_is_the_least_value_enough_do_not_exceed(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(one <= found for one in values) >= share * len(values) - 1e-6
    smaller = [one for one in values if one < found]
    assert len(smaller) < share * len(values)
    assert percentile([], share) == 0.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 90)), max_size=30), st.sampled_from(("lru", "lfu")))
def test_that_no_block_has_two_owners_and_none_is_lost(wanted, policy):
    pool, at_work = BlockPool(17, 8, policy), []
    for kind, length in wanted:
        tokens = range(kind, kind + length)
        names = chain("", tokens, 8)
        known = names[: pool.beginning(names)]
        costs, room = pool.costs(known, pool.needed(length)), pool.room
        table = pool.take(known, pool.needed(length))
        assert (table is None) == (costs > room)
        if table is None:
            if at_work:
                pool.give_back(at_work.pop(0)[0])
            continue
        assert pool.room == room - costs
        own = table[len(known) :]
        assert not set(own) & {block for other, _ in at_work for block in other}
        for name, block in zip(names, table, strict=False):
            pool.keep(name, block)
        at_work.append((table, names))
    for table, _ in at_work:
        pool.give_back(table)
    assert (pool.used, pool.room) == (0, 16)
    pool.forget()
    assert pool.kept == 0


def test_that_the_end_of_what_was_not_used_for_longest_goes_first():
    pool = BlockPool(5, 8)
    old, new = chain("", range(16), 8), chain("", range(50, 66), 8)
    for names in (old, new):
        table = pool.take([], 2)
        for name, block in zip(names, table, strict=True):
            pool.keep(name, block)
        pool.give_back(table)
    pool.take([], 1)
    assert (pool.beginning(old), pool.beginning(new)) == (1, 2)


def test_that_a_row_is_looked_at_in_place_and_several_are_gathered():
    alone = plan([Row([3, 4, 5], 10, 1)], 8, torch.device("cpu"))
    assert (alone.reads, alone.first, alone.length, alone.mask) == (None, 24, 11, None)
    assert alone.writes.tolist() == [24 + 10]
    apart = plan([Row([3, 5], 10, 1)], 8, torch.device("cpu"))
    assert apart.reads.tolist() == [*range(24, 32), 40, 41, 42]
    both = plan([Row([1], 2, 3), Row([2, 4], 9, 1)], 8, torch.device("cpu"))
    assert both.positions.tolist() == [[2, 3, 4], [9, 0, 0]]
    assert both.writes.tolist() == [10, 11, 12, 33, 0, 0]
    assert both.mask[0, 0].sum(1).tolist() == [3, 4, 5]
    assert both.mask[1, 0, 0].tolist() == [True] * 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_that_what_nobody_wrote_is_no_number_that_is_none(dtype):
    cache = PagedCache(BlockPool(4, 8), LlamaConfig(num_hidden_layers=1))
    cache.step = plan([Row([1], 0, 2), Row([2], 0, 1)], 8, torch.device("cpu"))
    given_keys = torch.ones((2, 3, 2, 5), dtype=dtype)
    keys, values = cache.update(given_keys, given_keys, 0)
    assert keys.dtype == values.dtype == dtype
    assert cache.keys[0].isfinite().all()
    assert int(cache.keys[0].count_nonzero()) == 4 * 3 * 5  # three that were written, one of filling
    assert keys[1, :, 1].tolist() == [[0.0] * 5] * 3
