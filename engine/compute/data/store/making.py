"""A version in the making: shards that are finished, where to go on, and the one rename that makes it a version.

The folder holds whole shards, parts of the problems, and `progress.json`, which names them and is written last: what it
does not name is of a process that did not live to finish it, and goes. So another attempt goes on from the last shard.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.compute.data.plain import row_hash
from engine.compute.data.rows import Record
from engine.compute.data.store.layout import (
    BATCH_BYTES,
    BATCH_ROWS,
    PROBLEMS,
    ROWS,
    SHARD_BYTES,
    SHARD_ROWS,
    version_hash,
)
from engine.compute.data.store.reader import Rows, is_version
from engine.compute.data.store.shards import ArrowFile, sha256_of
from engine.contract.data_format import Mapping
from engine.contract.datasets import MANIFEST, PROBLEMS_FILE, ROWS_FILE, Manifest, RowProblem, Shard
from engine.contract.durable import sweep, sync_folder, write_json
from engine.contract.faults import fault

PROGRESS = "progress.json"
PROBLEMS_PART = "problems-{number:05d}.part.arrow"
EXCERPT = 300
STATE_FILE = "state-{number:05d}.json"


@dataclass
class Progress:
    """What `progress.json` says."""

    shards: list[Shard] = field(default_factory=list)
    parts: list[Shard] = field(default_factory=list)
    """Of the problems."""
    state: dict[str, Any] = field(default_factory=dict)
    """What the import needs to go on."""


class Making:
    """Takes rows and problems in; `cut` makes what came so far last."""

    def __init__(self, folder: Path, key: str, shard_bytes: int = SHARD_BYTES, shard_rows: int = SHARD_ROWS) -> None:
        self.folder, self._key = folder, key
        self._limit = (shard_bytes, shard_rows)
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
        self.begins_anew = False
        """An earlier attempt left something that cannot be used."""
        self.progress = self._read()
        self._sweep()
        self.rows = sum(shard.rows for shard in self.progress.shards)
        self.counts: Counter[str] = Counter(self.progress.state.get("counts", {}))
        self._rows: ArrowFile | None = None
        self._problems: ArrowFile | None = None
        self._kept: Rows | None = None
        self._begin()

    def _begin(self) -> None:
        self._columns: list[list[Any]] = [[] for _ in ROWS]
        self._held: list[list[Any]] = [[] for _ in PROBLEMS]
        self._batch_bytes = self._shard_bytes = self._held_bytes = 0

    @property
    def goes_on(self) -> bool:
        """An earlier attempt left something."""
        return bool(self.progress.state)

    def add(self, file: int, line: int, content: str, characters: int) -> bytes:
        """Keep a row; its fingerprint."""
        fingerprint = row_hash(content)
        for values, value in zip(self._columns, (file, line, fingerprint, characters, content), strict=True):
            values.append(value)
        self._batch_bytes += len(content)
        self.rows += 1
        if len(self._columns[0]) >= BATCH_ROWS or self._batch_bytes >= BATCH_BYTES:
            self._flush_rows()
        return fingerprint

    def problem(self, problem: RowProblem, file: int) -> None:
        """Keep what is wrong."""
        self.counts[problem.kind] += 1
        row = -1 if problem.row is None else problem.row
        params = json.dumps(problem.params, ensure_ascii=False, default=str)
        fingerprint = bytes.fromhex(problem.hash) if problem.hash else None
        values = (
            row, file, problem.line, problem.kind, problem.severity, problem.code, problem.column, params,
            problem.excerpt, fingerprint,
        )  # fmt: skip
        for column, value in zip(self._held, values, strict=True):
            column.append(value)
        self._held_bytes += len(params) + len(problem.excerpt)
        if len(self._held[0]) >= BATCH_ROWS or self._held_bytes >= BATCH_BYTES:
            self._flush_problems()

    @property
    def full(self) -> bool:
        """The shard is large enough to be finished."""
        rows = (self._rows.rows if self._rows else 0) + len(self._columns[0])
        return self._shard_bytes + self._batch_bytes >= self._limit[0] or rows >= self._limit[1]

    def _flush_rows(self) -> None:
        if self._rows is None:
            self._rows = ArrowFile(self.folder / ROWS_FILE.format(number=len(self.progress.shards)), ROWS)
        self._rows.write(self._columns)
        self._shard_bytes += self._batch_bytes
        self._columns, self._batch_bytes = [[] for _ in ROWS], 0

    def _flush_problems(self) -> None:
        if self._problems is None:
            name = PROBLEMS_PART.format(number=len(self.progress.parts))
            self._problems = ArrowFile(self.folder / name, PROBLEMS)
        self._problems.write(self._held)
        self._held, self._held_bytes = [[] for _ in PROBLEMS], 0

    def cut(self, state: dict[str, Any], beside: Sequence[str] = ()) -> None:
        """Finish the shard; another attempt goes on from here with this state, and the files it names."""
        if self._columns[0]:
            self._flush_rows()
        if self._held[0]:
            self._flush_problems()
        if self._rows is not None:
            self.progress.shards.append(self._rows.finish())
        if self._problems is not None:
            self.progress.parts.append(self._problems.finish())
        self._rows = self._problems = None
        self._begin()
        fault("import.after_shard")
        self._write({**state, "counts": dict(self.counts)}, list(beside))
        fault("import.after_progress")

    def _write(self, state: dict[str, Any], beside: list[str]) -> None:
        """The state lies in a file of its own, which is written before it is named."""
        previous, left, self.progress.state = self._state_name, set(self._beside) - set(beside), state
        name = STATE_FILE.format(number=int(previous[6:11]) + 1 if previous else 0)
        write_json(self.folder / name, state)
        files = {
            "key": self._key,
            "shards": [shard.model_dump() for shard in self.progress.shards],
            "parts": [part.model_dump() for part in self.progress.parts],
            "state": name,
            "beside": beside,
        }
        write_json(self.folder / PROGRESS, files)
        self._state_name, self._beside = name, beside
        for gone in (previous, *left) if previous else left:
            (self.folder / gone).unlink(missing_ok=True)

    _state_name = ""
    _beside: Sequence[str] = ()

    def _read(self) -> Progress:
        """What an earlier attempt left, if all of it is whole and it was asked for the same."""
        try:
            found = json.loads((self.folder / PROGRESS).read_bytes())
            self.begins_anew = found["key"] != self._key
            if self.begins_anew:
                return Progress()
            shards, parts = ([Shard.model_validate(entry) for entry in found[name]] for name in ("shards", "parts"))
            state = json.loads((self.folder / found["state"]).read_bytes())
            if not all(sha256_of(self.folder / shard.name) == shard.sha256 for shard in [*shards, *parts]):
                self.begins_anew = True
                return Progress()
        except FileNotFoundError:
            return Progress()
        except (OSError, ValueError, KeyError, TypeError):
            self.begins_anew = True
            return Progress()
        self._state_name, self._beside = str(found["state"]), [Path(name).name for name in found["beside"]]
        return Progress(shards, parts, state)

    def _sweep(self) -> None:
        """Away with what no progress names."""
        sweep(self.folder)
        named = {PROGRESS, self._state_name, *self._beside} | {
            shard.name for shard in (*self.progress.shards, *self.progress.parts)
        }
        for path in self.folder.iterdir():
            if path.is_file() and path.name not in named:
                path.unlink(missing_ok=True)
        if not self.progress.state:
            (self.folder / PROGRESS).unlink(missing_ok=True)

    def close(self) -> None:
        """Let half made files go; what was cut stays for another attempt."""
        for file in (self._rows, self._problems):
            if file is not None:
                file.drop()
        self._rows = self._problems = None

    def _kept_rows(self) -> Rows:
        """Rows in shards that are finished."""
        if self._kept is None or len(self._kept) != sum(shard.rows for shard in self.progress.shards):
            self._kept = Rows(self.folder, self.progress.shards)
        return self._kept

    def rows_kept(self, begin: int) -> Iterator[tuple[int, Record]]:
        """Rows in finished shards from one on, each with its file."""
        return self._kept_rows().numbered(begin)

    def kept(self, row: int) -> tuple[int, bytes, str]:
        """File, fingerprint and beginning of one row."""
        batch = next(self._kept_rows().batches(row, row + 1))
        content = batch.column("content")[0].as_py()
        return batch.column("file")[0].as_py(), batch.column("hash")[0].as_py(), content[:EXCERPT]

    def fingerprint(self, form: str, mapping: Mapping) -> str:
        """The name of what was made."""
        return version_hash(form, mapping, self._hashes())

    def _hashes(self) -> Iterator[bytes]:
        return self._kept_rows().hashes()

    def finish(self, manifest: Manifest, datasets: Path) -> tuple[Path, bool]:
        """Put the version in its place; its folder, and whether it was there already."""
        target = datasets / manifest.hash
        if is_version(target):
            shutil.rmtree(self.folder)
            return target, True
        self._merge_problems()
        write_json(self.folder / MANIFEST, manifest.model_dump(mode="json"))
        fault("import.before_rename")
        shutil.rmtree(target, ignore_errors=True)  # one without a manifest: half deleted
        os.replace(self.folder, target)
        sync_folder(datasets)
        for name in [
            PROGRESS,
            self._state_name,
            *self._beside,
            *(part.name for part in self.progress.parts),
        ]:  # until now: to go on
            (target / name).unlink(missing_ok=True)
        return target, False

    def _merge_problems(self) -> None:
        whole = ArrowFile(self.folder / PROBLEMS_FILE, PROBLEMS)
        for part in self.progress.parts:
            with pa.memory_map(str(self.folder / part.name)) as source:
                file = pa.ipc.open_file(source)
                for number in range(file.num_record_batches):
                    whole.write_batch(file.get_batch(number))
        whole.finish()
