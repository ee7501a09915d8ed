"""What a draft comes to, as figures: what will be downloaded, trained, measured and kept."""

from __future__ import annotations

from dataclasses import dataclass

from engine.contract.stream import Resources
from forge_desktop.models.draft_model import DraftModel


@dataclass(frozen=True)
class Plan:
    """None where it is not known; nothing here is guessed."""

    steps: int | None
    rows: int | None
    tokens: int | None
    """Seen in the whole run, from the mean of the measured rows."""
    parameters: int | None
    trained: int | None
    download: int | None
    """Bytes of weights a hub would send, at two bytes a parameter; 0: nothing."""
    device: str
    precision: str
    """What `auto` comes to where that is known; empty: not known."""


def plan_of(draft: DraftModel, now: Resources | None) -> Plan:
    """Put together from what is known by now."""
    steps, rows, a_row, config = draft.steps(), draft.rows(), draft.tokens_a_row(), draft.config
    tokens = None
    if steps is not None and a_row is not None and config is not None and len(config.data.train) == 1:
        tokens = round(steps * config.training.micro_batch_size * config.training.accumulation * a_row)
        if rows is not None and config.training.max_steps is None:
            tokens = round(rows * config.training.epochs * a_row)
    listed = draft.listed
    whole = draft.model_facts.get("parameters") or (listed.size.parameters if listed else None)
    hub = draft.get("model.hub")
    download = 0 if hub in ("local", "bundled", "scratch") else listed.size.weight_bytes() if listed else None
    gpu = now.names.get("gpu0", "") if now is not None and draft.get("compute.gpus") != 0 else ""
    device = gpu or (now.names.get("cpu", "") if now is not None else "")
    return Plan(
        steps=steps,
        rows=rows,
        tokens=tokens,
        parameters=whole if isinstance(whole, int) else None,
        trained=draft.trained_parameters(),
        download=download,
        device=device,
        precision=_precision(str(draft.get("training.precision")), now, bool(gpu)),
    )


def _precision(wanted: str, now: Resources | None, gpu: bool) -> str:
    """On a processor `auto` is fp32; on a GPU the worker decides by what the GPU can do."""
    if wanted != "auto":
        return wanted
    return "fp32" if now is not None and not gpu else ""
