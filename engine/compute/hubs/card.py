"""The model card beside a result: what it is made of, in words and in the form hubs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.contract.hubs import HUBS
from engine.contract.reproduction import MANIFEST_FILE
from engine.contract.run_spec import RunSpec, TrainJob

CARD, ADAPTER = "README.md", "adapter_config.json"


def base_name(job: TrainJob) -> str:
    """The base model as others may know it: never a path of this computer."""
    return job.model.path if job.model.hub != "local" else Path(job.model.path).name


def card(spec: RunSpec, outputs: Path, licence: str) -> str:
    """The whole text. Of datasets it has names and fingerprints, never rows or places."""
    job = spec.job
    assert isinstance(job, TrainJob)
    manifest = _read(outputs / MANIFEST_FILE)
    adapter = (outputs / "adapter").is_dir()
    head: dict[str, Any] = {"library_name": "peft" if adapter else "transformers"}
    if licence:
        head["license"] = licence
    if job.model.hub in HUBS:
        head["base_model"] = job.model.path
    head["tags"] = [job.stage, job.tuner.kind]
    commit = f" at commit `{manifest['model_commit']}`" if manifest.get("model_commit") else ""
    lines = [
        "---", *(f"{name}: {json.dumps(value)}" for name, value in head.items()), "---", "", f"# {spec.name}", "",
        f"{'An adapter for' if adapter else 'A model trained from'} `{base_name(job)}`{commit}, stage `{job.stage}`, "
        f"method `{job.tuner.kind}`.", "",
        f"Fingerprint of the base model's files: `{manifest.get('model', '')}`", "", "## Data", "",
        "| dataset | rows | sha256 |", "|---|---|---|",
    ]  # fmt: skip
    for mark in manifest.get("data", []):
        name = Path(str(mark.get("name", ""))).name.replace("|", "/")
        lines.append(f"| {name} | {mark.get('rows', '')} | `{mark.get('sha256', '')}` |")
    named = f"`{licence}`" if licence else "Not named; the base model's licence holds for what is made of it."
    lines += ["", "## Licence", "", named, "", "## Settings", "", "| setting | value |", "|---|---|"]
    training = job.training
    shown = {
        "learning rate": training.learning_rate, "rows a step": training.micro_batch_size * training.accumulation,
        "optimiser": training.optimizer, "longest row": job.data.max_length, "seed": training.seed,
    }  # fmt: skip
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in shown.items())]) + "\n"


def adapter_config(folder: Path, base: str) -> bytes | None:
    """The adapter's config naming its base as others know it; None where there is no adapter."""
    found = _read(folder / ADAPTER)
    if not found:
        return None
    return (json.dumps({**found, "base_model_name_or_path": base}, indent=2) + "\n").encode()


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
