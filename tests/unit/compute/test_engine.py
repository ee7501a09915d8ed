"""The engine: the same answers as transformers', whatever goes on beside them; who is next, and who has to go."""

import contextlib
import json
import re
import threading

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.compute.inference.engine.blocks import BlockPool, chain
from engine.compute.inference.engine.engine import ArrowEngine, Limits
from engine.compute.inference.engine.requests import Asked, Patience, Sampling
from engine.compute.inference.engine.shaped import Shape
from engine.contract.errors import UserError
from engine.contract.paths import resources_folder

DEMO = resources_folder() / "demo" / "model"
GREEDY = Sampling(max_tokens=16, temperature=0, ignore_end=True)
TEXTS = (
    "What is 16 August 2044 as an ISO date?",
    "Hello",
    "请将二〇三五年一月十七日写成 ISO 日期。" * 4,
    "1 2 3 4 5 6",
)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DEMO)


def new_model():
    return AutoModelForCausalLM.from_pretrained(DEMO, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def model():
    return new_model()


@pytest.fixture
def engine(model, tokenizer):
    with ArrowEngine(model, tokenizer, Limits(blocks=128, piece=32)) as made:
        yield made


def tokens_of(tokenizer, text: str) -> tuple[int, ...]:
    turns = [{"role": "user", "content": text}]
    return tuple(tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"])


@torch.no_grad()
def greedy(model, tokens, count: int = 16) -> tuple[int, ...]:
    """The most likely tokens, each by a pass over all before it."""
    found = list(tokens)
    for _ in range(count):
        found.append(int(model(torch.tensor([found])).logits[0, -1].argmax()))
    return tuple(found[len(tokens) :])


def test_that_answers_are_those_of_transformers_side_by_side(engine, model, tokenizer):
    prompts = [tokens_of(tokenizer, text) for text in TEXTS]
    handles = [engine.submit(Asked(prompt, GREEDY)) for prompt in prompts]
    found = [handle.whole().tokens for handle in handles]
    assert found == [greedy(model, prompt) for prompt in prompts]
    assert engine.pool.used == 0


def test_that_a_known_beginning_is_not_computed_again(engine, model, tokenizer):
    prompt = tokens_of(tokenizer, TEXTS[2])
    first = engine.submit(Asked(prompt, GREEDY)).whole()
    again = engine.submit(Asked(prompt, GREEDY)).whole()
    assert first.over.timing.cached == 0
    assert again.over.timing.cached == (len(prompt) - 1) // 16 * 16 > 0
    assert again.tokens == first.tokens == greedy(model, prompt)
    longer = (*prompt, *first.tokens, *prompt[:5])
    third = engine.submit(Asked(longer, GREEDY)).whole()
    assert third.over.timing.cached >= again.over.timing.cached + 16 - 1
    assert third.tokens == greedy(model, longer)
    assert engine.pool.tally.rate > 0.4


def test_that_beginnings_are_shared_within_a_realm_only(engine, model, tokenizer):
    prompt = tokens_of(tokenizer, TEXTS[2])

    def cached(realm: str) -> int:
        answer = engine.submit(Asked(prompt, GREEDY, realm=realm)).whole()
        assert answer.tokens == greedy(model, prompt)
        return answer.over.timing.cached

    assert [cached(realm) > 0 for realm in ("a", "b", "", "a", "b", "")] == [False] * 3 + [True] * 3


def test_that_an_answer_ends_at_tokens_it_is_given_too(model, tokenizer):
    prompt = tokens_of(tokenizer, TEXTS[0])
    words = greedy(model, prompt)
    with ArrowEngine(model, tokenizer, Limits(blocks=64), ends=[words[3]]) as engine:
        found = engine.submit(Asked(prompt, Sampling(max_tokens=16, temperature=0))).whole()
    assert found.tokens == words[: words.index(words[3])]
    assert found.over.reason == "stop"


def test_that_blocks_are_evicted_and_answers_stay_right(model, tokenizer):
    with ArrowEngine(model, tokenizer, Limits(blocks=12, piece=16, rows=2)) as engine:
        for _ in range(2):
            for text in TEXTS:
                prompt = tokens_of(tokenizer, text)[:120]
                assert engine.submit(Asked(prompt, GREEDY)).whole().tokens == greedy(model, prompt)
        assert engine.pool.tally.evicted > 0
        assert engine.pool.room == 12


def test_that_an_answer_ends_where_the_model_ends_it(engine, tokenizer):
    prompt = tokens_of(tokenizer, TEXTS[0])
    answer = engine.submit(Asked(prompt, Sampling(max_tokens=400, temperature=0))).whole()
    assert answer.over.reason == "stop"
    assert tokenizer.decode(answer.tokens, skip_special_tokens=True) == answer.text


def test_that_a_seed_gives_the_same_answer_whoever_asks_beside(engine, tokenizer):
    asked = Asked(tokens_of(tokenizer, TEXTS[0]), Sampling(max_tokens=12, temperature=1.5, seed=7, ignore_end=True))
    alone = engine.submit(asked).whole()
    others = [engine.submit(Asked(tokens_of(tokenizer, text), GREEDY)) for text in TEXTS[1:]]
    beside = engine.submit(asked).whole()
    for other in others:
        other.whole()
    assert beside.tokens == alone.tokens


def test_that_a_stop_text_ends_it_and_is_not_told(engine, tokenizer):
    prompt = tokens_of(tokenizer, TEXTS[0])
    whole = engine.submit(Asked(prompt, GREEDY)).whole().text
    stop = whole[4:7]
    answer = engine.submit(Asked(prompt, Sampling(max_tokens=16, temperature=0, ignore_end=True, stop=(stop,)))).whole()
    assert answer.over.reason == "stop"
    assert answer.text == whole[: whole.index(stop)]


def test_that_log_probabilities_are_the_models_own(engine, model, tokenizer):
    prompt = tokens_of(tokenizer, TEXTS[0])
    answer = engine.submit(Asked(prompt, Sampling(max_tokens=4, temperature=0.7, seed=1, logprobs=3))).whole()
    with torch.no_grad():
        logits = model(torch.tensor([(*prompt, *answer.tokens)])).logits[0].log_softmax(-1)
    for place, said in enumerate(answer.said):
        mine = logits[len(prompt) - 1 + place]
        assert said.logprob == pytest.approx(float(mine[said.token]), abs=1e-4)
        assert [one.token for one in said.others] == mine.topk(3).indices.tolist()


SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["year", "era"],
    "properties": {"year": {"type": "integer", "minimum": 1, "maximum": 3000}, "era": {"enum": ["BC", "AD"]}},
}  # fmt: skip


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_that_an_answer_has_the_shape_it_was_asked_in(engine, tokenizer, temperature):
    prompt = tokens_of(tokenizer, TEXTS[0])

    def ask(shape: Shape) -> str:
        sampling = Sampling(max_tokens=200, temperature=temperature, seed=3, shape=shape)
        answer = engine.submit(Asked(prompt, sampling)).whole()
        assert answer.over.reason == "stop"
        return answer.text

    found = json.loads(ask(Shape.of_schema(SCHEMA)))
    assert found.keys() == {"year", "era"}
    assert 1 <= found["year"] <= 3000
    assert found["era"] in ("BC", "AD")
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}", ask(Shape("regex", r"[0-9]{4}-[0-9]{2}")))
    assert ask(Shape("choice", json.dumps(["yes", 'no "way"', "\u4e0d"]))) in ("yes", 'no "way"', "\u4e0d")


@pytest.mark.parametrize(
    "shape",
    [
        Shape("json", "{"), Shape("json", '{"type": "nothing"}'), Shape("regex", "("), Shape("choice", "[]"),
        Shape("choice", "[1]"), Shape("regex", "a" * (2 << 20)),
        Shape("json", '{"$ref": "#"}'), Shape("regex", r"[^\s\S]"),
    ],
)  # fmt: skip
def test_that_a_shape_that_is_none_is_refused_at_once(engine, shape):
    with pytest.raises(UserError) as caught:
        engine.submit(Asked((1, 2), Sampling(max_tokens=8, shape=shape)))
    assert caught.value.code == "inference.shape"


def test_that_what_is_cancelled_leaves_at_the_next_step(engine, tokenizer):
    handle = engine.submit(Asked(tokens_of(tokenizer, TEXTS[0]), Sampling(max_tokens=1500, ignore_end=True)))
    told = iter(handle)
    next(told)
    handle.cancel()
    steps = engine.metrics.steps
    over = list(told)[-1]
    assert over.reason == "cancelled"
    assert engine.metrics.steps <= steps + 2
    assert engine.pool.used == 0


def test_that_a_stage_that_takes_too_long_is_named(model, tokenizer):
    with ArrowEngine(model, tokenizer, Limits(blocks=128, rows=1, patience=Patience(stream=0.0, queue=60))) as engine:
        asked = Asked(tokens_of(tokenizer, TEXTS[0]), GREEDY, patience=Patience(stream=30))
        with pytest.raises(UserError) as caught:
            engine.submit(asked).whole()
        assert (caught.value.code, caught.value.params["stage"]) == ("inference.timeout", "stream")
        slow = engine.submit(Asked(tokens_of(tokenizer, TEXTS[1]), GREEDY, patience=Patience(queue=0.0)))
        with pytest.raises(UserError) as caught:
            slow.whole()
        assert caught.value.params["stage"] == "queue"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Asked(()), "inference.no_prompt"),
        (Asked(tuple(range(1, 5000)), GREEDY), "inference.too_long"),
        (Asked((1, 2), Sampling(max_tokens=0)), "inference.too_long"),
        (Asked((1, 2), GREEDY, adapters=(("a", 1.0),)), "inference.no_adapters"),
    ],
)
def test_that_what_cannot_be_answered_is_refused_at_once(engine, asked, code):
    with pytest.raises(UserError) as caught:
        engine.submit(asked)
    assert caught.value.code == code


def test_that_too_many_are_turned_away_and_the_others_answered(model, tokenizer):
    with ArrowEngine(model, tokenizer, Limits(blocks=64, rows=2, queue=4)) as engine:
        prompt, taken = tokens_of(tokenizer, TEXTS[1]), []
        for _ in range(40):
            with contextlib.suppress(UserError):
                taken.append(engine.submit(Asked(prompt, GREEDY)))
        refused = 40 - len(taken)
        right = greedy(model, prompt)
        assert all(handle.whole().tokens == right for handle in taken)
        assert refused == engine.metrics.turned_away > 0


def test_that_what_breaks_in_a_pass_is_told_and_the_engine_goes_on(model, tokenizer, monkeypatch):
    with ArrowEngine(model, tokenizer, Limits(blocks=64)) as engine:
        prompt, whole = tokens_of(tokenizer, TEXTS[1]), engine.passes.logits

        def breaks(*_):
            monkeypatch.setattr(engine.passes, "logits", whole)
            raise RuntimeError("can't allocate memory: you tried to allocate 99 bytes")

        monkeypatch.setattr(engine.passes, "logits", breaks)
        with pytest.raises(UserError) as caught:
            engine.submit(Asked(prompt, GREEDY)).whole()
        assert caught.value.code == "inference.out_of_memory"
        assert "blocks" in caught.value.text
        assert engine.submit(Asked(prompt, GREEDY)).whole().tokens == greedy(model, prompt)


def test_that_many_threads_get_their_own_answers(engine, model, tokenizer):
    prompts = [tokens_of(tokenizer, f"{text} {n}") for n in range(3) for text in TEXTS]
    found: dict[int, tuple[int, ...]] = {}

    def ask(number: int) -> None:
        found[number] = engine.submit(Asked(prompts[number], GREEDY)).whole().tokens

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(prompts))] == [greedy(model, prompt) for prompt in prompts]


def test_that_an_engine_that_is_closed_ends_what_is_at_work(model, tokenizer):
    engine = ArrowEngine(model, tokenizer, Limits(blocks=128, rows=1))
    handles = [engine.submit(Asked((5, 6, 7), Sampling(max_tokens=1000, ignore_end=True))) for _ in range(3)]
    next(iter(handles[0]))
    engine.close()
    assert {handle.whole().over.reason for handle in handles[1:]} == {"cancelled"}
    with pytest.raises(UserError, match="ended"):
        engine.submit(Asked((5,), GREEDY))


def test_that_a_chain_knows_adapters_and_all_that_went_before():
    one, other = chain("", range(64), 16), chain("a", range(64), 16)
    assert len(one) == 4
    assert not set(one) & set(other)
    assert chain("", [*range(16), *range(32, 64)], 16)[0] == one[0]
    assert chain("", [9, *range(1, 64)], 16)[3] != one[3]


def test_that_a_pool_counts_what_is_held_and_kept():
    pool = BlockPool(5, 16)
    names = chain("", range(48), 16)
    table = pool.take([], 3)
    for name, block in zip(names, table, strict=True):
        pool.keep(name, block)
    assert (pool.room, pool.beginning(names)) == (1, 3)
    shared = pool.take(names[:2], 3)
    assert shared[:2] == table[:2]
    assert pool.room == 0
    assert pool.take([], 1) is None
    pool.give_back(table)
    assert (pool.used, pool.kept, pool.room) == (3, 1, 1)
    pool.give_back(shared)
    assert (pool.used, pool.room) == (0, 4)
