"""Results and checkpoints that workers named in their journals, and where each of them lies."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract.api import ArtifactInfo, CheckpointInfo
from engine.contract.events import ArtifactSaved, CheckpointSaved
from engine.contract.paths import Home
from engine.control.store import events, lineage
from engine.control.store.database import Transaction

CHECKPOINT = "checkpoint"
_FROM = "FROM artifact JOIN attempt ON attempt.id = artifact.attempt_id WHERE artifact.run_id = ? AND gone IS NULL "


@dataclass(frozen=True)
class Stored:
    """One result or checkpoint."""

    id: int
    attempt: int
    kind: str
    path: str
    """Relative to the attempt's folder; of a checkpoint, to the run's."""
    step: int | None
    sha256: str
    library: str | None
    """Relative to the library's folder of the run."""

    def place(self, home: Home, uid: str) -> tuple[Path, str]:
        """The folder it must lie in, and its path in there."""
        if self.library is not None:
            return home.library / uid, self.library
        if self.kind == CHECKPOINT:
            return home.run(uid), self.path
        return home.attempt(uid, self.attempt).root, self.path


def add_result(transaction: Transaction, run_id: int, attempt_id: int, line: ArtifactSaved) -> None:
    """A result the worker named in its journal."""
    _insert(transaction, run_id, attempt_id, line.artifact, line, {"card": line.card} if line.card else None)
    lineage.add_output(transaction, run_id, line.artifact, line.sha256, line.path)


def add_checkpoint(transaction: Transaction, run_id: int, attempt_id: int, line: CheckpointSaved) -> None:
    """A checkpoint; one made again at the same place takes the old one's."""
    remove_checkpoint(transaction, run_id, line.path)
    if line.best:
        transaction.execute(
            "UPDATE artifact SET meta = json_set(meta, '$.best', json('false')) WHERE run_id = ? AND kind = ?",
            (run_id, CHECKPOINT),
        )
    meta = line.model_dump(mode="json", include={"epoch", "loss", "validation_loss", "best", "cause"})
    _insert(transaction, run_id, attempt_id, CHECKPOINT, line, meta)


def remove_checkpoint(transaction: Transaction, run_id: int, path: str) -> None:
    """It made room for newer ones."""
    transaction.execute(
        "DELETE FROM artifact WHERE run_id = ? AND kind = ? AND path = ?", (run_id, CHECKPOINT, path)
    )  # fmt: skip


def keep_checkpoint(transaction: Transaction, artifact_id: int, kept: bool) -> None:
    """It stays, or may make room again."""
    transaction.execute(
        "UPDATE artifact SET meta = json_set(meta, '$.kept', json(?)) WHERE id = ? AND kind = ?",
        ("true" if kept else "false", artifact_id, CHECKPOINT),
    )


def _insert(
    transaction: Transaction,
    run_id: int,
    attempt_id: int,
    kind: str,
    line: ArtifactSaved | CheckpointSaved,
    meta: dict[str, Any] | None,
) -> None:
    transaction.execute(
        "INSERT INTO artifact(run_id, attempt_id, kind, step, path, sha256, bytes, created, meta) "
        "VALUES (?,?,?,?,?,?,?,?,?)",
        (
            *(run_id, attempt_id, kind, line.step, line.path, line.sha256, line.bytes, line.t),
            events.dump(meta) if meta else None,
        ),
    )


def results(connection: sqlite3.Connection, run_id: int) -> list[ArtifactInfo]:
    """Results of a run, oldest first."""
    rows = connection.execute(
        f"SELECT artifact.*, attempt.n {_FROM} AND kind != ? ORDER BY artifact.id", (run_id, CHECKPOINT)
    )
    return [
        ArtifactInfo(
            id=row["id"], attempt=row["n"], kind=row["kind"], name=_name(row["path"]), step=row["step"],
            bytes=row["bytes"] or 0, sha256=row["sha256"] or "", created=row["created"],
        )
        for row in rows
    ]  # fmt: skip


def checkpoints(connection: sqlite3.Connection, run_id: int) -> list[CheckpointInfo]:
    """Checkpoints of a run that are there, newest last."""
    rows = connection.execute(
        f"SELECT artifact.*, attempt.n {_FROM} AND kind = ? ORDER BY attempt.n, step, artifact.id",
        (run_id, CHECKPOINT),
    )
    return [
        CheckpointInfo(
            id=row["id"], attempt=row["n"], step=row["step"], name=_name(row["path"]), bytes=row["bytes"] or 0,
            sha256=row["sha256"] or "", created=row["created"], **json.loads(row["meta"]),
        )
        for row in rows
    ]  # fmt: skip


def of_run(connection: sqlite3.Connection, run_id: int) -> list[Stored]:
    """Everything that lies somewhere, oldest first."""
    rows = connection.execute(f"SELECT artifact.*, attempt.n {_FROM} ORDER BY artifact.id", (run_id,))
    return [stored(row) for row in rows]


def latest(connection: sqlite3.Connection, run_id: int, kind: str) -> Stored | None:
    """The newest result of a kind."""
    query = f"SELECT artifact.*, attempt.n {_FROM} AND kind = ? ORDER BY artifact.id DESC LIMIT 1"
    row = connection.execute(query, (run_id, kind)).fetchone()
    return None if row is None else stored(row)


def find(connection: sqlite3.Connection, run_id: int, artifact_id: int) -> Stored | None:
    """One result or checkpoint of a run."""
    row = connection.execute(
        f"SELECT artifact.*, attempt.n {_FROM} AND artifact.id = ?", (run_id, artifact_id)
    ).fetchone()  # fmt: skip
    return stored(row) if row else None


def stored(row: sqlite3.Row) -> Stored:
    """A row of the table, with the number of its attempt."""
    return Stored(row["id"], row["n"], row["kind"], row["path"], row["step"], row["sha256"] or "", row["library"])


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
