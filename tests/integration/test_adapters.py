"""`forge adapter` with the worker's own environment: convert, inspect, verify, quantize, shrink, merge, diff."""

import json
import os
import struct

import numpy as np
import pytest

from engine.cli.__main__ import main

STEM = "base_model.model.model.layers.{layer}.self_attn.{name}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    if not os.environ.get("FORGE_WORKER_PYTHON"):
        pytest.skip("needs the worker's environment")
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def write_peft(folder, seed: int, rank: int = 4):
    """A folder as peft writes it, for the bundled model."""
    chance, tensors = np.random.default_rng(seed), {}
    for layer in range(4):
        for name, out in (("q_proj", 256), ("v_proj", 128)):
            stem = STEM.format(layer=layer, name=name)
            tensors[f"{stem}.lora_A.weight"] = chance.normal(size=(rank, 256)).astype("<f4")
            tensors[f"{stem}.lora_B.weight"] = (0.1 * chance.normal(size=(out, rank))).astype("<f4")
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [end, end + values.nbytes]}
        end += values.nbytes
    head = json.dumps(header).encode()
    folder.mkdir()
    whole = struct.pack("<Q", len(head)) + head + b"".join(values.tobytes() for values in tensors.values())
    (folder / "adapter_model.safetensors").write_bytes(whole)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 8}
    config |= {"target_modules": ["q_proj", "v_proj"], "base_model_name_or_path": "someone/base"}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def forge(capsys, *arguments: str):
    """The exit code and what was printed as JSON."""
    code = main(["adapter", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_that_adapters_are_worked_with_from_the_command_line(tmp_path, capsys):
    write_peft(tmp_path / "a", 1)
    write_peft(tmp_path / "b", 2)
    code, made = forge(capsys, "convert", "a", "a.lora.arrow", "--description", "dates", "--licence", "MIT")
    assert (code, made["form"], made["card"]["base_model"], len(made["modules"])) == (0, "file", "someone/base", 8)

    assert main(["adapter", "inspect", "a.lora.arrow", "--modules"]) == 0
    text = capsys.readouterr().out
    assert "someone/base" in text
    assert "model.layers.3.self_attn.v_proj" in text

    whole = bytearray((tmp_path / "a.lora.arrow").read_bytes())
    whole[len(whole) // 2] ^= 1
    (tmp_path / "bad.lora.arrow").write_bytes(whole)
    assert forge(capsys, "verify", "a.lora.arrow")[0] == 0
    code, said = forge(capsys, "verify", "bad.lora.arrow")
    assert (code, said["error"]["code"]) == (1, "lora.tampered")

    code, said = forge(capsys, "convert", "a", "a.lora.arrow")
    assert (code, said["error"]["code"]) == (5, "lora.exists")
    code, small = forge(capsys, "quantize", "a", "small.lora.arrow", "--storage", "int4")
    assert (code, small["card"]["dtype"]) == (0, "int4")
    assert small["bytes"] < made["bytes"] / 3

    code, both = forge(capsys, "merge", "a", "b", "--to", "ab", "--method", "cat", "--weights", "0.5", "0.5")
    assert (code, both["form"], {one["rank"] for one in both["modules"]}) == (0, "folder", {8})
    code, less = forge(capsys, "shrink", "ab", "less.lora.arrow", "--error", "0.8")
    assert code == 0
    assert 0 < max(less["errors"].values()) <= 0.8
    code, apart = forge(capsys, "diff", "a", "ab")
    assert (code, len(apart["modules"])) == (0, 8)
    assert all(0.5 < one["cosine"] < 1 for one in apart["modules"])


def test_that_an_adapter_that_is_not_there_is_said_so(capsys):
    code, said = forge(capsys, "inspect", "nothing")
    assert (code, said["error"]["code"]) == (3, "lora.missing")
