"""A run's adapter as one file that can be mapped, beside peft's folder, with a card that says what it is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.compute.lora.injection import base_hash
from engine.compute.lora.peft_folder import read_folder
from engine.compute.worker.artifacts import fingerprint_of
from engine.compute.worker.reporter import Reporter
from engine.contract.data import DataSource
from engine.contract.errors import UserError
from engine.contract.events import MAX_LINE_BYTES
from engine.contract.lora_card import SUFFIX, LoRACard
from engine.contract.run_spec import AttemptOrder, TrainJob

FILE = f"adapter{SUFFIX}"


def write_adapter_file(
    order: AttemptOrder, job: TrainJob, base: Path, outputs: Path, step: int, metrics: Mapping[str, float],
    report: Reporter, purpose: Callable[[], tuple[float, ...]] = tuple,
) -> None:  # fmt: skip
    """Beside `outputs/adapter`; one that the file cannot represent stays a folder, with a note that says why.

    `purpose` tells what it was trained on, as the base model sees it.
    """
    if not (outputs / "adapter").is_dir():
        return
    from engine.compute.lora.format import LoRAFormat  # pyarrow starts a thread: a spare worker must have none

    target = outputs / FILE
    try:
        adapter = read_folder(outputs / "adapter")
        adapter.card = _card(adapter.card, order, job, base, metrics).model_copy(update={"embedding": purpose()})
        target.unlink(missing_ok=True)  # of an attempt that was cut off before it could tell
        card = LoRAFormat.save(adapter, target)
    except UserError as error:
        body = error.body()
        report.note("lora.folder_only", detail=" ".join(filter(None, (body.what, body.why))))
        return
    found = fingerprint_of(target)
    report.saved(
        artifact="adapter_file", path=f"outputs/{FILE}", step=step, bytes=found.bytes, sha256=found.sha256,
        card=card_line(card),
    )  # fmt: skip


def card_line(card: LoRACard) -> dict[str, Any]:
    """What of a card stands in a line of the journal: what is short, and of the rest what fits. The file has all."""
    plain = card.model_dump(mode="json", exclude={"targets", "embedding"}, exclude_defaults=True)
    for name in ("rank_pattern", "alpha_pattern", "datasets", "metrics"):
        if len(json.dumps(plain)) <= MAX_LINE_BYTES // 2:
            break
        plain.pop(name, None)
    return plain


def _card(card: LoRACard, order: AttemptOrder, job: TrainJob, base: Path, metrics: Mapping[str, float]) -> LoRACard:
    """What the run knows of it."""
    name = job.model.path if job.model.hub != "local" else job.model.path.rstrip("/").rpartition("/")[2]
    return card.model_copy(
        update={
            "name": order.spec.name, "base_model": name, "base_hash": base_hash(base), "run": order.run,
            "metrics": {key: value for key, value in metrics.items() if math.isfinite(value)},
            "licence": job.outputs.push.licence,
            "datasets": {_name(source): source.version or "" for source in job.data.train},
        }
    )  # fmt: skip


def _name(source: DataSource) -> str:
    return source.path.rstrip("/").rpartition("/")[2] if source.hub == "local" else source.path
