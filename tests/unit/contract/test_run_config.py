"""The run config: exact round trips, and every problem named by line, field and fix."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.config_file import (
    anchored,
    check_document,
    check_spec,
    parse_config,
    read_config,
    to_json,
    to_yaml,
)
from engine.contract.errors import Refused
from engine.contract.run_spec import LaterJob, RunConfig, RunSpec
from engine.contract.setting import extra
from forge_desktop.models.draft_model import groups

BASE = {"name": "a run", "model": {"path": "/m"}, "data": {"train": [{"path": "/d.jsonl"}]}}


def problems_of(text: str) -> dict[str, tuple[int | None, str]]:
    with pytest.raises(Refused) as caught:
        parse_config(text)
    return {problem.field: (problem.line, problem.code) for problem in caught.value.problems}


letters = st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\\x85")
names = st.text(letters, min_size=1, max_size=30)
configs = st.builds(
    lambda name, path, weight, rate, steps, tags, targets, system: RunConfig.model_validate(
        {
            "name": name,
            "tags": tags,
            "model": {"path": path, "system": system},
            "data": {"train": [{"path": path, "weight": weight}]},
            "tuner": {"targets": targets},
            "training": {"learning_rate": rate, "max_steps": steps},
        }
    ),
    names,
    names,
    st.floats(0.001, 100),
    st.floats(1e-12, 10),
    st.none() | st.integers(1, 10**9),
    st.lists(names, max_size=3),
    st.lists(names, min_size=1, max_size=3),
    st.none() | st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=60),
)


@settings(deadline=None)
@given(configs)
def test_that_yaml_and_json_give_the_same_config_again(config):
    assert parse_config(to_yaml(config)) == config
    assert parse_config(to_json(config)) == config


@settings(deadline=None)
@given(configs)
def test_that_a_config_and_its_order_hold_the_same(config):
    spec = config.to_spec("someone")
    assert RunConfig.from_spec(spec) == config
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    assert RunSpec.model_validate_json(spec.model_dump_json()).sha256() == spec.sha256()


def test_that_all_problems_are_named_at_once_with_their_lines():
    found = problems_of(
        """version: 1
name: x
model: {path: a, quantisation: hqq_4bit}
data:
  train: [{path: b, wieght: 2}]
stage: image_sft
trainig: {epochs: 3}
training:
  learning_rate: -2e-4
  micro_batch_size: 1.5
  schedule: cosin
tuner: {kind: lroa, rank: abc}
"""
    )
    assert found == {
        "model.quantisation": (3, "config.not_yet"),
        "data.train.0.wieght": (5, "config.unknown_key"),
        "stage": (6, "config.not_yet"),
        "trainig": (7, "config.unknown_key"),
        "training.learning_rate": (9, "config.must_exceed"),
        "training.micro_batch_size": (10, "config.whole_number"),
        "training.schedule": (11, "config.choice_near"),
        "tuner.kind": (12, "config.choice_near"),
        "tuner.rank": (12, "config.whole_number"),
    }


def test_that_a_near_name_is_offered():
    with pytest.raises(Refused, match="Did you mean 'training'"):
        parse_config("name: x\nmodel: {path: /a}\ndata: {train: [{path: /b}]}\ntrainig: {}\n")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [1", "config.unreadable"),
        ("- a\n- b\n", "config.refused"),
        ("", "config.refused"),
        ("a: !!python/object/apply:os.system [echo]", "config.unreadable"),
        ("name: \x00", "config.unreadable"),
        ("&a [*a]", "config.refused"),
    ],
)
def test_that_what_is_no_config_is_refused_in_plain_words(text, code):
    with pytest.raises(Refused) as caught:
        parse_config(text)
    assert caught.value.code == code


def test_that_a_key_that_stands_twice_is_refused():
    assert problems_of("name: a\nname: b\nmodel: {path: /a}\ndata: {train: [{path: /b}]}\n")["name"][0] == 2


def test_that_another_version_is_refused_by_number():
    assert problems_of("version: 2\nname: x\n") == {"version": (1, "config.version")}


def test_that_an_import_is_no_config_of_a_training_run():
    assert problems_of("kind: import\n")["kind"][0] == 1


@pytest.mark.parametrize("kind", ["evaluate", "export", "study"])
def test_that_kinds_that_cannot_run_yet_are_refused_by_name(kind):
    assert problems_of(f"kind: {kind}\n") == {"kind": (1, "config.kind_not_yet")}
    spec = RunSpec(name="x", job=LaterJob(kind=kind))
    assert [problem.code for problem in check_spec(spec)] == ["config.kind_not_yet"]


def _not_executable() -> list[tuple[str, object]]:
    import typing

    found: list[tuple[str, object]] = []
    for group, model in groups().items():
        for name, field in model.model_fields.items():
            runnable = extra(field).get("executable")
            if runnable is None:
                continue
            choices = typing.get_args(field.annotation)
            others: list[object] = [choice for choice in choices if isinstance(choice, str) and choice not in runnable]
            if runnable in ([False], [True]):
                others = [not runnable[0]]
            elif runnable == [None]:
                others = ["something"]
            elif not choices:
                others = ["elsewhere"]
            found += [(f"{group}.{name}" if group else name, other) for other in others]
    return found


@pytest.mark.parametrize(("path", "value"), _not_executable())
def test_that_every_setting_that_cannot_run_yet_is_refused_by_name(path, value):
    document = {**BASE, "model": dict(BASE["model"])}
    group, _, name = path.rpartition(".")
    place = document.setdefault(group, {}) if group else document
    if group == "data":
        place = document["data"] = {**BASE["data"]}
    place[name] = value
    config, problems = check_document(document)
    assert [problem.field for problem in problems] == [path]
    assert problems[0].code in ("config.not_yet", "config.not_yet_set")
    assert "pytest" not in str(problems[0])
    assert config is not None


def test_that_unreadable_files_are_refused(tmp_path):
    binary, huge = tmp_path / "b.yaml", tmp_path / "h.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    huge.write_bytes(b"# " + b"x" * 1_100_000)
    for file, code in (
        (binary, "config.not_utf8"),
        (huge, "config.too_long"),
        (tmp_path / "none.yaml", "config.missing_file"),
        (tmp_path, "config.unreadable_file"),
    ):
        with pytest.raises(Refused) as caught:
            read_config(file)
        assert caught.value.code == code


def test_that_every_setting_has_a_label_a_sentence_and_known_limits():
    for group, model in groups().items():
        for name, field in model.model_fields.items():
            assert extra(field).get("label"), f"{group}.{name} has no label"
            assert (field.description or "").endswith("."), f"{group}.{name} has no sentence"


def test_that_relative_paths_are_meant_from_the_folder_of_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(
        "name: x\nmodel: {path: ../model}\ndata: {train: [{path: rows.jsonl}, {path: /a/b.jsonl}]}\n"
        "evaluation: {data: [{path: demo/held_out, hub: bundled}]}\n"
    )
    config = anchored(read_config(file), file.parent)
    assert config.model.path == str(tmp_path / "../model")
    assert [source.path for source in config.data.train] == [str(tmp_path / "rows.jsonl"), "/a/b.jsonl"]
    assert config.evaluation.data[0].path == "demo/held_out"
