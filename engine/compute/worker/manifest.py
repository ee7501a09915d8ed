"""What an attempt's losses depend on, told once the model's files are read: with it a run can be done again exactly."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from engine.compute.data.row_set import RowSet
from engine.contract.events import MAX_LINE_BYTES
from engine.contract.paths import code_root
from engine.contract.processor import processor_name
from engine.contract.reproduction import IMAGE_VARIABLE, DataMark, RunManifest
from engine.contract.run_spec import TrainJob

FORMS = 2_000
"""Bytes of a journal line that are not packages."""


def of_program(job: TrainJob) -> RunManifest:
    """What can be told without model and rows, and without torch."""
    return RunManifest(
        packages=packages(),
        python=platform.python_version(),
        platform=platform.platform(),
        processor=processor_name(),
        driver=driver(),
        threads_from=_threads_from(job),
        image=os.environ.get(IMAGE_VARIABLE, ""),
        code=code(),
    )


def _threads_from(job: TrainJob) -> str:
    if job.training.threads:
        return f"training.threads {job.training.threads}"
    named = os.environ.get("OMP_NUM_THREADS")
    if named:
        return f"OMP_NUM_THREADS {named}"
    return f"cores {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}"


def of_job(job: TrainJob) -> str:
    """Fingerprint of what was asked for, whatever is kept of it, and whatever the run is called."""
    plain = job.model_dump(mode="json", exclude={"forensics", "outputs", "checkpoints"})
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def of_rows(groups: Iterable[tuple[RowSet, float]], names: Sequence[str]) -> list[DataMark]:
    """A fingerprint of each source's training rows."""
    made = list[DataMark]()
    for place, (rows, weight) in enumerate(groups):
        whole = hashlib.sha256()
        for piece in rows.describe(weight):
            whole.update(piece)
        name = names[place] if place < len(names) else "self_cognition"
        made.append(DataMark(name=name[-200:], rows=len(rows), sha256=whole.hexdigest()))
    return made


def of_order(batches: Iterable[Sequence[int]]) -> str:
    """Fingerprint of the rows of an epoch as they come."""
    whole = hashlib.sha256()
    for rows in batches:
        whole.update(np.asarray(rows, dtype="<i8").tobytes() + b"|")
    return whole.hexdigest()


def packages() -> dict[str, str]:
    """Everything that is installed beside the worker."""
    found = dict[str, str]()
    for one in importlib.metadata.distributions():
        name = one.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), one.version)
    return dict(sorted(found.items()))


@lru_cache(maxsize=1)
def driver() -> str:
    """Of NVIDIA's GPUs; empty where there are none."""
    try:
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except Exception:  # noqa: BLE001 - NVML is not there, or not fit
        return ""


@lru_cache(maxsize=1)
def code() -> str:
    """Of the modules a worker is made of."""
    whole, root = hashlib.sha256(), code_root() / "engine"
    for room in ("compute", "contract"):
        for path in sorted((root / room).rglob("*.py")):
            whole.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def fits_line(manifest: RunManifest) -> RunManifest:
    """The same, short enough for a line of the journal: of very many packages those that do not reckon are left out,
    and of sources with long names the last ones."""
    if _fits(manifest):
        return manifest
    from engine.contract.reproduction import NUMERIC_PACKAGES

    kept = {
        name: version
        for name, version in manifest.packages.items()
        if name in NUMERIC_PACKAGES or name.startswith("nvidia")
    }
    whole = hashlib.sha256(json.dumps(manifest.packages, sort_keys=True).encode()).hexdigest()[:16]
    shorter = manifest.model_copy(update={"packages": {**kept, "(all)": whole}, "data": manifest.data[:20]})
    while shorter.data and not _fits(shorter):
        shorter = shorter.model_copy(update={"data": shorter.data[:-1]})
    return shorter


def _fits(manifest: RunManifest) -> bool:
    return len(manifest.model_dump_json().encode()) + FORMS < MAX_LINE_BYTES
