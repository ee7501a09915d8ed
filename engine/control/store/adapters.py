"""Adapters of runs, by the artifacts they left, and those that were brought in."""

from __future__ import annotations

import json
import sqlite3

from engine.contract.adapter_library import AdapterEntry
from engine.contract.lora_card import LoRACard
from engine.contract.paths import Home
from engine.control.store import artifacts
from engine.control.store.database import Transaction

FILE = "adapter_file"
_OF_RUNS = (
    "SELECT artifact.*, attempt.n, run.uid, run.name AS run_name, run.model, run.dataset, run.score, run.loss "
    "FROM artifact JOIN attempt ON attempt.id = artifact.attempt_id JOIN run ON run.id = artifact.run_id "
    "WHERE artifact.kind = ? AND gone IS NULL AND deleting = 0 ORDER BY artifact.created DESC, artifact.id DESC"
)


def listed(connection: sqlite3.Connection, home: Home) -> list[AdapterEntry]:
    """All of them, the newest first; whether the files are there is not looked at."""
    found = [_of_run(row, home) for row in connection.execute(_OF_RUNS, (FILE,))]
    found += [_brought_in(row, home) for row in connection.execute("SELECT * FROM adapter")]
    return sorted(found, key=lambda one: one.created, reverse=True)


def add(transaction: Transaction, card: LoRACard, size: int, at: float) -> None:
    """One that was brought in; once is enough."""
    transaction.execute(
        "INSERT INTO adapter(hash, added, bytes, card) VALUES (?,?,?,?) ON CONFLICT(hash) DO NOTHING",
        (card.file_hash, at, size, card.model_dump_json()),
    )


def remove(transaction: Transaction, file_hash: str) -> bool:
    """Forget one that was brought in; False: there is none."""
    return bool(transaction.execute("DELETE FROM adapter WHERE hash = ?", (file_hash,)).rowcount)


def _of_run(row: sqlite3.Row, home: Home) -> AdapterEntry:
    stored = artifacts.stored(row)
    root, relative = stored.place(home, row["uid"])
    file = root / relative
    card = LoRACard.model_validate(json.loads(row["meta"])["card"])
    return AdapterEntry(
        id=f"{row['uid']}/{row['id']}", origin="run", name=card.name or row["run_name"], path=str(file),
        folder=str(file.with_name(file.name.replace(".lora.arrow", ""))), bytes=row["bytes"] or 0,
        created=row["created"], card=card, run=row["uid"], run_name=row["run_name"], attempt=row["n"],
        step=row["step"], score=row["score"], loss=row["loss"], model=row["model"] or "", dataset=row["dataset"] or "",
    )  # fmt: skip


def _brought_in(row: sqlite3.Row, home: Home) -> AdapterEntry:
    card = LoRACard.model_validate_json(row["card"])
    return AdapterEntry(
        id=row["hash"], origin="import", name=card.name or row["hash"][:12], path=str(home.adapter(row["hash"])),
        bytes=row["bytes"], created=row["added"], card=card, model=card.base_model,
        dataset=", ".join(card.datasets),
    )  # fmt: skip
