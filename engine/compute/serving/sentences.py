"""A sentence-embedding model that a router compares texts with, in place of the base model's own hidden states.

`sentence-transformers` computes it. A folder may name code of its own as a module, and weights may be pickles: neither
is opened, so both are looked for before the library sees the folder.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from engine.compute.inference.folder import pickled_weights
from engine.compute.passing import in_passing
from engine.contract.errors import UserError

PACKAGE, INSTALL = "sentence_transformers", "sentence-transformers"
LIBRARY = f"{PACKAGE}."
QUERY = "query"
DESCRIBING = ("document", "passage")
"""Names of the prompts that models have for what is asked, and for what is found."""


class Sentences:
    """Vectors of texts."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Load it. Raises UserError: the folder, or what it needs, is not there."""
        check_sentences(folder)
        self._model = in_passing(lambda: _loaded(folder, device))
        prompts: dict[str, str] = self._model.prompts or {}
        self._asking = prompts.get(QUERY, "")
        self._telling = next((prompts[name] for name in DESCRIBING if prompts.get(name)), "")

    def of_request(self, text: str) -> tuple[float, ...]:
        """A text somebody asks with."""
        return self._vector(text, self._asking)

    def of_description(self, text: str) -> tuple[float, ...]:
        """What an adapter says of itself."""
        return self._vector(text, self._telling)

    def _vector(self, text: str, prompt: str) -> tuple[float, ...]:
        def work() -> Any:
            return self._model.encode(text, prompt=prompt, show_progress_bar=False)

        return tuple(map(float, in_passing(work)))


def check_sentences(folder: Path) -> None:
    """Refuse a folder that is no sentence-embedding model, or that would run code."""
    if find_spec(PACKAGE) is None:
        raise UserError("serve.no_sentences", package=INSTALL)
    if not folder.is_dir():
        raise UserError("serve.route_model", path=str(folder), detail="There is no such folder.")
    modules = folder / "modules.json"
    try:
        listed = json.loads(modules.read_text(encoding="utf-8")) if modules.is_file() else []
        named = [(str(one["type"]), str(one.get("path", ""))) for one in listed]
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise UserError("serve.route_model", path=str(folder), detail=f"modules.json: {error}") from error
    if not named:
        raise UserError("serve.route_model", path=str(folder), detail="It has no modules.json.")
    for kind, path in named:
        if not kind.startswith(LIBRARY):
            raise UserError("serve.route_model", path=str(folder), detail=f"{kind} is code of its own.")
        part = (folder / path).resolve()
        if not part.is_relative_to(folder.resolve()):
            raise UserError("serve.route_model", path=str(folder), detail=f"{path} lies outside of it.")
        if part.is_dir() and (pickled := pickled_weights(part)) and not any(part.glob("*.safetensors")):
            raise UserError("model.pickled", path=str(part), found=", ".join(pickled[:3]))


def _loaded(folder: Path, device: torch.device) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(
            str(folder), device=str(device), local_files_only=True, trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError, RuntimeError) as error:
        raise UserError("serve.route_model", path=str(folder), detail=str(error)[:500]) from error
