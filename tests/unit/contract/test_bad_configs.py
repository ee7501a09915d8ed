"""Configs with any number of faults: every one is named at once, and no text costs more work than it is long."""

from __future__ import annotations

import ast
import copy
import re
import resource
import typing
from pathlib import Path
from string import Formatter

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.config_file import check_document, parse_config, read_config, to_json
from engine.contract.errors import Problem, Refused, UserError, render
from engine.contract.messages import MESSAGES
from engine.contract.paths import code_root
from engine.contract.preflight import read_checked
from engine.contract.run_spec import RunConfig
from engine.contract.setting import extra
from forge_desktop.models.draft_model import groups

BASE = {"name": "a run", "model": {"path": "/m"}, "data": {"train": [{"path": "/d.jsonl"}]}}
TEXT = yaml.safe_dump(BASE)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def refused(text: str) -> Refused:
    with pytest.raises(Refused) as caught:
        parse_config(text)
    assert caught.value.fix
    return caught.value


def found(text: str) -> dict[str, tuple[int | None, str]]:
    return {problem.field: (problem.line, problem.code) for problem in refused(text).problems}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BOMB, "config.too_many"),
        ("base: &b {x: 1}\nmore: &c\n  <<: [" + "*b, " * 60_000 + "*b]\n", "config.too_many"),
        ("tags: " + "[" * 5000 + "]" * 5000, "config.too_deep"),
        ("training:\n\tepochs: 1\n", "config.unreadable"),
        ('{\n  // my run\n  "name": "x"\n}', "config.comments"),
        ('{"name": "x",\n /* mine: */ "tags": []}', "config.comments"),
        ("a: 1\n---\nb: 1\n", "config.unreadable"),
        ("? [a, b]\n: 1\n", "config.unreadable"),
        ("training: {max_steps: " + "9" * 5000 + "}", "config.unreadable"),
    ],
)
def test_that_what_cannot_be_read_is_refused_quickly_and_in_plain_words(text, code):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    error = refused(text)
    assert error.code == code
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 20  # processor time; a bomb takes for ever
    assert "recursion" not in error.text


def test_that_a_comment_in_json_is_named_by_its_line():
    assert refused('{\n  "name": "http://x",\n  // my run\n  "tags": []\n}').params["line"] == 3


@pytest.mark.parametrize(
    ("more", "field", "line", "code"),
    [
        ("name: y\n", "name", 7, "config.key_twice"),
        ("1: x\n", "1", 7, "config.key_not_text"),
        ("training: {2: x}\n", "training.2", 7, "config.key_not_text"),
        ('tags: ["\\ud83d"]\n', "tags.0", 7, "config.half_character"),
        ("training: {max_steps: " + "9" * 50 + "}\n", "training.max_steps", 7, "config.too_large"),
        ("training: {learning_rate: .nan}\n", "training.learning_rate", 7, "config.number"),
        ("training: {learning_rate: .inf}\n", "training.learning_rate", 7, "config.too_large"),
        ("training: {epochs: 0}\n", "training.epochs", 7, "config.no_steps"),
        ("tags: hello\n", "tags", 7, "config.list"),
        ("training: fast\n", "training", 7, "config.group"),
        ("trainnig: {}\n", "trainnig", 7, "config.unknown_key"),
    ],
)
def test_that_one_fault_is_named_by_line_and_field(more, field, line, code):
    assert found(TEXT + more) == {field: (line, code)}


def test_that_anchors_are_understood():
    text = "name: x\nmodel: {path: /m}\ndata:\n  train: [&d {path: /d}]\n  validation: [*d]\n"
    config = parse_config(text)
    assert config.data.train == config.data.validation


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (TEXT.encode("utf-16"), "config.not_utf8"),
        (TEXT.encode("utf-16-le"), "config.binary"),
        ("name: Größe".encode("latin-1"), "config.not_utf8"),
        ("name: 日期".encode("gb18030"), "config.not_utf8"),
        (b"\x7fELF\x02\x01\x01\x00", "config.binary"),
        (b"x" * 10_000_000, "config.too_long"),
        (b"", "config.refused"),
    ],
)
def test_that_a_file_that_is_no_config_is_refused(tmp_path, content, code):
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    with pytest.raises(Refused) as caught:
        read_config(file)
    assert caught.value.code == code


def test_that_endless_devices_loops_and_impossible_names_are_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    names = ("/dev/zero", tmp_path / "loop", "/" + "x" * 5000, "a\0b", tmp_path)
    codes = []
    for name in names:
        with pytest.raises(Refused) as caught:
            read_config(Path(name))
        codes.append(caught.value.code)
    assert codes == ["config.too_long", *["config.unreadable_file"] * 4]


def test_that_missing_files_are_named_together_with_faults_of_the_config(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(
        "name: x\nmodel: {path: ../no-model, qantisation: none}\ndata:\n  train:\n    - path: gone.jsonl\n"
        '    - path: "a\\0b"\n  validation: [{path: ../../up, hub: bundled}]\ntraining: {epochs: -1}\n'
    )
    with pytest.raises(Refused) as caught:
        read_checked(file)
    problems = {problem.field: (problem.line, problem.code) for problem in caught.value.problems}
    assert problems == {
        "model.path": (2, "config.path_missing"),
        "model.qantisation": (2, "config.unknown_key"),
        "data.train.0.path": (5, "config.path_missing"),
        "data.train.1.path": (6, "config.path_missing"),
        "data.validation.0.path": (7, "config.bundled_unknown"),
        "training.epochs": (8, "config.too_small"),
    }
    assert caught.value.params["count"] == 6


def bad_values() -> dict[str, list[object]]:
    """Every setting with values that cannot be right."""
    table: dict[str, list[object]] = {}
    for group, model in groups().items():
        for name, field in model.model_fields.items():
            path = f"{group}.{name}" if group else name
            kinds = {kind for kind in (field.annotation, *typing.get_args(field.annotation)) if isinstance(kind, type)}
            if path in ("version", "kind") or any(hasattr(kind, "model_fields") for kind in kinds):
                continue
            values: list[object] = [{"a": "group"}, "surely no such choice"]
            if list in kinds or typing.get_origin(field.annotation) is list:
                values = ["no list", 7]
            elif str in kinds:
                values = [7, ["a", "list"], True]
            elif kinds & {int, float}:
                values = ["many", [1], "1.5.2"]
                values += [limit.ge - 1 for limit in field.metadata if hasattr(limit, "ge")]
                values += [limit.le + 1 for limit in field.metadata if hasattr(limit, "le")]
            elif bool in kinds:
                values = ["perhaps", [1], 7]
            runnable = extra(field).get("executable")
            if runnable == [False]:
                values.append(True)
            table[path] = values
        table[f"{group}.no_such_setting" if group else "no_such_setting"] = [1, "x", None]
    return table


BAD = bad_values()


def plant(document: dict, path: str, value: object) -> str:
    """Put a value where a path leads; returns the field as problems name it."""
    *above, name = path.split(".")
    place: typing.Any = document
    for step in above:
        place = place.setdefault(step, {})
        if isinstance(place, list):
            place = place[0]
    place[name] = value
    return path


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_that_any_number_of_planted_faults_is_reported_all_at_once(data):
    paths = data.draw(st.lists(st.sampled_from(sorted(BAD)), min_size=1, max_size=12, unique=True))
    document = copy.deepcopy(BASE)
    planted = set()
    for path in paths:
        if path in ("data.train", "data.validation", "evaluation.data"):
            continue  # a list that is none has no sources to be wrong inside
        planted.add(plant(document, path, data.draw(st.sampled_from(BAD[path]))))
    _, problems = check_document(document)
    assert {problem.field for problem in problems} == planted
    if planted:
        text = yaml.safe_dump(document, sort_keys=False)
        listed = refused(text).problems
        assert {problem.field for problem in listed} == planted
        lines = text.splitlines()
        for problem in listed:
            assert problem.field.rpartition(".")[2] in lines[problem.line - 1]
            assert problem.reason
            assert problem.fix
            assert not re.search(r"\{\w+\}", str(problem))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_that_no_bytes_are_a_crash(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content)
    with pytest.raises(Refused) as caught:
        read_checked(file)
    assert caught.value.text


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


@pytest.mark.parametrize("text", ["a: &a [*a]", "name: &a [*a]", "tuner: &a {kind: *a}", "training: {seed: &a [*a]}"])
def test_that_what_holds_itself_is_refused(text):
    with pytest.raises(Refused) as error:
        parse_config(text)
    assert error.value.body().problems


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(name for name in RunConfig.model_fields if name != "version")), trees)
def test_that_no_value_in_any_place_is_a_crash(name, value):
    config, problems = check_document({**BASE, name: value})
    assert problems or to_json(config)
    for problem in problems:
        assert str(problem)


@settings(deadline=None)
@given(st.sampled_from(sorted(MESSAGES)), st.data())
def test_that_every_message_renders_whatever_its_parameters_are(code, data):
    message = MESSAGES[code]
    parts = (message.what, message.why, message.fix)
    names = {name for part in parts for _, name, _, _ in Formatter().parse(part) if name is not None}
    assert all(name.isidentifier() for name in names)
    params = {
        name: data.draw(st.text(st.characters(exclude_characters="{}"), max_size=9) | st.integers()) for name in names
    }
    for part in parts:
        text = render(part, params)
        assert text.count("{") == part.count("{{")  # those a message means
        assert text.count("}") == part.count("}}")
        assert all(str(params[name]) in text for _, name, _, _ in Formatter().parse(part) if name is not None)
    assert UserError(code, **params).text
    assert str(Problem(code=code, params=params))


def uses() -> dict[str, set[frozenset[str]]]:
    """Code to the sets of parameters it is raised with, where the source names them one by one."""
    table: dict[str, set[frozenset[str]]] = {}
    for room in ("engine", "forge_desktop"):
        for file in (code_root() / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    _note(node, table)
    return table


def _note(call: ast.Call, table: dict[str, set[frozenset[str]]]) -> None:
    called = getattr(call.func, "id", getattr(call.func, "attr", ""))
    given_by_name = {word.arg: word.value for word in call.keywords}
    if None in given_by_name:
        return  # **params: not known here
    if called in ("UserError", "NotFound", "Conflict", "Refused", "Unreachable") and call.args:
        code, names = call.args[0], frozenset(str(name) for name in given_by_name)
    elif called == "Problem" and "code" in given_by_name:
        code, params = given_by_name["code"], given_by_name.get("params", ast.Dict([], []))
        if not isinstance(params, ast.Dict) or None in params.keys:
            return
        names = frozenset(str(getattr(key, "value", "")) for key in params.keys)
    else:
        return
    for constant in (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,):
        if isinstance(constant, ast.Constant) and constant.value in MESSAGES:
            table.setdefault(str(constant.value), set()).add(names)


def test_that_whoever_raises_an_error_gives_every_parameter_its_text_names():
    table = uses()
    assert len(table) > 80
    lacking = {}
    for code, ways in table.items():
        message = MESSAGES[code]
        parts = (message.what, message.why, message.fix)
        needed = {name for part in parts for _, name, _, _ in Formatter().parse(part) if name}
        lacking |= {(code, *sorted(names)): needed - names for names in ways if needed - names}
    assert lacking == {}


NEEDS_NO_FIX = {
    "artifact.gone",
    "checkpoint.removed",
    "data.read",
    "data.read_given",
    "run.no_config",
    "run.responding",
    "run.files_gone",
}
"""Said for information, or of something nobody can mend."""


def test_that_every_refusal_says_what_to_do_about_it():
    raised = {code for code in uses() if code.partition(".")[0] not in ("inspect",)}
    without = {code for code in raised if not MESSAGES[code].fix} - NEEDS_NO_FIX
    assert without == set()
