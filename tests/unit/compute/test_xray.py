"""Every token's fate: what is learned is what the assistant says, and what is shown is what training sees."""

import json

import pytest
import tiny
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_templates import TOOL, calls, says, user

from engine.compute.data.mask import render_with_spans
from engine.compute.data.rows import Example
from engine.compute.data.templates import choose_template
from engine.compute.data.token_texts import token_texts
from engine.compute.data.tokenise import Tokeniser
from engine.compute.inference.base import load_tokenizer
from engine.compute.worker.queries import answer
from engine.contract.api import QueryAnswer, QueryRequest
from engine.contract.bundled import locate
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig
from engine.contract.templates import template_catalogue, template_text

DEMO = {"path": "demo", "hub": "bundled"}
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<>|\u2063"), min_size=1, max_size=30).filter(str.strip)
CHATS = st.builds(
    lambda system, turns: [
        *([{"role": "system", "content": system}] if system else []),
        *(turn for question, reply in turns for turn in (user(question), says(reply))),
    ],
    st.none() | WORDS,
    st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4),
)
MARKED = ("qwen3", "llama3", "gemma", "mistral_v3", "deepseek_r1", "zephyr", "glm4_moe")
# The same forms without marks, and with marks put in by hand where the answer and its end stand.
UNMARKED = {
    "plain": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
        "{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}"
        "{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    ),
    "trimming": (
        "{% for m in messages %}{{ '[' + m.role + '] ' + m.content | trim + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '[assistant] ' }}{% endif %}",
        "{% for m in messages %}{{ '[' + m.role + '] ' }}{% if m.role == 'assistant' %}"
        "{% generation %}{{ m.content | trim + '<|im_end|>' }}{% endgeneration %}"
        "{% else %}{{ m.content | trim + '<|im_end|>' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '[assistant] ' }}{% endif %}",
    ),
    "rewriting": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% if m.role == 'assistant' and loop.last %}{{ '[thought]\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}"
        "{% if loop.last %}{{ '[thought]\n\n' }}{% endif %}{{ m.content + '<|im_end|>' }}{% endgeneration %}"
        "{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    ),
}


def ask(kind: str, **params) -> QueryAnswer:
    return answer(QueryRequest(kind=kind, params=params).model_dump_json())


def tokenizers():
    """The demo's byte-pair one, and byte-level, word and SentencePiece-like ones made here."""
    made = {"demo": load_tokenizer(locate(ModelConfig(**DEMO))), "bytes": tiny.make_tokenizer(None)}
    made["pieces"] = _pieces()
    return made


def _pieces():
    """A vocabulary as SentencePiece has it: ▁ for spaces, bytes for what it does not know."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"abcdefghijklmnopqrstuvwxyz",
        "▁the",
        "the",
        "th",
    ]
    vocabulary = {token: number for number, token in enumerate(known)}
    merges = [("t", "h"), ("th", "e"), ("▁", "the")]
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never")])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", bos_token="<s>", unk_token="<unk>",
        additional_special_tokens=["<|im_start|>"],
    )  # fmt: skip


TOKENIZERS = tokenizers()


def learned(tokenizer, source, turns, tools=(), max_length=1 << 20):
    tokeniser = Tokeniser(choose_template(tokenizer, "auto", source), max_length)
    (row,) = tokeniser.look([Example(turns=tuple(turns), tools=tuple(tools))])
    return row


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("name", MARKED)
@settings(max_examples=25, deadline=None)
@given(chat=CHATS)
def test_that_masks_are_those_of_transformers(kind, name, chat):
    tokenizer, source = TOKENIZERS[kind], template_text(name)
    theirs = tokenizer.apply_chat_template(
        chat, chat_template=source, return_assistant_tokens_mask=True, return_dict=True, tokenize=True
    )
    row = learned(tokenizer, source, chat)
    assert row.ids == theirs["input_ids"]
    if _ends_in_a_token(tokenizer, row):
        assert row.trained == theirs["assistant_masks"]


def _ends_in_a_token(tokenizer, row) -> bool:
    """transformers counts by characters: a span whose last is of several tokens it ends at the first of them, and one
    that begins with a space no token stands for it leaves out. Both are told apart here."""
    places = {at for begin, end in row.places for at in range(begin, end)}
    whole = all(begin in places and end - 1 in places for begin, end in row.spans)
    lasts = [sum(begin <= end - 1 < stop for begin, stop in row.places) for _, end in row.spans]
    return whole and all(count == 1 for count in lasts)


@pytest.mark.parametrize("name", MARKED)
def test_that_masks_of_tools_and_thoughts_are_those_of_transformers(name):
    tokenizer, source = TOKENIZERS["bytes"], template_text(name)
    chat = [user("1+1"), says("so", reasoning_content="hm"), user("tool?")]
    if template_catalogue()[name].tools:
        chat += [calls("let me"), {"role": "tool", "content": "2", "tool_call_id": "abcdefghi"}]
    chat += [says("two", reasoning_content="well")] if chat[-1]["role"] == "tool" else [says("two")]
    tools = [TOOL] if template_catalogue()[name].tools else None
    theirs = tokenizer.apply_chat_template(
        chat, tools=tools, chat_template=source, return_assistant_tokens_mask=True, return_dict=True, tokenize=True
    )
    row = learned(tokenizer, source, chat, tools or ())
    assert row.ids == theirs["input_ids"]
    assert row.trained == theirs["assistant_masks"]
    assert 0 < sum(row.trained) < len(row.trained)


@pytest.mark.parametrize("kind", UNMARKED)
@settings(max_examples=40, deadline=None)
@given(chat=CHATS)
def test_that_unmarked_templates_are_masked_as_if_marked_by_hand(kind, chat):
    plain, marked = UNMARKED[kind]
    tokenizer = TOKENIZERS["bytes"]
    assert learned(tokenizer, plain, chat).spans == learned(tokenizer, marked, chat).spans


@settings(max_examples=60, deadline=None)
@given(chat=CHATS)
def test_that_exactly_the_assistants_words_and_their_end_are_learned(chat):
    tokenizer = TOKENIZERS["bytes"]
    row = learned(tokenizer, template_text("chatml"), chat)
    said = "".join(turn["content"] + "<|im_end|>" for turn in chat if turn["role"] == "assistant")
    assert tokenizer.decode([token for token, flag in zip(row.ids, row.trained, strict=True) if flag]) == said


@settings(max_examples=60, deadline=None)
@given(chat=CHATS, limit=st.integers(8, 200))
def test_that_cutting_never_unmasks(chat, limit):
    template = choose_template(TOKENIZERS["bytes"], "chatml")
    example = Example(turns=tuple(chat))
    (whole,) = Tokeniser(template, 1 << 20).encode([example])
    (cut,) = Tokeniser(template, limit).encode([example])
    assert list(cut.ids) == list(whole.ids)[:limit]
    assert list(cut.trained) == list(whole.trained)[:limit]


@pytest.mark.parametrize("source", [template_text("qwen3"), UNMARKED["plain"][0], UNMARKED["rewriting"][0]])
@settings(max_examples=30, deadline=None)
@given(chat=CHATS, left=st.sets(st.integers(0, 3)))
def test_that_turns_that_say_so_are_not_learned(source, chat, left):
    answers = [place for place, turn in enumerate(chat) if turn["role"] == "assistant"]
    out = {answers[one] for one in left if one < len(answers)}
    marked = [{**turn, "train": place not in out} for place, turn in enumerate(chat)]
    tokenizer = TOKENIZERS["bytes"]
    all_, some = learned(tokenizer, source, chat), learned(tokenizer, source, marked)
    assert some.text == all_.text
    assert some.spans == [span for span, place in zip(all_.spans, answers, strict=True) if place not in out]


def test_that_calls_of_tools_are_learned_in_a_template_without_marks():
    plain = template_text("qwen3").replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")
    chat = [user("1+1"), calls(), {"role": "tool", "content": "2"}, says("two"), user("more"), says("no")]
    template = choose_template(TOKENIZERS["bytes"], "auto", plain)
    text, spans = render_with_spans(template, chat, [TOOL])
    marked = render_with_spans(choose_template(TOKENIZERS["bytes"], "auto", template_text("qwen3")), chat, [TOOL])
    assert (text, spans) == marked
    assert text[slice(*spans[0])].startswith("<tool_call>")
    assert text[slice(*spans[0])].endswith("</tool_call><|im_end|>")


def test_that_marks_in_the_wrong_place_are_not_believed():
    source = (
        "{% set ns = namespace(all='') %}{% for m in messages %}{% set said %}{% generation %}{{ m.content }}"
        "{% endgeneration %}{% endset %}"
        "{% set ns.all = ns.all + '<|im_start|>' + m.role + '\n' + said + '<|im_end|>\n' %}"
        "{% endfor %}{{ ns.all }}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    text, spans = render_with_spans(choose_template(TOKENIZERS["bytes"], "auto", source), [user("q"), says("yes")])
    assert [text[begin:end] for begin, end in spans] == ["yes<|im_end|>"]


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=40))
@pytest.mark.parametrize("kind", ["demo", "bytes"])
def test_that_texts_of_tokens_make_up_the_text(kind, text):
    tokenizer = TOKENIZERS[kind]
    assume("⟨" not in text)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    shown = token_texts(tokenizer, ids)
    assert len(shown) == len(ids)
    joined = "".join(shown)
    raw = b"".join(bytes.fromhex(part[1:3]) if part.startswith("⟨") else part.encode() for part in _parts(joined))
    assert raw.decode() == text


def _parts(joined: str):
    import re

    return re.findall(r"⟨[0-9a-f]{2}⟩|[^⟨]+", joined)


def test_that_bytes_that_are_no_character_are_shown_as_such():
    assert token_texts(TOKENIZERS["bytes"], TOKENIZERS["bytes"]("é a", add_special_tokens=False)["input_ids"]) == [
        "⟨c3⟩", "⟨a9⟩", " ", "a",
    ]  # fmt: skip
    pieces = TOKENIZERS["pieces"]
    assert token_texts(pieces, pieces("a the é", add_special_tokens=False)["input_ids"]) == [
        "a", " the", " ", "⟨c3⟩", "⟨a9⟩",
    ]  # fmt: skip


def write(path, rows):
    return str(tiny.write_jsonl(path, rows))


def test_that_rows_are_shown_token_by_token(tmp_path):
    model = {"path": str(tiny.save_model(tmp_path / "m", template=None)), "system": "be brief"}
    data = write(tmp_path / "rows.jsonl", [{"prompt": f"q{n}", "completion": "long " * 20} for n in range(6)])
    found = ask("xray", model=model, source={"path": data}, rows=[0, 4], max_length=70).result
    first, second = found["rows"]
    assert (first["row"], first["line"], second["row"], second["line"]) == (0, 1, 4, 5)
    assert len(first["ids"]) == len(first["texts"]) == len(first["fates"]) == first["tokens"] > 70
    assert first["cut_at"] == 70
    shown = dict(zip(first["fates"], first["texts"], strict=True))
    assert shown["s"] == "<|im_end|>" or shown["s"] == "<|im_start|>"
    said = "".join(text for text, fate in zip(first["texts"], first["fates"], strict=True) if fate in "tT")
    assert said == "long " * 20 + "<|im_end|>"
    assert first["fates"].count("T") == 1
    assert first["trained"] == sum(fate in "tT" for fate in first["fates"][:70])
    assert "be brief" in "".join(first["texts"])
    assert (found["template"], found["template_code"]) == ("chatml", "model.template_chatml")
    assert (found["sampled"], found["untrained"]) == (6, 0)
    assert 0 < found["trained_share"] < 1


def test_that_a_dataset_in_which_nothing_is_learned_says_so(tmp_path):
    model = {"path": str(tiny.save_model(tmp_path / "m", template=None))}
    data = write(tmp_path / "rows.jsonl", [{"prompt": "question " * 20, "completion": "a"}] * 3)
    found = ask("xray", model=model, source={"path": data}, max_length=32).result
    assert (found["trained_share"], found["untrained"], found["sampled"]) == (0, 3, 3)


def test_that_rows_the_template_refuses_are_counted_and_the_first_is_named(tmp_path):
    model = {"path": str(tiny.save_model(tmp_path / "m", template=template_text("mistral_v1")))}
    rows = [{"messages": [user(f"q{n}"), says("a")]} for n in range(90)]
    rows[70]["messages"].insert(0, user("twice"))
    source = {"path": write(tmp_path / "rows.jsonl", rows)}
    found = ask("xray", model=model, source=source).result
    assert (found["sampled"], found["failed"], found["failure"]["row"], found["failure"]["line"]) == (89, 1, 70, 71)
    assert found["failure"]["error"]["code"] == "model.template_failed"
    counted = ask("data_statistics", model=model, source=source, seconds=8).result
    assert (counted["rows"], counted["measured"], counted["exact"], counted["failed"]) == (90, 90, True, 1)
    assert ask("xray", model=model, source=source, rows=[70]).error.code == "model.template_failed"


@settings(max_examples=20, deadline=None)
@given(chat=CHATS, left=st.integers(0, 3))
def test_that_turns_are_left_out_where_a_template_marks_an_answer_twice(chat, left):
    source = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% generation %}<|im_end|>{% endgeneration %}{% else %}"
        "{{ m.content }}<|im_end|>{% endif %}{{ '\n' }}{% endfor %}"
    )
    answers = [place for place, turn in enumerate(chat) if turn["role"] == "assistant"]
    assume(left < len(answers))
    marked = [{**turn, "train": place != answers[left]} for place, turn in enumerate(chat)]
    row = learned(TOKENIZERS["bytes"], source, marked)
    kept = [chat[place]["content"] for place in answers if place != answers[left]]
    assert [row.text[begin:end] for begin, end in row.spans] == [part for said in kept for part in (said, "<|im_end|>")]


def test_that_rows_that_cannot_be_learned_from_say_why(tmp_path):
    model = {"path": str(tiny.save_model(tmp_path / "m", template=None))}
    rows = [{"prompt": "q", "completion": "a"}] * 3 + [{"prompt": "q"}]
    source = {"path": write(tmp_path / "rows.jsonl", rows)}
    assert ask("xray", model=model, source=source).result["sampled"] == 3
    refused = ask("xray", model=model, source=source, rows=[3]).error
    assert (refused.code, refused.problems[0].line) == ("data.refused", 4)
    text = {"path": write(tmp_path / "text.jsonl", [{"text": "once"}])}
    assert ask("xray", model=model, source=text).error.code == "data.text_needs_pretrain"
    (row,) = ask("xray", model=model, source=text, stage="pretrain").result["rows"]
    assert row["fates"] == "mtttT"


def test_that_another_template_can_be_tried(tmp_path):
    model = {"path": str(tiny.save_model(tmp_path / "m"))}
    data = write(tmp_path / "rows.jsonl", [{"prompt": "q", "completion": "yes"}])
    source = "{% for m in messages %}{{ m.role }}: {% generation %}{{ m.content }}{% endgeneration %};{% endfor %}"
    (row,) = ask("xray", model=model, source={"path": data}, template=source).result["rows"]
    assert "".join(row["texts"]) == "user: q;assistant: yes;"
    error = ask("xray", model=model, source={"path": data}, template="a\n{% for %}").error
    assert (error.code, error.params["line"]) == ("template.syntax", 2)
    assert ask("xray", model=model, source={"path": data}, rows=[7]).error.code == "data.row_unknown"


def test_that_a_template_of_the_catalogue_is_named(tmp_path):
    model = {"path": str(tiny.save_model(tmp_path / "m")), "template": "qwen3"}
    data = write(tmp_path / "rows.jsonl", [{"prompt": "q", "completion": "yes"}])
    found = ask("xray", model=model, source={"path": data}).result
    assert (found["template"], found["template_code"]) == ("qwen3", "model.template_named")
    assert found["template_params"] == {"title": "Qwen3"}
    assert "<think>" in "".join(found["rows"][0]["texts"])


def test_that_an_unknown_template_is_refused(tmp_path):
    asked = ask("xray", model={**DEMO, "template": "lama3"}, source={"path": "x"})
    assert asked.error.code == "query.invalid"


def test_that_a_template_is_rendered_without_loading_a_model():
    turn = "{{ m.role }}: {% generation %}{{ m.content }}{% endgeneration %}"
    source = "{{ bos_token }}{% for m in messages %}" + turn + "\n\n{% endfor %}"
    found = ask(
        "render_template", template=source, messages=[user("q"), says("yes")], special={"bos_token": "<s>"}
    ).result
    assert found["text"] == "<s>user: q\nassistant: yes\n"
    assert [found["text"][begin:end] for begin, end in found["spans"]] == ["q", "yes"]
    with_model = ask("render_template", template="{{ eos_token }}", messages=[], model=DEMO).result
    assert with_model["text"] == "<|im_end|>"
    thinking = {"template": template_text("qwen3"), "messages": [user("x")], "generation_prompt": True}
    assert "<think>" not in ask("render_template", **thinking).result["text"]
    assert "<think>" in ask("render_template", **thinking, thinking=False).result["text"]


@pytest.mark.parametrize("source", ["{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                                    "{{ 'a' * 10**9 }}", "{{ ''.__class__ }}"])  # fmt: skip
def test_that_a_harmful_template_is_refused_by_the_editor(source):
    error = ask("render_template", template=source, messages=[user("x")]).error
    assert error.code.startswith("template.")


def test_that_a_query_leaves_the_memory_of_its_process_as_it_was():
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    ask("render_template", template="{{ 1 }}", messages=[])
    ask("render_template", template="{{ ''.__class__ }}", messages=[])
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_that_a_model_with_a_looping_template_is_refused_not_waited_for(tmp_path):
    source = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(UserError, match="does not come to an end"):
        choose_template(tiny.make_tokenizer(source), "auto")


def test_that_both_answers_of_a_preference_are_shown():
    from engine.compute.data.measure import sides_of

    example = Example(turns=(user("a"), says("b"), user("c")), chosen=(says("good"),), rejected=(says("bad"),))
    template = choose_template(TOKENIZERS["bytes"], "chatml")
    sides = sides_of(example)
    assert [name for _, name in sides] == ["chosen", "rejected"]
    for side, said in zip(sides, ("good", "bad"), strict=True):
        (row,) = Tokeniser(template, 999).look([side[0]])
        assert [row.text[begin:end] for begin, end in row.spans] == [f"{said}<|im_end|>"]


def test_that_json_of_the_answer_can_travel(tmp_path):
    model = {"path": str(tiny.save_model(tmp_path / "m", template=None))}
    data = write(tmp_path / "rows.jsonl", [{"prompt": "é😀", "completion": "你"}])
    assert json.loads(ask("xray", model=model, source={"path": data}).model_dump_json())["result"]["rows"]


def test_that_a_row_is_rendered_as_a_run_would_see_it(tmp_path):
    data = tmp_path / "rows.jsonl"
    rows = [{"messages": [user(f"q{n}"), {**says("left out"), "train": False}, user("and"), says(f"a{n}")]}
            for n in range(3)]  # fmt: skip
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    common = {"model": DEMO, "source": {"path": str(data)}, "row": 2}
    own = ask("render_template", **common).result
    assert own["template"] == choose_template(load_tokenizer(locate(ModelConfig(**DEMO))), "auto").source
    assert "q2" in own["text"]
    plain, _ = UNMARKED["plain"]
    found = ask("render_template", **common, template=plain).result
    seen = ask("xray", model=DEMO, source=common["source"], rows=[2], template=plain).result["rows"][0]
    assert found["template"] == plain
    for one in (own, found):
        learned = [one["text"][begin:end] for begin, end in one["spans"]]
        assert learned[-1] == "a2<|im_end|>"
        assert not any("q2" in piece for piece in learned)
    tokens = zip(seen["texts"], seen["fates"], strict=True)
    assert "".join(text for text, fate in tokens if fate in "tT") == "".join(
        found["text"][begin:end] for begin, end in found["spans"]
    )
    assert ask("render_template", **common, template="{% if %}").error.params["line"] == 1
    assert ask("render_template", **{**common, "row": 9}).error.code == "data.row_unknown"
