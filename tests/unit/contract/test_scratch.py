"""A model from scratch before anything starts: what is refused of its form, its sizes, its memory, its paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.contract.config_file import check_document, read_config, to_yaml
from engine.contract.errors import Refused
from engine.contract.estimate import estimate
from engine.contract.load import load_of
from engine.contract.network import network_of
from engine.contract.paths import resources_folder
from engine.contract.preflight import check_files, read_checked
from engine.contract.run_spec import RunConfig, TrainJob
from engine.contract.scratch import SIZES, ScratchConfig, preset
from engine.contract.scratch_shape import ARCHITECTURES, parameters_of, shape_of_job, vocabulary_of

DEMO = resources_folder() / "demo" / "model"


def document(scratch: Any = None, **groups: Any) -> dict[str, Any]:
    return {
        "name": "x", "stage": "pretrain", "tuner": {"kind": "full"}, "model": {"path": "mine", "hub": "scratch"},
        "data": {"train": [{"path": "demo", "hub": "bundled"}]},
        **({} if scratch is None else {"scratch": scratch}), **groups,
    }  # fmt: skip


def config(scratch: Any = None, **groups: Any) -> RunConfig:
    found, problems = check_document(document(scratch, **groups))
    assert problems == []
    assert found is not None
    return found


MOE, MLA = {"family": "qwen3_moe"}, {"family": "deepseek_v3"}


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        (document(stage="sft"), [("scratch.stage", "stage")]),
        (document(stage="dpo", tuner={"kind": "lora"}), [("scratch.stage", "stage"), ("scratch.tuner", "tuner.kind")]),
        (document(tuner={"kind": "freeze"}), [("scratch.tuner", "tuner.kind")]),
        (document({"hidden": 130}), [("scratch.heads", "scratch.heads")]),
        (document({"kv_heads": 3}), [("scratch.kv_heads", "scratch.kv_heads")]),
        (document({"kv_heads": 8}), [("scratch.kv_heads", "scratch.kv_heads")]),
        (document({"head_size": 33}), [("scratch.odd", "scratch.head_size")]),
        (document({**MOE, "experts": 4, "experts_per_token": 5}), [("scratch.experts", "scratch.experts_per_token")]),
        (document({**MLA, "dense_layers": 7}), [("scratch.dense_layers", "scratch.dense_layers")]),
        (document({**MLA, "rope_size": 15}), [("scratch.odd", "scratch.rope_size")]),
        (document({"context": 512}), [("scratch.context", "data.max_length")]),
        (document({"tokenizer": "folder"}), [("scratch.no_tokenizer", "scratch.tokenizer_path")]),
        (document({"vocabulary": 258}), [("scratch.vocabulary_bytes", "scratch.vocabulary")]),
        (
            document({"vocabulary": 8, "algorithm": "unigram", "special_tokens": list("abcdefgh")}),
            [("scratch.vocabulary_special", "scratch.vocabulary")],
        ),
        (document({"special_tokens": ["<e>", "<e>"]}), [("scratch.special_tokens", "scratch.special_tokens")]),
        (document({"special_tokens": []}), [("config.too_short", "scratch.special_tokens")]),
        (document({"family": "gpt5"}), [("config.choice", "scratch.family")]),
        (document({"hiden": 3}), [("config.unknown_key", "scratch.hiden")]),
    ],
)
def test_that_what_contradicts_itself_is_refused_by_field(wrong, codes):
    _config, problems = check_document(wrong)
    assert [(problem.code, problem.field) for problem in problems] == codes
    assert all(problem.fix for problem in problems)


def test_that_everything_wrong_is_said_at_once():
    _config, problems = check_document(document({"hidden": 130, **MOE, "experts_per_token": 9, "vocabulary": 20}))
    codes = {"scratch.heads", "scratch.experts", "scratch.vocabulary_bytes"}
    assert {problem.code for problem in problems} == codes


@pytest.mark.parametrize("form", [{"heads": 0}, {"heads": "many", "kv_heads": 3}, {"hidden": True}])
def test_that_a_value_that_is_wrong_by_itself_contradicts_nothing(form):
    _config, problems = check_document(document(form))
    assert [problem.field for problem in problems] == [f"scratch.{next(iter(form))}"]


def test_that_the_fix_is_one():
    for form, name in (
        ({"hidden": 132, "heads": 8}, "heads"),
        ({"kv_heads": 3}, "kv_heads"),
        ({"vocabulary": 9}, "vocabulary"),
    ):
        (problem,) = check_document(document(form))[1]
        fixed = problem.params.get("below", problem.params.get("least"))
        assert check_document(document({**form, name: fixed}))[1] == []


def test_that_a_base_model_leaves_the_form_alone():
    base = document({"hidden": 130}, model={"path": "demo", "hub": "bundled"}, stage="sft", tuner={"kind": "lora"})
    assert check_document(base)[1] == []


@pytest.mark.parametrize("family", ARCHITECTURES)
@pytest.mark.parametrize("size", SIZES)
def test_that_every_size_is_a_whole_form(family, size):
    found = config(preset(family, size))
    made = parameters_of(found.scratch, found.scratch.vocabulary)
    assert made.active <= made.total
    assert (made.active < made.total) == found.scratch.mixture


def test_that_a_config_goes_round(tmp_path):
    found = config({**MLA, "q_rank": 24, "tokenizer": "base", "tokenizer_path": "demo"})
    assert RunConfig.from_spec(found.to_spec()) == found
    (tmp_path / "run.yaml").write_text(to_yaml(found), encoding="utf-8")
    assert read_config(tmp_path / "run.yaml") == found


def test_that_memory_is_forecast_before_any_file_exists():
    jobs = [config(preset("llama", size)).to_spec().job for size in ("2m", "20m")]
    small, large = (estimate(shape_of_job(job), load_of(job, width=256)) for job in jobs if isinstance(job, TrainJob))
    assert small.parts["weights"] == 4 * parameters_of(ScratchConfig(), 4096).total
    assert large.parts["optimiser"] > small.parts["optimiser"] > 0
    base = config(model={"path": "demo", "hub": "bundled"}).to_spec().job
    assert isinstance(base, TrainJob)
    assert shape_of_job(base) is None


def test_that_the_vocabulary_is_the_tokenizers():
    assert vocabulary_of(ScratchConfig(vocabulary=777)) == 777
    ours, theirs = (
        vocabulary_of(ScratchConfig(tokenizer=kind, tokenizer_path=path))
        for kind, path in (("base", "demo"), ("folder", str(DEMO)))
    )
    assert ours == theirs is not None
    assert vocabulary_of(ScratchConfig(tokenizer="folder", tokenizer_path="/nowhere")) is None


def test_that_no_network_is_seen_for_a_model_that_is_made():
    assert network_of(config().to_spec())[0] == "network.nothing"


def test_that_a_folder_without_a_tokenizer_is_found_before_the_start(tmp_path):
    (tmp_path / "empty").mkdir()
    for kind, path, code in (
        ("folder", str(tmp_path / "empty"), "scratch.tokenizer_missing"),
        ("folder", str(tmp_path / "none"), "config.path_missing"),
        ("base", "nobody", "config.bundled_unknown"),
    ):
        spec = config({"tokenizer": kind, "tokenizer_path": path}).to_spec()
        assert [(one.code, one.field) for one in check_files(spec)] == [(code, "scratch.tokenizer_path")]
    assert check_files(config({"tokenizer": "folder", "tokenizer_path": str(DEMO)}).to_spec()) == []
    assert check_files(config().to_spec()) == []


def test_that_a_relative_folder_is_meant_from_the_file(tmp_path: Path):
    (tmp_path / "tok").mkdir()
    file = tmp_path / "run.yaml"
    file.write_text(to_yaml(config({"tokenizer": "folder", "tokenizer_path": "tok"})), encoding="utf-8")
    with pytest.raises(Refused) as refused:
        read_checked(file)
    assert [one.code for one in refused.value.problems] == ["scratch.tokenizer_missing"]
    (tmp_path / "tok" / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert read_checked(file).scratch.tokenizer_path == str(tmp_path / "tok")
