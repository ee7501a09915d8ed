"""Routing: the nearest adapters by their descriptions, the same whatever order they were added in."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lora_cases import DEMO, base
from test_lora_format import refusal

from engine.compute.inference.base import load_tokenizer
from engine.compute.lora import router as router_module
from engine.compute.lora.router import Exact, LoRARouter, described, embed
from engine.contract.lora_card import LoRACard


def card(name: str, *numbers: float, **more) -> LoRACard:
    return LoRACard(name=name, rank=1, alpha=1, embedding=numbers, **more)


def routed(cards) -> LoRARouter:
    router = LoRARouter()
    for one in cards:
        router.add(one)
    return router


vectors = st.lists(st.integers(-3, 3), min_size=4, max_size=4).filter(any)


@settings(max_examples=100, deadline=None)
@given(
    known=st.lists(vectors, min_size=1, max_size=12),
    asked=vectors,
    count=st.integers(1, 5),
    threshold=st.floats(-1, 1),
    order=st.randoms(),
)
def test_that_the_order_of_adding_does_not_matter_and_the_nearest_are_found(known, asked, count, threshold, order):
    cards = [card(f"a{number}", *vector) for number, vector in enumerate(known)]
    mixed = list(cards)
    order.shuffle(mixed)
    one, other = (routed(each).route(asked, count, threshold) for each in (cards, mixed))
    assert one == other
    unit = np.array(asked) / np.linalg.norm(asked)
    units = {each.name: np.array(each.embedding) / np.linalg.norm(each.embedding) for each in cards}
    cosines = {name: round(float(vector @ unit), 6) for name, vector in units.items()}
    wanted = sorted(cosines.items(), key=lambda each: (-each[1], each[0]))[:count]
    assert [(match.name, match.score) for match in one.chosen] == [each for each in wanted if each[1] >= threshold]
    assert not one.chosen or sum(one.weights.values()) == pytest.approx(1)


def test_that_the_blend_goes_by_the_scores_and_is_explained():
    router = routed([card("x", 1, 0), card("y", 3, 4), card("z", -1, 0), card("w", 0, 1)])
    found = router.route((1, 0), 2, 0.5)
    assert found.weights == pytest.approx({"x": 1 / 1.6, "y": 0.6 / 1.6})
    told = json.loads(json.dumps(found.explanation))
    assert [one["name"] for one in told["chosen"]] == ["x", "y"]
    assert {one["name"]: one["below_threshold"] for one in told["passed_over"]} == {"w": True, "z": True}


def test_that_the_base_answers_where_nothing_is_near():
    router = routed([card("x", 1, 0)])
    assert router.route((0, 1), 1, 0.1).chosen == ()
    assert LoRARouter().route((0, 1)).chosen == ()
    router.remove("x")
    assert router.route((1, 0)).chosen == ()


def test_that_descriptions_lead_to_their_adapters():
    model, tokenizer = base(), load_tokenizer(DEMO)
    texts = {"dates": "Write the date as year, month and day.", "letters": "Say good morning to the whole family."}
    router = LoRARouter()
    for name, text in texts.items():
        router.add(described(LoRACard(name=name, rank=1, alpha=1, description=text), model, tokenizer))
    for name, text in texts.items():
        (vector,) = embed(model, tokenizer, [text + " Please."])
        assert router.route(vector).chosen[0].name == name


def test_that_an_embedding_is_the_mean_over_the_tokens_whatever_stands_beside():
    model, tokenizer = base(), load_tokenizer(DEMO)
    one, two = embed(model, tokenizer, ["short", "a text that is rather a lot longer than that"])
    assert (one,) == tuple(embed(model, tokenizer, ["short"]))
    numbers = tokenizer("short", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        wanted = model.model(numbers).last_hidden_state[0].mean(0)
    assert torch.allclose(torch.tensor(one), wanted, atol=1e-5)
    assert one != two


def test_that_ties_beyond_the_count_are_settled_by_name():
    router = routed(card(f"n{number}", 1, 0) for number in (7, 3, 9, 1, 5, 8, 2))
    assert [match.name for match in router.route((1, 0), 2).chosen] == ["n1", "n2"]


@pytest.mark.skipif(find_spec("usearch") is None, reason="usearch is not installed")
def test_that_the_index_finds_what_looking_at_all_finds():
    chance = np.random.default_rng(1)
    cards = [card(f"n{number}", *chance.normal(size=32)) for number in range(500)]
    indexed = LoRARouter(indexed_from=1)
    for one in cards:
        indexed.add(one)
    for _ in range(20):
        asked = chance.normal(size=32)
        assert indexed.route(asked, 3).chosen == routed(cards).route(asked, 3).chosen


def test_that_looking_at_all_gives_every_tie():
    matrix = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], dtype=np.float32)
    assert Exact("abcd", matrix).candidates(np.array([1, 0], dtype=np.float32), 1) == ["a", "b", "d"]


@pytest.mark.skipif(find_spec("usearch") is None, reason="usearch is not installed")
def test_that_the_index_takes_one_more_and_forgets_one_without_being_made_anew(monkeypatch):
    chance = np.random.default_rng(2)
    cards = [card(f"n{number}", *chance.normal(size=16)) for number in range(200)]
    indexed = LoRARouter(indexed_from=1)
    for one in cards[:100]:
        indexed.add(one)
    assert indexed.route(cards[0].embedding).chosen[0].name == "n0"
    monkeypatch.setattr(router_module.Indexed, "__init__", None)  # cannot be made again
    for one in cards[100:]:
        indexed.add(one)
    for one in cards[:50]:
        indexed.remove(one.name)
    indexed.add(card("again", *cards[0].embedding))
    left = routed([*cards[50:], card("again", *cards[0].embedding)])
    for one in cards:
        assert indexed.route(one.embedding, 2).chosen == left.route(one.embedding, 2).chosen


# Bad input.


def test_that_cards_that_cannot_be_compared_are_refused():
    router = routed([card("x", 1, 0)])
    assert refusal(router.add, card("y")).code == "lora.no_embedding"
    assert refusal(router.add, card("y", 0, 0)).code == "lora.no_embedding"
    assert refusal(router.add, card("y", 1, 0, 0)).code == "lora.embedding_size"
    assert refusal(router.add, card("x", 0, 1)).code == "lora.taken"
    assert refusal(router.route, (1, 0, 0)).code == "lora.embedding_size"
    assert refusal(router.remove, "z").code == "lora.unknown"
    assert refusal(described, card("y"), None, None).code == "lora.no_embedding"
    with pytest.raises(ValueError, match="finite"):
        card("y", float("nan"), 1)
