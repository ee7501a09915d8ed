"""The teacher of a run: what is refused of it, by field, before anything starts; its memory and its network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.contract.config_file import check_document, read_config, to_yaml
from engine.contract.errors import Refused
from engine.contract.estimate import estimate
from engine.contract.load import load_of
from engine.contract.model_shape import read_shape
from engine.contract.network import models_of, network_of
from engine.contract.paths import resources_folder
from engine.contract.preflight import check_files, read_checked
from engine.contract.run_spec import RunConfig, TrainJob
from engine.contract.vocabulary import difference

DEMO = resources_folder() / "demo" / "model"


def document(teacher: Any = None, **groups: Any) -> dict[str, Any]:
    return {
        "name": "x", "stage": "gkd", "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo", "hub": "bundled"}]},
        **({} if teacher is None else {"teacher": teacher}), **groups,
    }  # fmt: skip


def config(teacher: Any, **groups: Any) -> RunConfig:
    found, problems = check_document(document(teacher, **groups))
    assert problems == []
    assert found is not None
    return found


ITSELF = {"path": "demo", "hub": "bundled"}


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        (document(), [("teacher.none", "teacher.path")]),
        (document({"path": ""}), [("teacher.none", "teacher.path")]),
        (document(ITSELF), [("teacher.itself", "teacher.path")]),
        (document({"path": "/t", "beta": 1.5}), [("config.too_large", "teacher.beta")]),
        (document({"path": "/t", "temperature": 0}), [("config.too_small", "teacher.temperature")]),
        (document({"path": 3}), [("config.text", "teacher.path")]),
        (document("demo"), [("config.group", "teacher")]),
        (document({"path": "/t"}, objective={"loss": "jsb"}), [("config.choice_near", "objective.loss")]),
        (document({"path": "/t"}, objective={"loss": "nll"}), [("config.stage_loss", "objective.loss")]),
    ],
)
def test_that_what_is_wrong_with_a_teacher_is_refused_by_field(wrong: dict[str, Any], codes: list[Any]) -> None:
    assert [(problem.code, problem.field) for problem in check_document(wrong)[1]] == codes


def test_that_a_model_may_teach_itself_what_it_lost_or_what_an_adapter_knows() -> None:
    assert config({**ITSELF, "adapter": "/a"})
    assert config(ITSELF, tuner={"kind": "qlora"})
    assert check_document({**document(), "stage": "sft"})[1] == []  # nobody else needs one


def test_that_it_comes_back_from_its_order_and_from_its_file(tmp_path: Path) -> None:
    made = config({"path": "t", "adapter": "a", "beta": 0.1, "lmbda": 1.0, "seq_kd": True})
    assert RunConfig.from_spec(made.to_spec()) == made
    (tmp_path / "x.yaml").write_text(to_yaml(made))
    assert read_config(tmp_path / "x.yaml") == made


def other(folder: Path, **tokens: int) -> Path:
    """The demo model, with more tokens."""
    made = folder / "other"
    shutil.copytree(DEMO, made)
    file = made / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["added_tokens"] += [{**content["added_tokens"][-1], "content": name, "id": n} for name, n in tokens.items()]
    file.write_text(json.dumps(content), encoding="utf-8")
    return made


def test_that_a_teacher_of_another_vocabulary_is_refused_before_the_start(tmp_path: Path) -> None:
    strange = other(tmp_path, bonjour=90_000)
    spec = config({"path": str(strange)}).to_spec()
    (problem,) = check_files(spec)
    assert (problem.code, problem.field) == ("teacher.vocabulary", "teacher.path")
    assert "tokens against" in problem.params["detail"]
    (tmp_path / "x.yaml").write_text(to_yaml(config({"path": "other"})))
    with pytest.raises(Refused) as refused:
        read_checked(tmp_path / "x.yaml")
    assert [found.code for found in refused.value.problems] == ["teacher.vocabulary"]


def test_that_the_same_vocabulary_may_be_written_otherwise(tmp_path: Path) -> None:
    same = other(tmp_path)  # the same tokens in a file of other bytes
    assert (same / "tokenizer.json").read_bytes() != (DEMO / "tokenizer.json").read_bytes()
    assert difference(DEMO, same) == ""
    assert check_files(config({"path": str(same)}).to_spec()) == []


def test_that_files_that_are_missing_are_named(tmp_path: Path) -> None:
    gone = config({"path": "/nowhere", "adapter": str(tmp_path)}).to_spec()
    assert [(found.code, found.field) for found in check_files(gone)] == [
        ("config.path_missing", "teacher.path"), ("teacher.adapter_unfit", "teacher.adapter"),
    ]  # fmt: skip
    hub = config({"path": "no id at all", "hub": "huggingface"}).to_spec()
    assert [(found.code, found.field) for found in check_files(hub)] == [("config.hub_id", "teacher.path")]


def test_that_it_counts_in_the_forecast_and_for_the_network() -> None:
    shape = read_shape(DEMO)
    assert shape is not None
    spec = config({"path": "org/big", "hub": "huggingface"}).to_spec()
    assert isinstance(spec.job, TrainJob)
    alone, taught = (estimate(shape, load_of(spec.job, width=64, teacher=one)).parts for one in (None, shape))
    assert taught["weights"] - alone["weights"] == shape.parameters * 4
    plain = estimate(shape, load_of(spec.job.model_copy(update={"stage": "sft"}), width=64)).parts
    assert alone["logits"] > plain["logits"]
    assert network_of(spec)[0] == "network.hub"
    assert [source.path for source in models_of(spec.job)] == ["demo", "org/big"]
    assert network_of(spec.model_copy(update={"job": spec.job.model_copy(update={"stage": "sft"})}))[0] != "network.hub"
