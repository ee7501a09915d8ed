"""Which version of a dataset of the library a run means, settled when the run is made; what cannot be meant is refused.

Imports are settled here too: they work on this computer, and read uploads and versions that are there.
"""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from engine.contract.data import DataSource
from engine.contract.datasets import ImportJob
from engine.contract.errors import Problem, Refused
from engine.contract.nodes import LOCAL
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.control.jobs.scheduler import AUTO
from engine.control.store import datasets, uploads

LIBRARY = "library"
SHORTEST = 6
"""Digits of a fingerprint that stand for the whole."""
LISTED = 12


def settled(connection: sqlite3.Connection, spec: RunSpec) -> tuple[RunSpec, list[Problem]]:
    """The order with every version written out, and what is wrong with what it names."""
    job = spec.job
    if isinstance(job, ImportJob):
        return _settled_import(connection, spec, job)
    if isinstance(job, SampleJob):
        source, found = pinned(connection, job.source, "source")
        return spec.model_copy(update={"job": job.model_copy(update={"source": source})}), found
    if not isinstance(job, TrainJob):
        return spec, []
    problems: list[Problem] = []

    def pin(sources: Sequence[DataSource], field: str) -> list[DataSource]:
        found = [pinned(connection, source, f"{field}.{index}") for index, source in enumerate(sources)]
        problems.extend(problem for _source, wrong in found for problem in wrong)
        return [source for source, _wrong in found]

    data = {"train": pin(job.data.train, "data.train"), "validation": pin(job.data.validation, "data.validation")}
    held_out = pin(job.evaluation.data, "evaluation.data")
    if all(source.hub != LIBRARY for source in (*job.data.train, *job.data.validation, *job.evaluation.data)):
        return spec, problems
    changed = job.model_copy(
        update={
            "data": job.data.model_copy(update=data),
            "evaluation": job.evaluation.model_copy(update={"data": held_out}),
        }
    )
    return spec.model_copy(update={"job": changed}), problems


def refused_unless_settled(connection: sqlite3.Connection, spec: RunSpec) -> RunSpec:
    """The same; Refused with every problem."""
    found, problems = settled(connection, spec)
    if problems:
        raise Refused("config.refused", count=len(problems), problems=problems)
    return found


def pinned(connection: sqlite3.Connection, source: DataSource, field: str) -> tuple[DataSource, list[Problem]]:
    """A source of the library with its version: the one it names, else the newest."""
    if source.hub != LIBRARY:
        if source.version is not None:
            return source, [Problem(code="config.version_without_library", field=f"{field}.version")]
        return source, []
    row = datasets.find(connection, source.path)
    if row is None:
        if source.version and datasets.is_kept(connection, source.version):  # it was renamed since
            return source, []
        return source, [unknown(connection, source.path, f"{field}.path")]
    rows = datasets.version_rows(connection, row["id"])
    named = {"path": row["name"]}
    if not rows:
        return source, [Problem(code="config.dataset_empty", field=f"{field}.path", params={"value": row["name"]})]
    if not source.version:
        return source.model_copy(update={**named, "version": rows[0]["hash"]}), []
    meant = meant_version(rows, source.version)
    if meant is not None:
        return source.model_copy(update={**named, "version": meant["hash"]}), []
    if datasets.is_kept(connection, source.version):
        return source, []
    params = {"value": row["name"], "version": source.version[:64], "known": known_versions(rows)}
    return source, [Problem(code="config.dataset_version", field=f"{field}.version", params=params)]


def meant_version(rows: Sequence[sqlite3.Row], version: str) -> sqlite3.Row | None:
    """By its fingerprint, its number (`3`, `v3`), or the only fingerprint that begins so."""
    text = version.strip().lower()
    exact = [row for row in rows if row["hash"] == text or str(row["n"]) == text.removeprefix("v")]
    if exact:
        return exact[0]
    begun = {row["hash"]: row for row in rows if len(text) >= SHORTEST and row["hash"].startswith(text)}
    return next(iter(begun.values())) if len(begun) == 1 else None


def known_versions(rows: Sequence[sqlite3.Row]) -> str:
    """For people: numbers and the beginnings of fingerprints."""
    shown = ", ".join(f"{row['n']} ({row['hash'][:12]})" for row in rows[:LISTED])
    return shown + (" …" if len(rows) > LISTED else "")


def unknown(connection: sqlite3.Connection, name: str, field: str) -> Problem:
    """There is no such dataset; perhaps another was meant."""
    near = nearest(datasets.names(connection), name)
    if near is not None:
        return Problem(code="config.dataset_near", field=field, params={"value": name[:120], "near": near})
    return Problem(code="config.dataset_unknown", field=field, params={"value": name[:120]})


def nearest(names: Sequence[str], name: str) -> str | None:
    """The name that was probably meant."""
    by_fold = {datasets.folded(one): one for one in names}
    found = difflib.get_close_matches(datasets.folded(name), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def pinned_query(connection: sqlite3.Connection, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a helper query, a dataset of the library in them with its version."""
    plain = params.get("source")
    if not isinstance(plain, dict) or plain.get("hub") != LIBRARY or not isinstance(plain.get("path"), str):
        return params
    known = {name: plain[name] for name in ("path", "hub", "version") if name in plain}
    try:
        asked = DataSource.model_validate(known)
    except ValidationError:
        return params  # the helper says what is wrong with it
    source, problems = pinned(connection, asked, "source")
    if problems:
        raise Refused("config.refused", count=len(problems), problems=problems)
    return {**params, "source": {**plain, "path": source.path, "version": source.version}}


def _settled_import(connection: sqlite3.Connection, spec: RunSpec, job: ImportJob) -> tuple[RunSpec, list[Problem]]:
    place, problems = spec.compute, list(_misplaced(spec))
    if place.node == AUTO and not problems:
        spec = spec.model_copy(update={"compute": place.model_copy(update={"node": LOCAL})})
    kind, named = job.source.kind, job.source.place
    if kind == "upload":
        problems += _upload_problems(connection, named)
    if kind == "version" and not datasets.is_kept(connection, named):
        problems.append(_no_version(named, "source.place"))
    for index, fingerprint in enumerate(job.checks.against):
        if not datasets.is_kept(connection, fingerprint):
            problems.append(_no_version(fingerprint, f"checks.against.{index}"))
    return spec, problems


def _misplaced(spec: RunSpec) -> Iterator[Problem]:
    """An import that is to work where the library is not."""
    place = spec.compute
    if place.node not in (AUTO, LOCAL):
        yield Problem(code="config.import_elsewhere", field="compute.node", params={"value": place.node})
    elif place.executor == "docker":
        yield Problem(code="config.import_elsewhere", field="compute.executor", params={"value": place.executor})


def _upload_problems(connection: sqlite3.Connection, uid: str) -> Iterator[Problem]:
    row = uploads.find(connection, uid)
    if row is None:
        yield Problem(code="config.upload_unknown", field="source.place", params={"value": uid[:64]})
    elif not row["complete"]:
        params = {"value": row["name"], "received": row["received"], "bytes": row["bytes"]}
        yield Problem(code="config.upload_open", field="source.place", params=params)


def _no_version(fingerprint: str, field: str) -> Problem:
    return Problem(code="config.version_unknown", field=field, params={"version": fingerprint[:64]})
