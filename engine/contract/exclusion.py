"""A run's dataset without some of its rows: the import that makes it, and the config that learns from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.contract.bundled import locate
from engine.contract.data import DataSource
from engine.contract.data_format import Mapping
from engine.contract.dataset_names import LONGEST, name_from
from engine.contract.datasets import CheckOptions, ImportJob, ImportSource, Repair
from engine.contract.forensics_api import RowKey
from engine.contract.run_spec import RunConfig, RunSpec

NO_CHECKS = CheckOptions(near_duplicates=None, private=False, languages=False)
"""The rows were learned from already; what is wrong with them was said when they came."""


def by_source(keys: Iterable[RowKey], sources: int) -> dict[int, list[int]]:
    """The lines that are meant of each dataset; what the model says about itself cannot be left out."""
    found = dict[int, list[int]]()
    for key in keys:
        if key.source < sources:
            found.setdefault(key.source, []).append(key.line)
    return found


def dataset_name(source: DataSource) -> str:
    """Where the rows that stay will lie: a version of the library becomes another version of its dataset."""
    if source.hub == "library":
        return source.path
    return name_from(source.path) or "rows"


def import_without(source: DataSource, hashes: Sequence[str], run: str) -> RunSpec:
    """The import that makes a version without these rows, and without others of the same content."""
    if source.hub == "library":
        place = ImportSource(kind="version", place=source.version or "")
    else:
        found = locate(source)
        place = ImportSource(kind="path", place=str(found) if found is not None else source.path)
    job = ImportJob(
        dataset=dataset_name(source), source=place, format=source.format if source.format != "auto" else "auto",
        mapping=source.mapping if source.mapping != Mapping() else Mapping(),
        repairs=[Repair(kind="exclude", rows=sorted(set(hashes)))], checks=NO_CHECKS,
    )  # fmt: skip
    name = f"{dataset_name(source)} without {len(set(hashes))} rows of {run}"[:LONGEST]
    return RunSpec(name=name, job=job, tags=[])


def config_without(config: RunConfig, versions: dict[int, tuple[str, str]]) -> RunConfig:
    """The same config on the versions that were made: source to dataset and version."""
    train = [
        one.model_copy(update={"hub": "library", "path": versions[place][0], "version": versions[place][1]})
        if place in versions
        else one
        for place, one in enumerate(config.data.train)
    ]
    return config.model_copy(update={"data": config.data.model_copy(update={"train": train})})
