"""What transformers, tokenizers, safetensors and hubs say when a model cannot be had or used."""

from __future__ import annotations

import json
import os
import shutil
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from engine.contract.paths import resources_folder

DEMO = resources_folder() / "demo" / "model"


def _model(**changes: object) -> str:
    shutil.copytree(DEMO, "model")
    file = Path("model/config.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return "model"


def _load(folder: str, **options: object) -> object:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, **options)


def weights_header_too_large() -> None:
    """A page of HTML in the place of weights."""
    folder = _model()
    Path(folder, "model.safetensors").write_text("<!DOCTYPE html><html><body>404</body></html>")
    _load(folder)


def weights_cut() -> None:
    """Weights whose download broke off."""
    folder = _model()
    file = Path(folder, "model.safetensors")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    _load(folder)


def weights_of_git_lfs() -> None:
    """A pointer of git-lfs in the place of weights."""
    from safetensors import safe_open

    head = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    Path("model.safetensors").write_bytes(struct.pack("<Q", 8) + head)
    safe_open("model.safetensors", "pt")


def weights_not_there() -> None:
    """A folder with a config and no weights."""
    folder = _model()
    Path(folder, "model.safetensors").unlink()
    _load(folder)


def architecture_unknown() -> None:
    """A model newer than the library."""
    _load(_model(model_type="qwen9_moe", architectures=["Qwen9ForCausalLM"]))


def architecture_not_causal() -> None:
    """An encoder where a model that writes is wanted."""
    _load(_model(model_type="vit", architectures=["ViTModel"]))


def own_code() -> None:
    """A model that brings Python of its own."""
    folder = _model(model_type="mine", auto_map={"AutoConfig": "configuration_mine.MineConfig",
                                               "AutoModelForCausalLM": "modeling_mine.MineModel"})  # fmt: skip
    Path(folder, "configuration_mine.py").write_text("class MineConfig: pass\n")
    _load(folder)


def flash_attention_absent() -> None:
    """FlashAttention is asked for where its package is not installed."""
    _load(_model(), attn_implementation="flash_attention_2")


def attention_unsupported() -> None:
    """An attention that the architecture does not have."""
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

    class Old(PreTrainedModel):
        config_class = PretrainedConfig
        _supports_sdpa = False

        def __init__(self, config: PretrainedConfig) -> None:
            super().__init__(config)
            self.layer = torch.nn.Linear(2, 2)

    config = PretrainedConfig()
    config._attn_implementation = "sdpa"
    Old(config)


def bitsandbytes_absent() -> None:
    """4-bit weights without the package that computes with them."""
    from transformers import BitsAndBytesConfig

    _load(_model(), quantization_config=BitsAndBytesConfig(load_in_4bit=True))


def _tokenizer() -> object:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(DEMO))


def tokenizer_file_newer() -> None:
    """A tokenizer.json of a form the installed library does not know."""
    from tokenizers import Tokenizer

    content = json.loads(Path(DEMO, "tokenizer.json").read_text())
    content["model"]["merges"] = [{"left": "a", "right": "b"}]
    Path("tokenizer.json").write_text(json.dumps(content))
    Tokenizer.from_file("tokenizer.json")


def no_padding_token() -> None:
    """Rows of several lengths, and nothing to fill them up with."""
    tokenizer = _tokenizer()
    tokenizer.pad_token = None
    tokenizer(["a", "a b c d"], padding=True)


def ragged_rows() -> None:
    """Rows of several lengths made into one tensor."""
    _tokenizer()(["a", "a b c d e f"], return_tensors="pt", padding=False)


def roles_do_not_alternate() -> None:
    """A template that wants questions and answers in turn."""
    tokenizer = _tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
        "{% endif %}{{ m['content'] }}{% endfor %}"
    )
    tokenizer.apply_chat_template([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])


def no_template() -> None:
    """A tokenizer without a chat template is given a conversation."""
    tokenizer = _tokenizer()
    tokenizer.chat_template = None
    tokenizer.apply_chat_template([{"role": "user", "content": "a"}])


class _Busy(BaseHTTPRequestHandler):
    """A hub that answers everything with one status."""

    status = 429

    def do_GET(self) -> None:
        """Refuse."""
        self.send_response(self.status)
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def _ask_hub(status: int) -> None:
    from huggingface_hub import hf_hub_download

    handler = type("Answers", (_Busy,), {"status": status})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_HUB_OFFLINE"] = "0"
    import huggingface_hub.constants as constants

    constants.HF_HUB_OFFLINE = False
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        hf_hub_download("demo-owner/demo-model", "config.json", endpoint=address, cache_dir="cache")
    finally:
        server.shutdown()
        server.server_close()


def hub_too_many_requests() -> None:
    """A hub that is asked too often."""
    _ask_hub(429)


def hub_gateway() -> None:
    """A proxy in front of a hub that does not reach it."""
    _ask_hub(502)


def hub_offline() -> None:
    """A model that is not here, while hubs may not be asked."""
    _load("demo-owner/demo-model")
