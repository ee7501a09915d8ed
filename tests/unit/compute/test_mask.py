"""Which tokens are learned: exactly the assistant's words and the token that ends them."""

import pytest
import tiny

from engine.compute.data.rows import Example
from engine.compute.data.templates import choose_template
from engine.compute.data.tokenise import Tokeniser
from engine.contract.errors import UserError

# Earlier answers lose what they were thinking, and the last one gains an empty thought, as Qwen3's template has it.
REWRITING = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['role'] == 'assistant' and loop.last %}{{ '[thought]\n\n' }}{% endif %}"
    "{{ m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
STRIPPING = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + ': ' + m['content'] | trim + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant: ' }}{% endif %}"
)
MARKED = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}\n\n"
    "{% else %}{{ m['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TWO_TURNS = (
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "one?"},
    {"role": "assistant", "content": "1 — eins"},
    {"role": "user", "content": "二?"},
    {"role": "assistant", "content": "2 是二"},
)


def learned(template: str | None, turns=TWO_TURNS, choice="auto", **options) -> tuple[str, str]:
    """The text a row becomes, and the part of it that is learned."""
    tokenizer = tiny.make_tokenizer(template)
    tokeniser = Tokeniser(choose_template(tokenizer, choice), options.pop("max_length", 1000), **options)
    (row,) = tokeniser.encode([Example(turns=tuple(turns))])
    ids = [token for token, trained in zip(row.ids, row.trained, strict=True) if trained]
    return tokenizer.decode(list(row.ids)), tokenizer.decode(ids)


@pytest.mark.parametrize("template", [tiny.CHATML, MARKED, None], ids=["plain", "marked", "none"])
def test_that_every_answer_is_learned_with_its_end_and_nothing_else(template):
    text, part = learned(template)
    assert part == "1 — eins<|im_end|>2 是二<|im_end|>"
    assert text.startswith("<|im_start|>system\nbe brief<|im_end|>\n")


def test_that_answers_are_found_when_the_template_rewrites_earlier_turns():
    text, part = learned(REWRITING)
    assert part == "1 — eins<|im_end|>[thought]\n\n2 是二<|im_end|>"
    assert text.count("[thought]") == 1


def test_that_answers_are_found_when_the_template_strips_them():
    turns = [*TWO_TURNS[:2], {"role": "assistant", "content": "  spaced out \n"}]
    assert learned(STRIPPING, turns)[1] == "spaced out<|im_end|>"


def test_that_an_answer_equal_to_its_question_is_told_from_it():
    turns = [{"role": "user", "content": "same"}, {"role": "assistant", "content": "same"}]
    text, part = learned(tiny.CHATML, turns)
    assert text.count("same") == 2
    assert part == "same<|im_end|>"


def test_that_all_is_learned_when_asked():
    text, part = learned(tiny.CHATML, answers_only=False)
    assert part == text


def test_that_long_rows_are_cut_and_counted():
    tokenizer = tiny.make_tokenizer()
    tokeniser = Tokeniser(choose_template(tokenizer, "auto"), 30)
    rows = tokeniser.encode([Example(turns=TWO_TURNS), Example(turns=TWO_TURNS[1:3])])
    assert [len(row) for row in rows] == [30, 30]
    assert tokeniser.tally.cut == 2
    assert tokeniser.tally.untrained == 1  # the first row's answer lies behind the cut
    assert [bool(row.trained_tokens) for row in rows] == [False, True]


def test_that_answers_are_found_when_the_template_turns_the_order_round():
    assert learned("{% for m in messages | reverse %}{{ m['content'] }};{% endfor %}")[1] == "2 是二1 — eins"


def test_that_a_template_which_hides_answers_is_refused():
    hiding = "{% for m in messages | reverse %}{{ m['content'] | upper }};{% endfor %}"
    with pytest.raises(UserError, match="told from questions"):
        learned(hiding)


def test_that_a_template_that_raises_is_a_coded_error():
    refusing = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(UserError, match="roles must alternate"):
        learned(refusing)


def test_that_plain_text_is_learned_whole_and_ends():
    tokenizer = tiny.make_tokenizer()
    (row,) = Tokeniser(choose_template(tokenizer, "auto"), 100, answers_only=False).encode([Example(text="abc")])
    assert tokenizer.decode(list(row.ids)) == "abc<|im_end|>"
    assert list(row.trained) == [1, 1, 1, 1]
    assert row.trained_tokens == 3  # nothing stands before the first


def test_that_chatml_ends_turns_with_a_token_the_model_knows():
    tokenizer = tiny.make_tokenizer(None)
    assert choose_template(tokenizer, "auto").end_of_turn == "<|im_end|>"
    with pytest.raises(UserError, match="no chat template"):
        choose_template(tokenizer, "tokenizer")
