"""Adapters through helper queries, as `forge adapter` asks them."""

import json
import math
import shutil
from types import SimpleNamespace

import pytest
import torch
from lora_cases import DEMO, save_peft
from safetensors.torch import load_file
from test_lora_layers import logits

from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.injection import base_hash
from engine.compute.worker import adapter_file
from engine.compute.worker.queries import answer
from engine.contract.lora_card import LoRACard


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

    (tmp_path / ".model.making").mkdir()
    (tmp_path / ".model.making/model-00009.safetensors").write_text("of a merge that was cut off")
    asked("merge_adapters", paths=[folders["a"], folders["dora"]], to=tmp_path / "model", into=DEMO)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert merged.dtype == torch.bfloat16
    wanted = AutoModelForCausalLM.from_pretrained(DEMO).eval()
    for name in ("a", "dora"):
        merge_into(wanted, read_folder(folders[name]))
    assert torch.equal(logits(merged), logits(wanted))
    assert (tmp_path / "model/tokenizer.json").is_file()
    assert not (tmp_path / "model/model-00009.safetensors").exists()
    assert refused("merge_adapters", paths=[folders["a"]], to=tmp_path / "model", into=DEMO) == "lora.exists"


def test_that_one_named_twice_counts_twice(folders, tmp_path):
    made = asked("merge_adapters", paths=[folders["a"]] * 3, to=tmp_path / "thrice.arrow")
    (folder,) = {tmp_path / "once"}
    asked("write_adapter", path=folders["a"], to=folder)
    found = asked("compare_adapters", one=folder, other=tmp_path / "thrice.arrow")
    assert all(one["norms"][1] == pytest.approx(9 * one["norms"][0], rel=1e-5) for one in found["modules"])
    assert made["card"]["name"].count("a") >= 3
    code = refused("merge_adapters", paths=[folders["a"]] * 2, weights=[1.0], to=tmp_path / "x.arrow")
    assert code == "lora.merge_counts"


def test_that_a_name_too_long_leaves_no_file(folders, tmp_path):
    assert refused("write_adapter", path=folders["a"], to=tmp_path / "x.arrow", name="n" * 201) == "lora.card"
    assert list(tmp_path.iterdir()) == []


def test_that_a_run_whose_loss_is_no_number_gives_a_card_that_can_be_read():
    source = SimpleNamespace(hub="local", path="/data/rows.jsonl", version=None)
    job = SimpleNamespace(
        model=SimpleNamespace(path="/models/base", hub="local"), data=SimpleNamespace(train=[source]),
        outputs=SimpleNamespace(push=SimpleNamespace(licence="mit")),
    )  # fmt: skip
    order, metrics = SimpleNamespace(spec=SimpleNamespace(name="run"), run="r1"), {"loss": math.nan, "accuracy": 0.5}
    card = adapter_file._card(LoRACard(rank=2, alpha=4), order, job, DEMO, metrics)
    assert LoRACard.model_validate_json(card.model_dump_json()).metrics == {"accuracy": 0.5}


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


def test_that_a_description_takes_the_place_of_what_a_run_knew(folders, tmp_path):
    first, second, third = (tmp_path / f"{name}.lora.arrow" for name in "abc")
    asked("write_adapter", path=folders["a"], to=first)
    adapter = LoRAFormat.load(first)
    adapter.card = adapter.card.model_copy(update={"embedding": (0.5, 1.0)})
    LoRAFormat.save(adapter, second)
    asked("write_adapter", path=second, to=third, storage="bf16")
    assert LoRAFormat.load(third).card.embedding == (0.5, 1.0)
    third.unlink()
    asked("write_adapter", path=second, to=third, description="Recipes of noodles")
    assert LoRAFormat.load(third).card.embedding == ()  # an instance makes it of the description


@pytest.mark.parametrize("storage", ["int8", "int4"])
def test_that_a_copy_keeps_its_digits(folders, tmp_path, storage):
    first, again, plain = (tmp_path / f"{name}.lora.arrow" for name in "abc")
    made = asked("write_adapter", path=folders["a"], to=first, storage=storage)
    copied = asked("write_adapter", path=first, to=again, name="another", description="dates")
    assert (copied["card"]["dtype"], copied["card"]["name"]) == (storage, "another")
    assert copied["bytes"] < made["bytes"] * 1.1
    assert copied["card"]["storage_error"] == pytest.approx(made["card"]["storage_error"], rel=1e-3)
    before, after = (LoRAFormat.load(file).modules for file in (first, again))
    assert all(torch.allclose(before[path].a, after[path].a, rtol=1e-5) for path in before)
    assert asked("write_adapter", path=first, to=plain, storage="fp32")["card"]["dtype"] == "fp32"
