"""What is not understood, and how that is said: by name, by place, all at once, in OpenAI's form."""

import json

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from serving_cases import ASKED, OWN, address, opened, plain

from engine.compute.serving.bodies import ChatBody, Message
from engine.compute.serving.errors import body_of, not_understood, status_of
from engine.compute.serving.preparing import sampling_of, turns_of
from engine.compute.serving.refusals import ROLES, UNSUPPORTED
from engine.contract.errors import UserError
from engine.contract.messages.inference import INFERENCE
from engine.contract.messages.lora import LORA
from engine.contract.messages.serving import SERVING

FORM = {"message", "type", "param", "code", "trace_id", "forge"}


@pytest.fixture(scope="module")
def server():
    with opened() as made:
        yield made


@pytest.fixture(scope="module")
def http(server):
    with plain(server) as made:
        yield made


def refused(http, status=400, **more):
    found = http.post("/v1/chat/completions", json={"model": "demo", "messages": ASKED, "max_tokens": 2, **more})
    assert found.status_code == status, found.text
    error = found.json()["error"]
    assert set(error) == FORM
    assert error["trace_id"] == found.headers["x-trace-id"]
    return error


@pytest.mark.parametrize("name", sorted(set(UNSUPPORTED) - {"dimensions"}))
def test_that_unsupported_parameters_are_refused_by_name_with_what_to_do(http, name):
    error = refused(http, **{name: {"some": "thing"}})
    assert (error["code"], error["param"]) == ("unsupported_parameter", name)
    assert UNSUPPORTED[name][1] in error["message"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("abcdefghijklmnopqrstuvwxyz_", min_size=3, max_size=20), st.sampled_from([1, "x", [], {}, True]))
def test_that_unknown_parameters_are_refused_by_name(http, name, value):
    if name in ChatBody.model_fields or name in UNSUPPORTED:
        return
    error = refused(http, **{name: value})
    assert (error["code"], error["param"]) == ("unsupported_parameter", name)


@pytest.mark.parametrize(
    ("name", "value"), [("store", False), ("service_tier", "auto"), ("modalities", ["text"]), ("audio", None)]
)
def test_that_what_asks_for_nothing_is_taken(http, name, value):
    asked = {"model": "demo", "messages": ASKED, "max_tokens": 1, name: value}
    assert http.post("/v1/chat/completions", json=asked).status_code == 200


def test_that_every_problem_is_listed(http):
    error = refused(http, temperature=3, top_p=0, n=0, stop=7, audio={}, messages=[{"role": "boss", "content": "x"}])
    for place in ("temperature", "top_p", "n:", "stop", "audio", "messages.0.role"):
        assert f"- {place}" in error["message"]


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"max_completion_tokens": 3}, "max_tokens"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"logit_bias": {"1": 101.0}}, "logit_bias"),
        ({"logit_bias": {"one": 1.0}}, "logit_bias"),
        ({"adapters": {"a": 1.0}, "model": "auto"}, "adapters"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
        ({"repetition_penalty": 1e-300}, "repetition_penalty"),
        ({"messages": [{"role": "assistant"}]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
    ],
)
def test_that_contradictions_and_wrong_values_are_told_with_their_place(http, more, place):
    assert refused(http, **more)["param"] == place


SENSIBLE = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2), "top_p": st.floats(0.01, 1), "top_k": st.integers(0, 100),
        "min_p": st.floats(0, 1), "repetition_penalty": st.floats(0.5, 2), "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2), "seed": st.integers(-(2**63), 2**63 - 1), "ignore_eos": st.booleans(),
        "stop": st.lists(st.text("abc", min_size=1), max_size=4),
        "logit_bias": st.dictionaries(st.integers(0, 4095).map(str), st.floats(-100, 100), max_size=3),
    },
)  # fmt: skip
OURS = {"repetition_penalty": "repetition", "presence_penalty": "presence", "frequency_penalty": "frequency",
        "ignore_eos": "ignore_end"}  # fmt: skip


@pytest.mark.parametrize(
    "more", [{"top_p": 1e-320}, {"temperature": 1e-320}, {"repetition_penalty": 0.01, "top_p": 1e-9}]
)
def test_that_values_at_the_edge_are_answered(http, more):
    asked = {"model": "demo", "messages": ASKED, "max_tokens": 2, "response_format": {"type": "json_object"}, **more}
    found = http.post("/v1/chat/completions", json=asked)
    assert found.status_code == 200, found.text
    assert found.json()["choices"][0]["message"]["content"].startswith("{")


@settings(max_examples=100, deadline=None)
@given(SENSIBLE)
def test_that_parameters_pass_through_to_the_engine(given_):
    body = ChatBody.model_validate({"model": "m", "messages": ASKED, **given_})
    assert list(body.problems(4096)) == []
    found = sampling_of(body)
    for name, value in given_.items():
        if name == "stop":
            assert found.stop == tuple(value)
        elif name == "logit_bias":
            assert dict(found.bias) == {int(token): one for token, one in value.items()}
        elif name != "seed":
            assert getattr(found, OURS.get(name, name)) == value


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.sampled_from(ROLES), st.text(max_size=12)), st.text("abc \n", max_size=20))
def test_that_roles_are_parsed_exactly(role, text):
    given_ = {"role": role, "content": text, **({"tool_call_id": "c"} if role == "tool" else {})}
    try:
        message = TypeAdapter(Message).validate_python(given_)
    except ValidationError:
        assert role not in ROLES
        return
    assert role in ROLES
    (turn,) = turns_of([message])
    assert turn["role"] == ("system" if role == "developer" else role)
    assert turn["content"] == text


def test_that_another_role_is_refused_with_its_place(http):
    error = refused(http, messages=[*ASKED, {"role": "User", "content": "x"}])
    assert error["param"] == "messages.1.role"
    assert "'User'" in error["message"]


def test_that_a_system_prompt_of_the_instance_stands_first_unless_one_is_given():
    user = TypeAdapter(Message).validate_python({"role": "user", "content": "x"})
    own = TypeAdapter(Message).validate_python({"role": "developer", "content": "mine"})
    assert [turn["content"] for turn in turns_of([user], "house rule")] == ["house rule", "x"]
    assert [turn["content"] for turn in turns_of([own, user], "house rule")] == ["mine", "x"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted({*SERVING, *INFERENCE, *LORA})), st.dictionaries(st.text("ab"), st.integers(), max_size=2)
)
def test_that_every_error_has_openais_form_and_a_status_for_people(code, params):
    error = UserError(code, **params)
    body = body_of(error, "t")["error"]
    assert set(body) == FORM
    assert isinstance(body["message"], str)
    assert 400 <= status_of(error) < 600
    assert status_of(error) != 422


def test_that_what_pydantic_finds_is_told_without_its_words():
    with pytest.raises(ValidationError) as caught:
        ChatBody.model_validate({"model": "m", "messages": [{"role": "user", "content": "\x00"}]})
    found = not_understood(RequestValidationError(caught.value.errors()))
    assert [one.field for one in found.problems] == ["messages.0.content"]
    assert "U+0000" in str(found.problems[0])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b'{"model": NaN}', b"[" * 100_000])
def test_that_what_is_no_request_is_refused_in_the_same_form(http, body):
    found = http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert found.status_code == 400
    assert set(found.json()["error"]) == FORM


def test_that_unknown_paths_and_methods_are_refused_in_the_same_form(http):
    found = http.get("/v1/assistants")
    assert (found.status_code, set(found.json()["error"])) == (404, FORM)
    found = http.get("/v1/chat/completions")
    assert (found.status_code, set(found.json()["error"])) == (405, FORM)
    assert found.headers["allow"] == "POST"


@pytest.mark.slow
def test_that_the_server_keeps_what_its_description_says(server):
    """schemathesis tries what /openapi.json describes: no answer is a bug, each has a status that is described."""
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    schema = schemathesis.openapi.from_url(f"{address(server)}/openapi.json")
    checks = [not_a_server_error, status_code_conformance, response_schema_conformance, content_type_conformance]
    tried = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def ask(case):
            case.headers = {**(case.headers or {}), "authorization": f"Bearer {OWN}"}
            if isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = "demo"
            if isinstance(case.body, dict) and case.operation.path.endswith("completions"):
                case.body["max_tokens"] = 2
            case.call_and_validate(checks=checks)

        ask()
        tried.add(operation.label)
    assert len(tried) >= 15


def test_that_arguments_in_each_other_are_refused_and_never_a_bug():
    """As deep as JSON is read, in steps past every place that gives up on the way."""
    with opened(model={"template": "qwen3"}) as server, plain(server) as http:
        for depth in range(960, 1000, 3):
            call = {"name": "f", "arguments": '{"a":' * depth + "1" + "}" * depth}
            told = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": call}]}
            asked = {"model": "demo", "messages": [*ASKED, told], "max_tokens": 1}
            found = http.post("/v1/chat/completions", json=asked)
            assert found.status_code == 400, (depth, found.text)
            error = found.json()["error"]
            assert error["code"] in ("context_length_exceeded", "invalid_value"), (depth, error)


@pytest.mark.parametrize(
    ("path", "name", "value", "place"),
    [
        ("chat/completions", "stop", 5, "stop"), ("chat/completions", "stop", ["a", None], "stop.1"),
        ("chat/completions", "tool_choice", "any", "tool_choice"),
        ("chat/completions", "tool_choice", {"type": "allowed_tools"}, "tool_choice.type"),
        ("completions", "prompt", 5, "prompt"), ("completions", "prompt", {}, "prompt"),
        ("completions", "prompt", [], "prompt"), ("completions", "prompt", ["a", 5], "prompt.1"),
        ("completions", "prompt", [5, "a"], "prompt.1"), ("completions", "prompt", [[5], [True]], "prompt.1.0"),
        ("completions", "prompt", [True], "prompt"), ("completions", "prompt", "a\x07", "prompt"),
        ("embeddings", "input", [1.5], "input"), ("embeddings", "input", ["a"] * 2049, "input"),
    ],
)  # fmt: skip
def test_that_a_wrong_value_is_told_once_and_by_the_parameters_own_name(http, path, name, value, place):
    """Of a parameter that may have several forms, of the one that was given."""
    rest = {"chat/completions": {"messages": ASKED}}.get(path, {})
    found = http.post(f"/v1/{path}", json={"model": "demo", **rest, name: value})
    error = found.json()["error"]
    assert (found.status_code, error["param"]) == (400, place)
    assert all(one["field"].startswith(name) for one in error["forge"]["problems"])
    assert "[" not in error["message"] + place


@pytest.mark.parametrize(
    ("name", "value"), [("store", 0), ("best_of", True), ("best_of", 1.0), ("echo", 0), ("echo", ""), ("metadata", [])]
)
def test_that_only_the_very_value_asks_for_nothing(http, name, value):
    assert refused(http, **{name: value})["param"] == name


def test_that_what_asks_for_nothing_does_so_of_a_whole_request_only(http):
    assert refused(http, messages=[{**ASKED[0], "store": False}])["param"] == "messages.0.store"
    form = {"type": "text", "echo": False}
    assert refused(http, response_format=form)["param"] == "response_format.echo"


BODY = json.dumps({"model": "demo", "messages": ASKED, "max_tokens": 1})


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (b"", "application/json", "empty"), (b" ", "application/json", "empty"),
        (BODY, None, "does not say what it is"), (BODY, "text/plain", "'text/plain'"),
        (BODY.encode("utf-16-le"), "application/json", "character 1"), (BODY + "x", "application/json", "Extra data"),
        ("[" * 100_000, "application/json", "brackets"), ('{"model": NaN}', "application/json", "NaN"),
        ('{"n": ' + "9" * 5000 + "}", "application/json", "digits"),
    ],
    ids=range(9),
)  # fmt: skip
def test_that_what_is_no_json_is_told_with_the_reason(http, body, kind, detail):
    headers = {"content-type": kind} if kind else {}
    found = http.post("/v1/chat/completions", content=body, headers=headers)
    error = found.json()["error"]
    assert (found.status_code, error["code"]) == (400, "serve.not_json")
    assert detail in error["message"]
    assert "application/json" in error["message"]


def test_that_a_name_given_twice_is_refused_and_none_of_its_values_taken(http):
    twice = '{"model": "none", "messages": [{"role": "system", "role": "user", "content": "x"}], "model": "demo"}'
    found = http.post("/v1/chat/completions", content=twice, headers={"content-type": "application/json"})
    error = found.json()["error"]
    assert (found.status_code, error["code"]) == (400, "invalid_value")
    assert {one["field"] for one in error["forge"]["problems"]} == {"model", "role"}


def test_that_a_shape_that_cannot_be_is_told_by_its_parameter(http):
    form = {"type": "json_schema", "json_schema": {"schema": {"type": "nothing"}}}
    assert refused(http, response_format=form)["param"] == "response_format"
    many = {"anyOf": [{"type": "object", "properties": {f"name{n}": {"type": "string"}}} for n in range(3000)]}
    form = {"type": "json_schema", "json_schema": {"schema": many}}  # large, and too much while it is answered
    assert refused(http, response_format=form)["param"] == "response_format"


def test_that_each_prompt_counts_also_the_same_again(http):
    def used(*prompts):
        asked = {"model": "demo", "prompt": list(prompts), "max_tokens": 1, "n": 2}
        return http.post("/v1/completions", json=asked).json()["usage"]["prompt_tokens"]

    assert used("one two", "one two") == 2 * used("one two")


@pytest.mark.parametrize("path", ["tokenize", "models/a%2Fb", "models/none"])
def test_that_a_model_that_is_not_there_is_told_everywhere(http, path):
    body = {"model": "none", "text": "x"}
    found = http.post(f"/v1/{path}", json=body) if path == "tokenize" else http.get(f"/v1/{path}")
    assert (found.status_code, found.json()["error"]["code"]) == (404, "model_not_found")
