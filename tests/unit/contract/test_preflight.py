"""Missing and unusable files are found before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from engine.contract.paths import code_root, expanded
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
    assert codes(whole, {"path": "/" + "x" * 4000}) == [("data.train.0.path", "config.path_unreadable")]
    assert codes(whole, {"path": "nothing", "hub": "bundled"}) == [("data.train.0.path", "config.bundled_unknown")]


def test_that_the_home_of_nobody_is_a_path_like_any_other(model, rows, tmp_path):
    wrong = {"path": "~nobody-of-this-name/model"}
    assert codes(wrong, {"path": "~nobody-of-this-name/rows.jsonl"}) == [
        ("model.path", "config.absolute_path"),
        ("data.train.0.path", "config.absolute_path"),
    ]
    assert expanded("~/x") == Path.home() / "x"
    assert expanded("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")


def test_that_what_is_no_dataset_is_named_before_a_run_is_made(model, tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "rows.xlsx").write_text("x")
    (tmp_path / "gone.jsonl").symlink_to("/nowhere")
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    (tmp_path / "empty").mkdir()
    expected = {
        "pipe.jsonl": "config.not_a_file",
        "rows.xlsx": "config.data_unknown_file",
        "gone.jsonl": "config.dangling_link",
        "loop.jsonl": "config.path_unreadable",
        "empty": "config.data_empty_folder",
    }
    for name, code in expected.items():
        assert codes({"path": str(model)}, {"path": str(tmp_path / name)}) == [("data.train.0.path", code)]


def test_that_a_file_in_place_of_a_model_is_one_problem(rows):
    assert codes({"path": rows["path"]}, rows) == [("model.path", "config.model_not_a_folder")]


AS_NOBODY = """
import os, sys
from engine.contract.preflight import check_files
from engine.contract.run_spec import RunConfig
os.setgroups([]); os.setgid(65534); os.setuid(65534)  # now: the interpreter may lie where others cannot read
document = {"name": "x", "model": {"path": sys.argv[1]}, "data": {"train": [{"path": sys.argv[2]}]}}
config = RunConfig.model_validate(document)
print(*(problem.code for problem in check_files(config.to_spec())))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_that_files_of_somebody_else_are_problems_and_no_crash():
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "model").mkdir(mode=0o700)
        (folder / "rows.jsonl").write_text("{}")
        (folder / "rows.jsonl").chmod(0o600)
        for model in (folder / "model", folder / "model" / "inner"):
            command = [sys.executable, "-c", AS_NOBODY, str(model), str(folder / "rows.jsonl")]
            done = subprocess.run(command, capture_output=True, text=True, cwd=code_root())
            assert done.stdout.split() == ["config.path_unreadable"] * 2, done.stderr
