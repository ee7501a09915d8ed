"""The demo's model, preset and papers, looked at without loading any of it."""

import json
import math
import re
import struct

from engine.contract.bundled import MODELS, locate
from engine.contract.config_file import read_config
from engine.contract.paths import resources_folder

DEMO = resources_folder() / "demo"
MODEL = resources_folder() / MODELS["demo"]
PRESET = resources_folder() / "presets" / "demo.yaml"


def header() -> dict[str, dict]:
    """What the weights file says of its tensors."""
    with (MODEL / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        found = json.loads(file.read(length))
    return {name: tensor for name, tensor in found.items() if name != "__metadata__"}


def read(name: str) -> dict:
    return json.loads((MODEL / name).read_text(encoding="utf-8"))


def test_that_the_model_folder_is_small():
    assert sum(file.stat().st_size for file in MODEL.rglob("*") if file.is_file()) < 16_000_000


def test_that_the_model_has_three_to_six_million_parameters_in_bf16():
    tensors = header()
    assert 3_000_000 <= sum(math.prod(tensor["shape"]) for tensor in tensors.values()) <= 6_000_000
    assert {tensor["dtype"] for tensor in tensors.values()} == {"BF16"}


def test_that_the_config_agrees_with_the_weights():
    config = read("config.json")
    assert (config["model_type"], config["architectures"]) == ("qwen3", ["Qwen3ForCausalLM"])
    shape = header()["model.embed_tokens.weight"]["shape"]
    assert shape == [config["vocab_size"], config["hidden_size"]]


def test_that_the_tokenizer_fits_the_model_and_ends_turns_as_generation_expects():
    vocabulary = read("tokenizer.json")["model"]["vocab"]
    added = {token["content"]: token["id"] for token in read("tokenizer.json")["added_tokens"]}
    config, generation, settings = (read(f"{n}config.json") for n in ("", "generation_", "tokenizer_"))
    assert len(vocabulary | added) == config["vocab_size"]
    assert (settings["eos_token"], settings["pad_token"]) == ("<|im_end|>", "<|endoftext|>")
    for tokens in (config, generation):
        assert tokens["eos_token_id"] == added["<|im_end|>"]
        assert tokens["pad_token_id"] == added["<|endoftext|>"]


def test_that_no_two_digits_share_a_token():
    assert not [token for token in read("tokenizer.json")["model"]["vocab"] if re.search(r"\d.|.\d", token)]


def test_that_the_chat_template_is_chatml_and_marks_answers():
    template = (MODEL / "chat_template.jinja").read_text(encoding="utf-8")
    assert all(mark in template for mark in ("<|im_start|>", "<|im_end|>", "generation", "add_generation_prompt"))


def test_that_the_preset_parses_and_all_it_names_is_there():
    config = read_config(PRESET)
    sources = [config.model, *config.data.train, *config.data.validation, *config.evaluation.data]
    assert len(sources) == 4
    assert all((place := locate(source)) is not None and place.exists() for source in sources)


def test_that_the_preset_takes_at_least_a_hundred_steps():
    config = read_config(PRESET)
    rows = len(locate(config.data.train[0]).read_text(encoding="utf-8").splitlines())
    batch = config.training.micro_batch_size * config.training.accumulation
    assert rows * config.training.epochs / batch >= 100


def test_that_the_licence_list_names_every_text_and_what_is_made_from_it():
    text = (DEMO / "LICENSES.md").read_text(encoding="utf-8")
    for file in (DEMO / "recipe" / "texts").iterdir():
        assert file.name in text
    for word in ("sqlite3-doc", "unicode-cldr-core", "model/", "data/", "COPYRIGHT AND PERMISSION NOTICE"):
        assert word in text
