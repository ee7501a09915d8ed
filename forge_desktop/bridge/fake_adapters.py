"""A library of adapters that exists nowhere: of several bases, brought in, gone, and made for other weights."""

from __future__ import annotations

import hashlib

from engine.contract.adapter_library import AdapterEntry
from engine.contract.lora_card import LoRACard
from forge_desktop.bridge.replay_adapters import ReplayAdapters

DAY = 86_400.0
LEAVES = (*(f"self_attn.{one}_proj" for one in "qkvo"), *(f"mlp.{one}_proj" for one in ("gate", "up", "down")))
OLD, NEW = "1c" * 32, "7e" * 32


def fill(backend: ReplayAdapters, at: float) -> list[AdapterEntry]:
    """Put the pretended adapters on the shelf, the newest first."""
    made = [
        _of_run("support-zh-v7", "Qwen/Qwen2.5-1.5B-Instruct", "support-tickets-zh", 16, 0.934, at - 900, step=1840),
        _of_run("sql-generator", "Qwen/Qwen2.5-1.5B-Instruct", "text-to-sql", 64, 0.871, at - 5 * 3600, tuner="dora"),
        _of_run("med-qa", "google/gemma-3-12b-it", "med-qa-instruct", 32, 0.792, at - DAY, step=5200),
        _of_run("legal-notes-with-a-rather-long-name", "meta-llama/Llama-3.2-3B", "legal-notes", 8, None, at - 2 * DAY),
        _of_run(
            "support-zh-v3", "Qwen/Qwen2.5-1.5B-Instruct", "support-tickets-zh", 16, 0.901, at - 9 * DAY, weights=OLD
        ),
        _brought("french-style", "Qwen/Qwen2.5-1.5B-Instruct", at - 12 * DAY),
        _of_run("dates-iso", "demo", "demo", 8, 1.0, at - 20 * DAY, missing=True),
    ]
    backend.shelf[:] = made
    return made


def _card(name: str, base: str, rank: int, tuner: str, weights: str, **more: object) -> LoRACard:
    targets = [f"model.layers.{layer}.{leaf}" for layer in range(28) for leaf in LEAVES]
    plain = {"name": name, "base_model": base, "base_hash": weights, "tuner": tuner, "rank": rank, "alpha": 2 * rank,
             "targets": targets, "dtype": "bf16", "file_hash": name.encode().hex().ljust(64, "0")[:64]}  # fmt: skip
    return LoRACard.model_validate({**plain, **more})


def _of_run(
    name: str, base: str, dataset: str, rank: int, score: float | None, created: float, step: int = 900,
    tuner: str = "lora", weights: str = NEW, missing: bool = False,
) -> AdapterEntry:  # fmt: skip
    card = _card(name, base, rank, tuner, weights, datasets={dataset: "5a" * 32}, metrics={"perplexity": 3.184},
                 scaling="rslora" if rank > 32 else "standard", rank_pattern={"o_proj": 8} if rank == 16 else {},
                 description=f"Answers as {name} taught it, in short sentences.")  # fmt: skip
    run = hashlib.sha256(name.encode()).hexdigest()[:12]
    folder = f"/home/lin/.forge/library/{run}"
    return AdapterEntry(
        id=f"{run}/7", origin="run", name=name, path=f"{folder}/adapter.lora.arrow", folder=f"{folder}/adapter",
        bytes=rank * 2_310_000, created=created, card=card, run=run, run_name=name, attempt=1, step=step, score=score,
        loss=0.41 if score is None else 1.3 - score, model=base, dataset=dataset, missing=missing,
    )  # fmt: skip


def _brought(name: str, base: str, created: float) -> AdapterEntry:
    card = _card(name, base, 8, "lora", NEW, licence="Apache-2.0", description="Répond en français, avec des exemples.",
                 storage_error=0.0123)  # fmt: skip
    card = card.model_copy(update={"dtype": "int8"})
    path = f"/home/lin/.forge/adapters/{card.file_hash[:12]}.lora.arrow"
    return AdapterEntry(id=card.file_hash, origin="import", name=name, path=path,
                        bytes=9_240_000, created=created, card=card, model=base)  # fmt: skip
