"""Adapters through helper queries, as `forge adapter` asks them."""

import json
import shutil

import pytest
import torch
from lora_cases import DEMO, save_peft
from safetensors.torch import load_file
from test_lora_layers import logits

from engine.compute.lora.injection import base_hash
from engine.compute.worker.queries import answer


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    made = {name: save_peft(folder / name, "plain", seed) for seed, name in enumerate("ab")}
    made["dora"] = save_peft(folder / "dora", "dora", 3)
    return made


def asked(kind: str, **params) -> dict:
    found = answer(json.dumps({"kind": kind, "params": {name: _plain(value) for name, value in params.items()}}))
    assert found.error is None, found.error
    return found.result


def refused(kind: str, **params) -> str:
    found = answer(json.dumps({"kind": kind, "params": {name: _plain(value) for name, value in params.items()}}))
    assert found.error is not None
    return found.error.code


def _plain(value):
    return [str(one) for one in value] if isinstance(value, list) and not isinstance(value[0], float) else (
        value if isinstance(value, int | float | list | type(None)) else str(value)
    )  # fmt: skip


def test_that_an_adapter_becomes_a_file_and_a_folder_again(folders, tmp_path):
    file, back = tmp_path / "a.lora.arrow", tmp_path / "back"
    made = asked("write_adapter", path=folders["a"], to=file, base=DEMO, description="dates", licence="MIT")
    assert (made["form"], made["card"]["dtype"], made["card"]["licence"]) == ("file", "fp32", "MIT")
    assert made["card"]["base_hash"] == base_hash(DEMO)
    asked("write_adapter", path=file, to=back)
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (folders["a"], back))
    assert all(torch.equal(before[name], after[name]) for name in before)
    seen = asked("inspect_adapter", path=file, verify=True, base=DEMO)
    assert seen["verified"]
    assert {module["rank"] for module in seen["modules"]} == {4}
    assert str(DEMO) not in json.dumps(seen["card"])


def test_that_another_base_is_found_out(folders, tmp_path, model):
    assert refused("inspect_adapter", path=folders["a"], verify=True, base=model) == "lora.unfit"
    asked("write_adapter", path=folders["a"], to=tmp_path / "a.arrow", base=DEMO)
    assert refused("inspect_adapter", path=tmp_path / "a.arrow", base=model) == "lora.foreign_base"


@pytest.mark.parametrize("storage", ["int8", "int4", "bf16"])
def test_that_digits_are_taken_away_with_a_stated_error(folders, tmp_path, storage):
    made = asked("write_adapter", path=folders["dora"], to=tmp_path / "a.arrow", storage=storage)
    assert 0 < made["card"]["storage_error"] < 0.2
    assert made["bytes"] < asked("inspect_adapter", path=folders["dora"])["bytes"]


def test_that_a_folder_takes_half_precision_but_no_quantised_matrices(folders, tmp_path):
    asked("write_adapter", path=folders["a"], to=tmp_path / "half", storage="fp16")
    assert {one.dtype for one in load_file(tmp_path / "half/adapter_model.safetensors").values()} == {torch.float16}
    assert refused("write_adapter", path=folders["a"], to=tmp_path / "q", storage="int8") == "lora.folder_storage"


def test_that_shrinking_says_the_error_of_each_module(folders, tmp_path):
    made = asked("write_adapter", path=folders["a"], to=tmp_path / "a.arrow", error=0.7)
    assert 0 < max(made["errors"].values()) <= 0.7
    assert min(module["rank"] for module in made["modules"]) < 4


def test_that_two_become_one(folders, tmp_path):
    paths = [folders["a"], folders["b"]]
    made = asked("merge_adapters", paths=paths, to=tmp_path / "ab.arrow", method="cat", weights=[0.5, 0.25])
    assert made["card"]["name"] == "a + b"
    assert {module["rank"] for module in made["modules"]} == {8}
    found = asked("compare_adapters", one=folders["a"], other=tmp_path / "ab.arrow")
    assert all(0.5 < module["cosine"] < 1 for module in found["modules"])
    assert asked("compare_adapters", one=folders["a"], other=folders["dora"])["only_one"] != []


def test_that_adapters_are_merged_into_a_model_that_stands_alone(folders, tmp_path):
    from transformers import AutoModelForCausalLM

    from engine.compute.lora.merging import merge_into
    from engine.compute.lora.peft_folder import read_folder

    asked("merge_adapters", paths=[folders["a"], folders["dora"]], to=tmp_path / "model", into=DEMO)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert merged.dtype == torch.bfloat16
    wanted = AutoModelForCausalLM.from_pretrained(DEMO).eval()
    for name in ("a", "dora"):
        merge_into(wanted, read_folder(folders[name]))
    assert torch.equal(logits(merged), logits(wanted))
    assert (tmp_path / "model/tokenizer.json").is_file()
    assert refused("merge_adapters", paths=[folders["a"]], to=tmp_path / "model", into=DEMO) == "lora.exists"


def test_that_bad_orders_are_refused(folders, tmp_path):
    shutil.copytree(folders["a"], tmp_path / "bad")
    (tmp_path / "bad/adapter_config.json").write_text(json.dumps({"peft_type": "IA3"}))
    assert refused("inspect_adapter", path=tmp_path / "bad") == "lora.kind"
    assert refused("inspect_adapter", path=tmp_path / "none") == "lora.missing"
    assert refused("write_adapter", path=folders["a"], to=tmp_path / "x", error=2.0) == "query.invalid"
    assert refused("merge_adapters", paths=[folders["a"]], to=tmp_path / "x", method="mean") == "query.invalid"
    assert refused("write_adapter", path=folders["a"], to=folders["b"]) == "lora.exists"
    into = {"paths": [folders["a"]], "to": tmp_path / "m", "into": tmp_path}
    assert refused("merge_adapters", **into) == "model.no_config"
