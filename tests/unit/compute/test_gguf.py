"""Files of llama.cpp hold the model's own numbers and say the same where it is there; what would differ is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader, dequantize
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from engine.compute.inference.base import load_model, load_tokenizer
from engine.compute.inference.gguf_files import write_adapter, write_base
from engine.compute.lora.peft_folder import read_folder
from engine.compute.worker.adapter_queries import write_gguf
from engine.contract.api import QueryRequest
from engine.contract.errors import UserError
from engine.contract.paths import resources_folder

FOLDER = resources_folder() / "demo" / "model"
ANSWER = 12


def tensors(path: Path) -> dict[str, np.ndarray]:
    """By their names, as fp32."""
    return {one.name: dequantize(one.data, one.tensor_type) for one in GGUFReader(path).tensors}


def field(path: Path, name: str) -> Any:
    """A word of its head."""
    return GGUFReader(path).fields[name].contents()


def llama(folder: Path) -> Path:
    """A small Llama with the demo's tokenizer."""
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, eos_token_id=2, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(FOLDER / name, folder)
    return folder


def adapter_of(folder: Path, base: Path, std: float = 0.2, **more: Any) -> Path:
    """One that changes something, of peft's."""
    torch.manual_seed(5)
    model = load_model(base, torch.float32, "auto", torch.device("cpu"))
    peft = get_peft_model(
        model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules="all-linear", **more)
    )
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=std)
    peft.save_pretrained(folder)
    return folder


def test_that_a_base_models_numbers_are_its_own(tmp_path: Path) -> None:
    made = write_base(FOLDER, tmp_path / "a.gguf", "f32")
    found = tensors(tmp_path / "a.gguf")
    assert made.tensors == len(found)
    theirs = load_file(FOLDER / "model.safetensors")
    assert np.array_equal(found["token_embd.weight"], theirs["model.embed_tokens.weight"].float().numpy())
    name = "model.layers.3.mlp.down_proj.weight"
    assert np.array_equal(found["blk.3.ffn_down.weight"], theirs[name].float().numpy())
    assert field(tmp_path / "a.gguf", "general.architecture") == "qwen3"
    assert field(tmp_path / "a.gguf", "qwen3.block_count") == 4
    assert len(field(tmp_path / "a.gguf", "tokenizer.ggml.tokens")) == 4096
    assert field(tmp_path / "a.gguf", "tokenizer.ggml.eos_token_id") == 2
    sizes = []
    for storage, error in (("bf16", 1e-2), ("f16", 1e-3), ("q8_0", 1e-2)):
        path = tmp_path / f"{storage}.gguf"
        sizes.append(write_base(FOLDER, path, storage).bytes)  # type: ignore[arg-type]
        one = tensors(path)["blk.0.attn_q.weight"]
        assert np.abs(one - found["blk.0.attn_q.weight"]).max() <= error * np.abs(one).max()
    assert sizes[0] == sizes[1] > sizes[2]


def test_that_an_adapters_product_is_its_change(tmp_path: Path) -> None:
    adapter = read_folder(adapter_of(tmp_path / "peft", FOLDER, use_rslora=True, rank_pattern={"q_proj": 2}))
    write_adapter(adapter, FOLDER, tmp_path / "a.gguf")
    found = tensors(tmp_path / "a.gguf")
    assert field(tmp_path / "a.gguf", "general.type") == "adapter"
    alpha = field(tmp_path / "a.gguf", "adapter.lora.alpha")
    for path, name in (
        ("model.layers.0.self_attn.q_proj", "blk.0.attn_q"),
        ("model.layers.3.mlp.up_proj", "blk.3.ffn_up"),
    ):
        a, b = found[f"{name}.weight.lora_a"], found[f"{name}.weight.lora_b"]
        change = (b @ a) * alpha / len(a)
        assert np.allclose(change, adapter.modules[path].delta().numpy(), atol=1e-5)


@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_that_llama_cpp_says_what_transformers_says(tmp_path: Path, family: str) -> None:
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not in the worker's environment")
    base = FOLDER if family == "qwen3" else llama(tmp_path / "model")
    tokenizer = load_tokenizer(FOLDER)
    ids = tokenizer("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    write_base(base, tmp_path / "base.gguf", "f32")
    peft = adapter_of(tmp_path / "peft", base)
    write_adapter(read_folder(peft), base, tmp_path / "adapter.gguf")
    for adapter in ("", str(tmp_path / "adapter.gguf")):
        model = load_model(base, torch.float32, "auto", torch.device("cpu"))
        if adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, peft)
        with torch.no_grad():
            theirs = model(input_ids=torch.tensor([ids])).logits[0, -1]
        made = llama_cpp.Llama(
            str(tmp_path / "base.gguf"), n_ctx=128, logits_all=True, verbose=False, lora_path=adapter or None
        )
        made.eval(ids)
        ours = torch.tensor(np.array(made.scores[len(ids) - 1]))
        assert torch.allclose(ours, theirs, atol=2e-2 * float(theirs.abs().max()))
        assert int(ours.argmax()) == int(theirs.argmax())


def test_that_what_would_differ_is_refused_by_name(tmp_path: Path) -> None:
    def asked(**params: Any) -> str:
        with pytest.raises(UserError) as caught:
            write_gguf(QueryRequest(kind="write_gguf", params=params))
        assert not list(tmp_path.glob("*.gguf*"))
        return caught.value.code

    to = str(tmp_path / "a.gguf")
    dora = adapter_of(tmp_path / "dora", FOLDER, use_dora=True)
    plain = adapter_of(tmp_path / "plain", FOLDER)
    assert asked(path=str(FOLDER), to=str(tmp_path / "a.bin")) == "gguf.name"
    assert asked(path=str(plain), to=to) == "gguf.no_base"
    assert asked(path=str(dora), to=to, base=str(FOLDER)) == "gguf.adapter"
    changed = tmp_path / "changed"
    shutil.copytree(FOLDER, changed)
    config = json.loads((changed / "config.json").read_bytes())
    for more, code in (
        ({"model_type": "mamba"}, "gguf.family"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}}, "gguf.rope"),
        ({"model_type": "mistral", "sliding_window": 512, "layer_types": None}, "gguf.window"),
        (
            {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1, "layer_types": None},
            "gguf.window",
        ),
        ({"layer_types": ["sliding_attention"] * 4, "sliding_window": 64}, "gguf.window"),
    ):
        (changed / "config.json").write_text(json.dumps({**config, **more}))
        assert asked(path=str(changed), to=to) == code
    (changed / "config.json").write_text(json.dumps(config))
    whole = json.loads((changed / "tokenizer.json").read_bytes())
    whole["model"]["type"] = "Unigram"
    (changed / "tokenizer.json").write_text(json.dumps(whole))
    assert asked(path=str(changed), to=to) == "gguf.tokenizer"
