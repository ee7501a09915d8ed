"""Model folders that are not whole, not honest or not models: refused by name before anything in them is run."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch

from engine.compute.inference.base import load_model, load_tokenizer, model_folder
from engine.compute.worker.queries import answer
from engine.contract.api import QueryRequest
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self):
        return Path.touch, (self.flag,)


def lay_trap(folder: Path, *names: str) -> Path:
    flag = folder.parent / "sprung"
    for name in names:
        (folder / name).write_bytes(pickle.dumps(Trap(flag)))
    pickle.loads((folder / names[0]).read_bytes())  # it works
    assert flag.exists()
    flag.unlink()
    return flag


def load(folder: Path):
    """Everything a run does with a base model."""
    found = model_folder(ModelConfig(path=str(folder)))
    tokenizer = load_tokenizer(found)
    return tokenizer, load_model(found, torch.float32, "auto", torch.device("cpu"))


def refusal(folder: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        load(folder)
    error = caught.value
    assert error.what
    assert error.fix
    assert "\n" not in error.why
    return error


def shown(folder: Path) -> list[str]:
    """What the wizard is told."""
    found = answer(QueryRequest(kind="inspect_model", params={"path": str(folder)}).model_dump_json())
    return [found.error.code] if found.error else [problem["code"] for problem in found.result["problems"]]


def drop(*names: str) -> Callable[[Path], object]:
    return lambda folder: [(folder / name).unlink() for name in names]


def edit_config(**changes: object) -> Callable[[Path], object]:
    def work(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return work


def cut(name: str, share: float) -> Callable[[Path], object]:
    def work(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return work


def header(content: object, body: bytes = b"\0" * 64) -> Callable[[Path], object]:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda folder: (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + body)


def index(places: object) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.safetensors.index.json").write_text(json.dumps(places))


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def entry(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


SPOILED: dict[str, tuple[Callable[[Path], object], str, str | None]] = {
    "no weights": (drop("model.safetensors"), "model.no_weights", "config.model_without_weights"),
    "no config": (drop("config.json"), "model.no_config", "model.no_config"),
    "no tokenizer": (
        drop("tokenizer.json", "tokenizer_config.json"),
        "model.no_tokenizer",
        "config.model_without_tokenizer",
    ),
    "a config that is no JSON": (text("config.json", "{nope"), "model.bad_json", "model.bad_json"),
    "a config that is a list": (text("config.json", "[]"), "model.bad_json", "model.bad_json"),
    "a config nested deeply": (text("config.json", "[" * 100_000), "model.bad_json", "model.bad_json"),
    "a config of zeros": (text("config.json", "\0" * 500), "model.bad_json", "model.bad_json"),
    "an unknown architecture": (edit_config(model_type="mammoth"), "model.unknown_architecture", None),
    "no architecture": (edit_config(model_type=None), "model.unknown_architecture", None),
    "code of its own": (
        edit_config(model_type="mammoth", auto_map={"AutoModelForCausalLM": "modeling.Trap"}),
        "model.own_code",
        None,
    ),
    "an encoder": (edit_config(architectures=["BertModel"]), "model.not_causal", "model.not_causal"),
    "other shapes": (edit_config(hidden_size=64), "model.weights_incomplete", None),
    "more layers": (
        edit_config(num_hidden_layers=3, layer_types=["full_attention"] * 3),
        "model.weights_incomplete",
        None,
    ),
    "layers that contradict themselves": (edit_config(num_hidden_layers=3), "model.bad_config", None),
    "sizes that are no numbers": (edit_config(hidden_size="wide"), "model.bad_config", None),
    "weights cut at the end": (cut("model.safetensors", 0.9), "model.bad_safetensors", "model.bad_safetensors"),
    "weights cut in the header": (cut("model.safetensors", 0.001), "model.bad_safetensors", "model.bad_safetensors"),
    "empty weights": (text("model.safetensors", ""), "model.bad_safetensors", "model.bad_safetensors"),
    "weights that are a web page": (
        text("model.safetensors", "<html>" * 99),
        "model.bad_safetensors",
        "model.bad_safetensors",
    ),
    "a header that is a list": (header([1]), "model.bad_safetensors", "model.bad_safetensors"),
    "a header that is no JSON": (header(b"{{{{"), "model.bad_safetensors", "model.bad_safetensors"),
    "a header nested deeply": (header(b"[" * 100_000), "model.bad_safetensors", "model.bad_safetensors"),
    "a tensor without a shape": (header({"a": {}}), "model.bad_safetensors", "model.bad_safetensors"),
    "a tensor that is no group": (header({"a": 7}), "model.bad_safetensors", "model.bad_safetensors"),
    "a tensor of another size": (header(entry([99], [0, 64])), "model.bad_safetensors", "model.bad_safetensors"),
    "a tensor before the file": (header(entry([32], [-64, 64])), "model.bad_safetensors", "model.bad_safetensors"),
    "a missing shard": (
        index({"weight_map": {"a": "model-00002-of-00002.safetensors"}}),
        "model.missing_shards",
        "model.missing_shards",
    ),
    "a shard above": (index({"weight_map": {"a": "../x.safetensors"}}), "model.shards_outside", "model.shards_outside"),
    "a shard anywhere": (
        index({"weight_map": {"a": "/etc/passwd"}}),
        "model.shards_outside",
        "model.shards_outside",
    ),
    "an index that is a list": (index([]), "model.bad_json", "model.bad_json"),
    "an index without a map": (index({"weight_map": []}), "model.bad_index", "model.bad_index"),
    "a damaged tokenizer": (cut("tokenizer.json", 0.5), "model.bad_tokenizer_file", "model.bad_tokenizer_file"),
    "a tokenizer of another kind": (text("tokenizer.json", "{}"), "model.bad_tokenizer", None),
}


@pytest.mark.parametrize("name", SPOILED)
def test_that_a_spoiled_model_is_refused_by_name(folder, name):
    spoil, code, told = SPOILED[name]
    spoil(folder)
    error = refusal(folder)
    assert code in (error.code, *(problem.code for problem in error.problems)), error.text
    if told is not None:
        assert told in shown(folder)
    for problem in error.problems:
        assert problem.fix
        assert problem.field == "model.path"


def test_that_all_problems_of_a_model_are_listed_at_once(folder):
    cut("model.safetensors", 0.9)(folder)
    index({"weight_map": {"a": "gone.safetensors", "b": "../b.safetensors"}})(folder)
    edit_config(architectures=["BertModel"])(folder)
    expected = ["model.bad_safetensors", "model.shards_outside", "model.missing_shards", "model.not_causal"]
    error = refusal(folder)
    assert (error.code, [problem.code for problem in error.problems]) == ("model.refused", expected)
    assert shown(folder) == expected


def test_that_a_tokenizer_with_more_tokens_than_the_model_is_refused(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["mammoth"] = 300
    path.write_text(json.dumps(content))
    (problem,) = refusal(folder).problems
    assert (problem.code, problem.params) == ("model.vocabulary_too_large", {"tokens": 301, "rows": 260})
    assert shown(folder) == ["model.vocabulary_too_large"]


def test_that_pickled_weights_are_refused_by_name_and_never_run(folder):
    drop("model.safetensors")(folder)
    flag = lay_trap(folder, "pytorch_model.bin")
    error = refusal(folder)
    assert (error.code, error.params["found"]) == ("model.pickled", "pytorch_model.bin")
    assert shown(folder) == ["config.model_pickled"]
    with pytest.raises(UserError):  # nor where the folder was not looked at before
        load_model(folder, torch.float32, "auto", torch.device("cpu"))
    assert not flag.exists()


def test_that_pickles_beside_safetensors_are_left_alone(folder):
    names = ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "adapter_model.bin", "tokenizer.pkl", "rng.pth")
    flag = lay_trap(folder, *names)
    tokenizer, model = load(folder)
    assert model.config.model_type == "qwen3"
    assert len(tokenizer) == tiny.VOCABULARY - 1
    assert not flag.exists()


def test_that_a_models_own_code_is_never_run(folder):
    flag = folder.parent / "ran"
    for name in ("modeling.py", "configuration.py", "tokenization.py"):
        (folder / name).write_text(f"from pathlib import Path\nPath({str(flag)!r}).touch()\nclass Own: pass\n")
    own = {"AutoConfig": "configuration.Own", "AutoModelForCausalLM": "modeling.Own"}
    edit_config(auto_map=own)(folder)
    path = folder / "tokenizer_config.json"
    auto = {"AutoTokenizer": ["tokenization.Own", None]}
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": auto}))
    load(folder)  # transformers knows the architecture: the code is not needed
    edit_config(model_type="mammoth")(folder)
    assert refusal(folder).code == "model.own_code"
    assert not flag.exists()
