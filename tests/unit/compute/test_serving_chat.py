"""Requests in OpenAI's form, asked by OpenAI's own client: answers, streams, shapes, tools, embeddings."""

import base64
import json

import numpy as np
import openai
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lora_cases import base
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from serving_cases import ASKED, QUESTION, client, opened, plain, said

from engine.compute.lora.router import embed
from engine.compute.serving.bodies import Tool
from engine.compute.serving.tools import CallStream, forced_call

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {
            "type": "object", "properties": {"town": {"enum": ["Rome", "Oslo"]}}, "required": ["town"],
            "additionalProperties": False,
        },
    },
}  # fmt: skip
OTHER = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def server():
    with opened(model={"template": "qwen3"}) as made:
        yield made


@pytest.fixture(scope="module")
def asking(server):
    return client(server)


def greedy(server, tokens, count):
    model, found = base(), list(tokens)
    with torch.no_grad():
        for _ in range(count):
            found.append(int(model(torch.tensor([found])).logits[0, -1].argmax()))
    return server.desk.served.tokenizer.decode(found[len(tokens) :], skip_special_tokens=True)


def test_that_an_answer_is_that_of_transformers(server):
    tokens = server.desk.served.of_turns(ASKED)
    assert said(server, count=12) == greedy(server, tokens, 12)


def test_that_whole_answers_have_openais_schema_and_ours_beside(server):
    with plain(server) as http:
        asked = {"model": "demo", "messages": ASKED, "n": 2, "logprobs": True, "top_logprobs": 2, "max_tokens": 5}
        found = http.post("/v1/chat/completions", json=asked).raise_for_status().json()
    ChatCompletion.model_validate(found)
    forge = found.pop("forge")
    assert set(forge) == {"queued", "first", "whole", "prompt", "cached", "answer", "adapters"}
    assert forge["prompt"] == found["usage"]["prompt_tokens"]
    assert forge["answer"] == found["usage"]["completion_tokens"]
    assert [one["index"] for one in found["choices"]] == [0, 1]
    assert all(len(one["top_logprobs"]) == 2 for one in found["choices"][0]["logprobs"]["content"])


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 3), st.booleans(), st.booleans(), st.integers(1, 12))
def test_that_streams_have_their_form_and_say_the_same(server, choices, usage, likely, count):
    asked = {"model": "demo", "messages": ASKED, "n": choices, "temperature": 0, "max_tokens": count}
    more = {"logprobs": likely, "stream": True, **({"stream_options": {"include_usage": True}} if usage else {})}
    with plain(server) as http:
        whole = http.post("/v1/chat/completions", json=asked).json()
        with http.stream("POST", "/v1/chat/completions", json=asked | more) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in response.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert "forge" in chunks[-1]
    assert not any("forge" in chunk for chunk in chunks[:-1])
    assert ("usage" in chunks[0]) == usage
    if usage:
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    for number in range(choices):
        mine = [one for chunk in chunks for one in chunk["choices"] if one["index"] == number]
        assert mine[0]["delta"] == {"role": "assistant", "content": ""}
        text = "".join(one["delta"].get("content") or "" for one in mine)
        assert text == whole["choices"][number]["message"]["content"]
        assert [one["finish_reason"] for one in mine if one["finish_reason"]] == [
            whole["choices"][number]["finish_reason"]
        ]


def test_that_a_stop_text_ends_an_answer_and_is_not_told(server):
    whole = said(server, count=12)
    stop = whole[4:7]
    found = said(server, count=12, stop=[stop])
    assert found == whole[: whole.index(stop)]


def test_that_a_seed_repeats_an_answer_and_each_choice_has_its_own(asking):
    def ask(seed):
        found = asking.chat.completions.create(
            model="demo", messages=ASKED, temperature=2, max_tokens=12, n=3, seed=seed, extra_body={"ignore_eos": True}
        )
        return [one.message.content for one in found.choices]

    assert ask(5) == ask(5)
    assert len(set(ask(5))) == 3


def test_that_logit_bias_bans_and_forces_tokens(server, asking):
    tokenizer = server.desk.served.tokenizer
    first = tokenizer(said(server, count=4), add_special_tokens=False)["input_ids"][0]
    banned = said(server, count=4, logit_bias={str(first): -100})
    assert tokenizer(banned, add_special_tokens=False)["input_ids"][0] != first
    assert said(server, count=3, logit_bias={str(first): 100}) == tokenizer.decode([first] * 3)
    with pytest.raises(openai.BadRequestError, match="logit_bias"):
        said(server, logit_bias={"999999": 1})


def test_that_bytes_of_tokens_together_are_the_text_also_within_a_character(server, asking):
    tokenizer = server.desk.served.tokenizer
    ids = tokenizer("装 😀", add_special_tokens=False)["input_ids"]
    assert len(ids) > 3, "a character of several tokens"
    raw = b""
    for token in ids:
        found = asking.chat.completions.create(
            model="demo", messages=ASKED, max_tokens=1, temperature=0, logit_bias={str(token): 100}, logprobs=True
        )
        (one,) = found.choices[0].logprobs.content
        raw += bytes(one.bytes)
    assert raw.decode().strip() == "装 😀"


def test_that_an_answer_has_the_shape_of_its_schema(asking):
    schema = {"type": "object", "properties": {"b": {"type": "boolean"}, "a": {"enum": ["x", "y"]}},
              "required": ["b", "a"], "additionalProperties": False}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}
    found = asking.chat.completions.create(model="demo", messages=ASKED, response_format=form, max_tokens=60)
    made = json.loads(found.choices[0].message.content)
    assert list(made) == ["b", "a"], "in the order of the schema"
    assert isinstance(made["b"], bool)
    found = asking.chat.completions.create(
        model="demo", messages=ASKED, response_format={"type": "json_object"}, max_tokens=8, temperature=0
    )
    assert found.choices[0].message.content.startswith("{")
    with pytest.raises(openai.BadRequestError, match="shape"):
        asking.chat.completions.create(
            model="demo", messages=ASKED,
            response_format={"type": "json_schema", "json_schema": {"name": "it", "schema": {"type": "nothing"}}},
        )  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_that_a_forced_tool_is_called_with_arguments_that_fit(asking, choice, stream):
    found = asking.chat.completions.create(
        model="demo", messages=ASKED, tools=[TOOL], tool_choice=choice, max_tokens=100, stream=stream
    )
    if stream:
        chunks = [chunk.choices[0] for chunk in found]
        (call,) = [one for chunk in chunks for one in chunk.delta.tool_calls or []]
        assert chunks[-1].finish_reason == "tool_calls"
    else:
        (call,) = found.choices[0].message.tool_calls
        assert found.choices[0].finish_reason == "tool_calls"
        assert found.choices[0].message.content is None
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["town"] in ("Rome", "Oslo")


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ('{"name": "g", "arguments": {"x": "f', "g", '{"x": "f'), ('{"name": "g", "arguments": {', "g", "{"),
        ('{"name": "g"', "g", ""), ('{"name": "', "", ""), ('{"na', "", ""), ("", "", ""),
        ('{"name": "g", "arguments": {"x": 1}}', "g", '{"x": 1}'), ('{"name": "name", "arguments": {}', "name", "{}"),
    ],
)  # fmt: skip
def test_that_a_forced_call_that_is_cut_off_names_the_tool_that_was_named(text, name, arguments):
    known = [Tool.model_validate({"type": "function", "function": {"name": one}}) for one in ("f", "g", "name")]
    found = forced_call(text, known)
    assert (name, arguments) == ("", "") if found is None else (found.name, found.arguments) == (name, arguments)


def test_that_a_forced_call_is_not_cut_by_a_stop(asking):
    with pytest.raises(openai.BadRequestError) as caught:
        asking.chat.completions.create(
            model="demo", messages=ASKED, tools=[TOOL], tool_choice="required", stop=['"'], max_tokens=9
        )
    assert caught.value.param == "stop"


def test_that_tools_stand_in_the_prompt_unless_none_may_be_called(asking):
    def prompt(**more) -> int:
        found = asking.chat.completions.create(model="demo", messages=ASKED, max_tokens=1, **more)
        assert found.choices[0].message.tool_calls is None
        return found.usage.prompt_tokens

    assert prompt(tools=[TOOL]) > prompt() == prompt(tools=[TOOL], tool_choice="none")


def test_that_a_whole_conversation_with_tools_is_understood(asking):
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Rome"}'}}
    turns = [
        {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "annotations": []},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    found = asking.chat.completions.create(model="demo", messages=turns, tools=[TOOL, OTHER], max_tokens=4)
    assert found.choices[0].finish_reason in ("stop", "length")
    call["function"]["arguments"] = "{"
    with pytest.raises(openai.BadRequestError) as caught:
        asking.chat.completions.create(model="demo", messages=turns, tools=[TOOL], max_tokens=4)
    assert caught.value.param == "messages.2.tool_calls.0.function.arguments"


def test_that_a_template_without_tools_is_not_given_any(tmp_path):
    with opened() as server, pytest.raises(openai.BadRequestError) as caught:
        client(server).chat.completions.create(model="demo", messages=ASKED, tools=[TOOL])
    assert caught.value.code == "unsupported_parameter"
    assert caught.value.param == "tools"


PIECES = st.lists(
    st.one_of(
        st.sampled_from(["<tool", "_call>", "</tool_call>", "<", "text ", "\n", "<tool_call>"]),
        st.sampled_from(["weather", "now", "unknown"]).map(
            lambda name: f'<tool_call>\n{{"name": "{name}", "arguments": {{"town": "Oslo"}}}}\n</tool_call>'
        ),
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(PIECES, st.data())
def test_that_calls_are_found_however_the_text_is_cut(pieces, data):
    text = "".join(pieces)

    def heard(parts):
        stream, said_, calls = CallStream(("weather", "now")), "", []
        for part in parts:
            more, found = stream.add(part)
            said_, calls = said_ + more, calls + found
        more, found = stream.rest()
        return (said_ + more).strip(), [(call.name, call.arguments) for call in calls + found]

    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    parts = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole_text, whole_calls = heard([text])
    cut_text, cut_calls = heard(parts)
    assert cut_calls == whole_calls
    assert "".join(cut_text.split()) == "".join(whole_text.split())
    assert all(json.loads(arguments) == {"town": "Oslo"} for _, arguments in whole_calls)


def test_that_texts_are_continued(server, asking):
    tokens, more = server.desk.served.of_text(QUESTION), {"ignore_eos": True}
    asked = {"model": "demo", "temperature": 0, "max_tokens": 6, "extra_body": more}
    found = asking.completions.create(prompt=QUESTION, logprobs=1, **asked)
    Completion.model_validate(found.model_dump())
    by_tokens = asking.completions.create(prompt=list(tokens), **asked)
    assert found.choices[0].text == by_tokens.choices[0].text
    assert len(found.choices[0].logprobs.tokens) == len(found.choices[0].logprobs.top_logprobs) == 6
    texts = {0: "", 1: ""}
    for chunk in asking.completions.create(prompt=[QUESTION, "1 2"], stream=True, **asked):
        for one in chunk.choices:
            texts[one.index] += one.text
    assert texts[0] == found.choices[0].text


def test_that_embeddings_are_the_means_of_the_bases_hidden_states(server, asking):
    texts = [QUESTION, "Rome"]
    expected = embed(base(), server.desk.served.tokenizer, texts)
    found = asking.embeddings.create(model="demo", input=texts, encoding_format="float")
    assert [one.index for one in found.data] == [0, 1]
    for one, wanted in zip(found.data, expected, strict=True):
        assert np.allclose(one.embedding, wanted, atol=1e-4)
    with plain(server) as http:
        asked = {"model": "demo", "input": "Rome", "encoding_format": "base64"}
        coded = http.post("/v1/embeddings", json=asked).json()["data"][0]["embedding"]
    assert np.allclose(np.frombuffer(base64.b64decode(coded), "<f4"), expected[1], atol=1e-4)
    with pytest.raises(openai.BadRequestError) as caught:
        asking.embeddings.create(model="demo", input="a", dimensions=4)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "dimensions")


def test_that_models_are_told_one_by_one(server, asking):
    assert [one.id for one in asking.models.list()] == ["demo", "auto"]
    assert asking.models.retrieve("demo").id == "demo"
    with pytest.raises(openai.NotFoundError) as caught:
        asking.models.retrieve("gpt-4")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="demo, auto"):
        said(server, model="gpt-4")


def test_that_tokens_are_counted_as_they_are_asked(server, asking):
    with plain(server) as http:
        found = http.post("/v1/tokenize", json={"messages": ASKED}).json()
        text = http.post("/v1/tokenize", json={"text": QUESTION}).json()
    asked = asking.chat.completions.create(model="demo", messages=ASKED, max_tokens=1).usage.prompt_tokens
    assert found == {"count": asked, "context": 512}
    assert 0 < text["count"] < asked
