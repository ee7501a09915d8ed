"""A reward model as a reward: what the stage `reward` left, asked about question and answer together."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from engine.compute.data.questions import Answer, Asked
from engine.compute.data.templates import Template, choose_template
from engine.compute.data.tokenise import Encoded
from engine.compute.inference.base import load_model, load_tokenizer, padding_token
from engine.compute.training.batches import collate
from engine.compute.training.scores import scores_of
from engine.contract.errors import UserError
from engine.contract.paths import expanded

ADAPTER, TEMPLATE = "adapter_config.json", "chat_template.jinja"
ROWS = 16
"""That are scored at once."""


class ModelReward:
    """The score a reward model gives."""

    def __init__(self, path: str, base: Path, device: torch.device) -> None:
        """`base`: the model of the run, which an adapter belongs to unless it names another that is there."""
        self._path, self._device = expanded(path), device
        try:
            self._model, tokenizer, source = self._loaded(base)
        except UserError:
            raise
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise UserError("rewards.model_failed", path=path, detail=str(error)[:300]) from error
        self._model.eval().requires_grad_(False)
        self._pad = padding_token(tokenizer)
        self._model.config.get_text_config().pad_token_id = self._pad
        self._template: Template = choose_template(tokenizer, "auto", source)

    def _loaded(self, base: Path) -> tuple[Any, Any, str | None]:
        folder, template = self._path, self._path / TEMPLATE
        source = template.read_text(encoding="utf-8") if template.is_file() else None
        if not (folder / ADAPTER).is_file():
            if not (folder / "config.json").is_file():
                raise UserError("rewards.model_failed", path=str(folder), detail="There is no model in it.")
            return self._load(folder), load_tokenizer(folder), source
        if not (folder / "adapter_model.safetensors").is_file():
            raise UserError("rewards.model_failed", path=str(folder), detail="adapter_model.safetensors is missing.")
        from peft import PeftModel

        config = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
        if config.get("task_type") != "SEQ_CLS":
            raise UserError("rewards.model_failed", path=str(folder), detail="The adapter writes text, no scores.")
        named = Path(str(config.get("base_model_name_or_path") or ""))
        under = named if (named / "config.json").is_file() else base
        return PeftModel.from_pretrained(self._load(under), str(folder)), load_tokenizer(under), source

    def _load(self, folder: Path) -> Any:
        kind = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        return load_model(folder, kind, "auto", self._device, scores=True)

    @property
    def bytes(self) -> int:
        """Of its weights."""
        return sum(one.numel() * one.element_size() for one in self._model.parameters())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def score(self, asked: Asked, answers: Sequence[Answer]) -> list[float | None]:
        """Of question and answer together."""
        texts = [
            self._template.render((*asked.turns, {"role": "assistant", "content": one.text})) for one in answers
        ]  # fmt: skip
        found = list[float | None]()
        for at in range(0, len(texts), ROWS):
            ids = self._template.tokenizer(texts[at : at + ROWS], add_special_tokens=False)["input_ids"]
            rows = [Encoded(array("i", row), array("b", [0] * len(row))) for row in ids]
            batch = {name: tensor.to(self._device) for name, tensor in collate(rows, self._pad, 1).items()}
            found += scores_of(self._model, batch).tolist()
        return found

    def close(self) -> None:
        """Nothing is open."""
