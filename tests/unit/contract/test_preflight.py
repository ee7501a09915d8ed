"""Missing and unusable files are found before anything starts."""

from __future__ import annotations

import pytest

from engine.contract.preflight import check_files
from engine.contract.run_spec import RunConfig


def codes(model: dict, data: dict) -> list[tuple[str, str]]:
    config = RunConfig.model_validate({"name": "x", "model": model, "data": {"train": [data]}})
    return [(problem.field, problem.code) for problem in check_files(config.to_spec())]


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "a"}\n')
    return {"path": str(file)}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def test_that_a_whole_model_and_a_file_with_rows_pass(model, rows):
    assert codes({"path": str(model)}, rows) == []


def test_that_each_missing_part_of_a_model_is_named(model, rows):
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (model / name).unlink()
    assert {code for _field, code in codes({"path": str(model)}, rows)} == {
        "config.model_without_config",
        "config.model_without_tokenizer",
        "config.model_without_weights",
    }


def test_that_pickled_weights_are_refused(model, rows):
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_text("x")
    assert codes({"path": str(model)}, rows) == [("model.path", "config.model_pickled")]


def test_that_missing_relative_and_empty_paths_are_refused(model, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    whole = {"path": str(model)}
    assert codes(whole, {"path": str(tmp_path / "no")}) == [("data.train.0.path", "config.path_missing")]
    assert codes(whole, {"path": "rows.jsonl"}) == [("data.train.0.path", "config.absolute_path")]
    assert codes(whole, {"path": str(tmp_path / "empty.jsonl")}) == [("data.train.0.path", "config.file_empty")]
    assert codes(whole, {"path": "/" + "x" * 4000}) == [("data.train.0.path", "config.path_missing")]
    assert codes(whole, {"path": "nothing", "hub": "bundled"}) == [("data.train.0.path", "config.bundled_unknown")]
