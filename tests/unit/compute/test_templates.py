"""Chat templates: the catalogue renders what its sources say, and no template can do harm."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
import tiny
import trl
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compute.data.mask import render_with_spans
from engine.compute.data.sandbox import render
from engine.compute.data.templates import chatml, choose_template, without_marks
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig
from engine.contract.templates import template_catalogue, template_choices, template_text

GOLDEN = Path(__file__).parent / "golden_templates"
TRL = Path(trl.__file__).parent / "chat_templates"
LLAMA_CPP = json.loads((GOLDEN / "llama_cpp.json").read_text(encoding="utf-8"))["renderings"]
OWN = json.loads((GOLDEN / "tools_and_thinking.json").read_text(encoding="utf-8"))
CONVERSATION = [
    {"role": "system", "content": "You are a helpful assistant"},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi there"},
    {"role": "user", "content": "Who are you"},
    {"role": "assistant", "content": "   I am an assistant   "},
    {"role": "user", "content": "Another question"},
]
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}


def user(text):
    return {"role": "user", "content": text}


def says(text, **more):
    return {"role": "assistant", "content": text, **more}


def calls(text="", **more):
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": "é"}}}
    return says(text, tool_calls=[call], **more)


SYSTEM = {"role": "system", "content": "Be brief."}
RESULT = {"role": "tool", "content": "2", "tool_call_id": "abcdefghi"}
CONVERSATIONS = {
    "one": [user("Hi"), says("Yo")],
    "system": [SYSTEM, user(" Hi "), says(" Yo ")],
    "several": [SYSTEM, user("a"), says("b"), user("c"), says("d\n")],
    "thoughts": [user("a"), says("b", reasoning_content="hm\n"), user("c"), says("d", reasoning_content="well")],
    "thoughts within": [user("a"), says("<think>\nx\n</think>\n\ny"), user("b"), says("<think>\nz\n</think>\n\nw")],
    "tools": [user("1+1"), calls(), RESULT, says("2")],
    "more tools": [SYSTEM, user("1+1"), calls("Let me."), RESULT, RESULT, says("2"), user("and?"), says("no")],
    "thinking tools": [SYSTEM, user("1+1"), calls(reasoning_content="how"), RESULT, says("2", reasoning_content="so")],
}


@pytest.mark.parametrize("name", LLAMA_CPP)
def test_that_a_template_renders_as_its_source_expects(name):
    golden = LLAMA_CPP[name]
    tokens = {"bos_token": golden["bos_token"], "eos_token": golden["eos_token"]}
    found = render(template_text(name), CONVERSATION, add_generation_prompt=True, **tokens)
    assert found.text == golden["text"]


@pytest.mark.parametrize("name", template_catalogue())
def test_that_every_rendering_is_as_it_was(name):
    for kind, golden in OWN[name].items():
        tools = [TOOL] if "tools" in kind else None
        found = render(template_text(name), CONVERSATIONS[kind], tools, bos_token="<B>", eos_token="<E>")
        assert [found.text, [found.text[begin:end] for begin, end in found.marks]] == golden, kind


@pytest.mark.parametrize(
    ("name", "file", "kinds"),
    [
        ("qwen3", "qwen3", CONVERSATIONS),
        ("qwen2_5", "qwen2_5", CONVERSATIONS),
        ("llama3_1", "llama3_2", CONVERSATIONS),
        ("llama3", "llama3", ("one", "system", "several")),
        ("gemma", "gemma3", ("one", "system", "several")),
        ("command_r", "cohere", ("one", "system", "several")),
        ("deepseek_r1", "deepseek_r1_distill_training", ("one", "system", "several", "thoughts within")),
        ("glm4_moe", "glm4moe", CONVERSATIONS),
    ],
)
@pytest.mark.parametrize("prompt", [False, True])
def test_that_a_template_renders_as_the_public_one(name, file, kinds, prompt):
    public = (TRL / f"{file}.jinja").read_text(encoding="utf-8")
    options = {"bos_token": "<B>", "eos_token": "<E>", "date_string": "26 Jul 2024", "add_generation_prompt": prompt}
    for kind in kinds:
        turns = CONVERSATIONS[kind][:-1] if prompt else CONVERSATIONS[kind]
        for tools in (None, [TOOL]):
            if tools and not template_catalogue()[name].tools:
                continue
            expected = render(public, turns, tools, **options).text
            if name == "glm4_moe" and not prompt:
                expected += "<|user|>"  # the next turn's token ends the last answer, too
            assert render(template_text(name), turns, tools, **options).text == expected, kind


def plainly(source: str, **values) -> str:
    """As a program renders that knows jinja2 and no tags of its own."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **more: json.dumps(value, **{"ensure_ascii": False, **more})
    environment.globals.update(strftime_now=lambda form: datetime.now().strftime(form))
    return environment.from_string(source).render(**values)


@pytest.mark.parametrize("name", [*template_catalogue(), "chatml for an end"])
def test_that_what_is_exported_needs_no_tag_of_ours_and_renders_the_same(name):
    source = template_text(name) if name in template_catalogue() else chatml("<end>")
    exported = without_marks(source)
    assert "generation" in source
    assert not re.search(r"{%[-+]?\s*(end)?generation", exported)
    for kind in OWN.get(name, ("one", "system", "several")):
        for prompt in (False, True):
            values = {"bos_token": "<B>", "eos_token": "<E>", "add_generation_prompt": prompt}
            turns, tools = CONVERSATIONS[kind], [TOOL] if "tools" in kind else None
            expected = render(source, turns, tools, date_string="26 Jul 2024", **values).text
            found = plainly(exported, messages=turns, tools=tools, date_string="26 Jul 2024", **values)
            assert found == expected, kind


def test_that_thinking_can_be_switched_off_where_a_template_says_so():
    for name, info in template_catalogue().items():
        if info.thinking and name != "deepseek_r1":
            source = template_text(name)
            on = render(source, [user("x")], add_generation_prompt=True).text
            off = render(source, [user("x")], add_generation_prompt=True, enable_thinking=False).text
            assert off != on, name
            assert off.count("<think>") == 1, name


@pytest.mark.parametrize("name", template_catalogue())
def test_that_a_template_says_where_its_form_was_taken_from(name):
    info = template_catalogue()[name]
    assert info.source.licence in ("MIT", "Apache-2.0")
    turns = [user("q"), says("a")]
    text = render(template_text(name), turns, bos_token="<B>", eos_token="<E>").text
    end = "<E>" if info.end_of_turn == "eos_token" else info.end_of_turn
    assert end in text
    assert all(token in template_text(name) for token in info.special if not _built(name, token))


def _built(name: str, token: str) -> bool:
    """Tokens a template puts together from the role."""
    return re.fullmatch(r"<\|(im_)?(user|assistant|system)\|>", token) is not None


@pytest.mark.parametrize("name", template_catalogue())
def test_that_a_template_marks_every_answer_with_its_end(name):
    info = template_catalogue()[name]
    end = "<E>" if info.end_of_turn == "eos_token" else info.end_of_turn
    found = render(template_text(name), [user("q"), says("first"), user("r"), says("last")], eos_token="<E>")
    said = [found.text[begin:end_] for begin, end_ in found.marks]
    assert [part.strip().startswith(word) or word in part for part, word in zip(said, ("first", "last"), strict=True)]
    assert said[-1].endswith(end)
    assert "q" not in "".join(said).replace("<eos", "")


HARM = {
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a macro that doubles": "{% macro f(n) %}{% if n < 60 %}{{ f(n+1) ~ f(n+1) }}{% endif %}{% endmacro %}{{ f(0) }}",
    "sorting for ever": "{% for i in range(99999) %}{{ range(99999) | sort | length }}{% endfor %}",
    "a huge range": "{{ range(10**9) | list }}",
    "a huge power": "{{ 9**9**9 }}",
    "a huge text": "{{ 'a' * 10**9 }}",
    "a huge list as text": "{{ ['a' * 1000000] * 1000000 }}",
    "a huge width": "{{ '%1000000000d' % 1 }}",
    "a huge width in a format": "{{ '{:>1000000000}'.format(1) }}",
    "a huge width in a filter": "{{ 'a' | center(1000000000) }}",
    "a huge width in a method": "{{ 'a'.ljust(1000000000) }}",
    "doubling": "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "doubling by joining": "{% set n = namespace(x=1) %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "growing by replacing": "{% set n = namespace(x='aa') %}{% for i in range(60) %}"
    "{% set n.x = n.x.replace('a', 'aaaaaaaaaa') %}{% endfor %}",
    "too much text": "{% for i in range(99999) %}{{ 'a' * 1000000 }}{% endfor %}",
    "deep recursion": "{% macro f(n) %}{{ f(n+1) }}{% endmacro %}{{ f(0) }}",
    "deep brackets": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "attributes": "{{ ''.__class__.__mro__ }}",
    "an attribute alone": "{{ messages.__class__ }}",
    "attributes in a format": "{{ '{0.__class__}'.format(1) }}",
    "attributes of a helper": "{{ cycler(1).__init__.__globals__ }}",
    "changing what is given": "{{ messages.append(1) }}",
    "files": "{% include '/etc/passwd' %}",
    "modules": "{% import 'os' as os %}",
}


@pytest.mark.parametrize("kind", HARM)
def test_that_a_harmful_template_is_refused_in_plain_words(kind):
    with pytest.raises(UserError) as refused:
        render(HARM[kind], CONVERSATION)
    known = (
        "template.endless",
        "template.too_large",
        "template.too_deep",
        "template.forbidden",
        "model.template_failed",
    )
    assert refused.value.code in known
    assert "Traceback" not in refused.value.text


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("a\nb\n{% if %}", "template.syntax", 3),
        ("a\n{{ nothing.there.at }}", "model.template_failed", 2),
        ("a\n\n\n{{ raise_exception('roles must alternate') }}", "model.template_failed", 4),
        ("{{ 1 }}\n{{ ''.__class__ }}", "template.forbidden", 2),
    ],
)
def test_that_an_error_of_a_template_has_its_line(source, code, line):
    with pytest.raises(UserError) as refused:
        render(source, CONVERSATION)
    assert (refused.value.code, refused.value.params["line"]) == (code, line)


def test_that_a_long_conversation_is_no_harm():
    long = [user("word " * 400_000), says("answer " * 400_000)] * 3
    found = render(template_text("chatml"), long)
    assert len(found.text) > 12_000_000
    assert len(found.marks) == 3


def test_that_a_template_the_model_has_no_tokens_for_is_refused():
    with pytest.raises(UserError, match="does not fit the model") as refused:
        choose_template(tiny.make_tokenizer(), "llama3")
    assert "<|eot_id|>" in refused.value.params["missing"]
    template = choose_template(tiny.make_tokenizer(), "qwen3")
    assert (template.choice, template.end_of_turn, template.params["title"]) == ("qwen3", "<|im_end|>", "Qwen3")


def test_that_what_can_be_chosen_is_the_catalogue_and_three_more():
    assert template_choices()[:3] == ("auto", "tokenizer", "chatml")
    assert set(template_choices()[3:]) == set(template_catalogue()) - {"chatml"}
    assert all(
        (path.with_suffix(".json")).exists() for path in (GOLDEN.parents[3] / "resources/templates").glob("*.jinja")
    )


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
TURNS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(turns=TURNS, system=st.none() | WORDS, prompt=st.booleans())
@pytest.mark.parametrize("name", ["qwen3", "llama3_1", "gemma", "mistral_v3", "glm4_moe"])
def test_that_rendering_is_that_of_transformers(name, turns, system, prompt):
    from transformers.utils.chat_template_utils import render_jinja_template

    chat = [{"role": "system", "content": system}] if system else []
    for question, answer in turns:
        chat += [user(question), says(answer)]
    tokens = {"bos_token": "<B>", "eos_token": "<E>"}
    texts, marks = render_jinja_template(
        [chat],
        chat_template=template_text(name),
        return_assistant_tokens_mask=True,
        add_generation_prompt=prompt,
        **tokens,
    )
    found = render(template_text(name), chat, add_generation_prompt=prompt, **tokens)
    assert found.text == texts[0]
    assert found.marks == [tuple(mark) for mark in marks[0]]


@pytest.mark.parametrize("prompt", [False, True])
@pytest.mark.parametrize("thinking", ["auto", "on", "off"])
@pytest.mark.parametrize("name", ["qwen3", "glm4_moe"])
def test_that_the_thinking_switch_is_that_of_transformers(name, thinking, prompt):
    tokenizer = tiny.make_tokenizer(template_text(name))
    template = choose_template(tokenizer, "tokenizer", thinking=thinking)
    given = {} if thinking == "auto" else {"enable_thinking": thinking == "on"}
    for kind in ("one", "system", "thoughts", "thoughts within"):
        turns = CONVERSATIONS[kind][:-1] if prompt else CONVERSATIONS[kind]
        expected = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt, **given)
        assert template.render(turns, prompt) == expected, kind
        if not prompt:
            text, spans = render_with_spans(template, turns)
            asked = tokenizer.apply_chat_template(
                turns, return_dict=True, return_assistant_tokens_mask=True, **given
            )  # fmt: skip
            learned = {at for begin, end in spans for at in range(begin, end)}
            encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            assert encoded["input_ids"] == asked["input_ids"]
            ours = [int(begin in learned) for begin, _ in encoded["offset_mapping"]]
            assert ours == asked["assistant_masks"], kind


@pytest.mark.parametrize("thinking", ["on", "off"])
def test_that_a_switch_nobody_hears_is_refused(thinking):
    tokenizer = tiny.make_tokenizer()
    with pytest.raises(UserError) as caught:
        choose_template(tokenizer, "auto", thinking=thinking)
    assert caught.value.code == "model.no_thinking_switch"
    spoken = "{# enable_thinking #}{{ messages[0].thinking }}{{ 'enable_thinking' }}"
    with pytest.raises(UserError):
        choose_template(tokenizer, "auto", spoken, thinking)
    other = choose_template(tokenizer, "auto", "{% if thinking %}on{% else %}off{% endif %}", thinking)
    assert other.render([user("x")]) == thinking


def test_that_the_switch_is_read_as_people_write_it():
    import yaml

    for text, value in (("on", "on"), ("off", "off"), ("'on'", "on"), ("auto", "auto"), ("false", "off")):
        assert ModelConfig(path="x", **yaml.safe_load(f"thinking: {text}")).thinking == value
