"""How long the working files of ended runs stay, and their going: announced, results in the library first.

Working files are everything in the run's folder: checkpoints, journal, log, order, outputs. Curves and events stay
in the history. When results are copied and verified, the history is told in one transaction, and only then does
the folder go; a crash between leaves a folder that the next controller removes.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.config_file import to_yaml
from engine.contract.durable import sync_folder
from engine.contract.errors import Conflict, UserError
from engine.contract.faults import fault
from engine.contract.paths import AttemptFolder, Home
from engine.contract.run_spec import RunConfig, RunSpec, TrainJob
from engine.contract.states import ENDED, RunState
from engine.contract.stream import RunChanged, RunEvent
from engine.control.jobs import library
from engine.control.jobs.commands import existing, wrong_state
from engine.control.store import artifacts, events, runs
from engine.control.store.artifacts import CHECKPOINT, Stored
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
ACTOR = "retention"
DAY_S = 86_400.0
GOING = ".gone-"
_ENDED = ",".join(f"'{state}'" for state in sorted(ENDED))
_UNKEPT = (
    "NOT EXISTS (SELECT 1 FROM artifact WHERE artifact.run_id = run.id AND kind = 'checkpoint' AND gone IS NULL "
    "AND json_extract(meta, '$.kept'))"
)
"""No checkpoint that somebody keeps."""
_KEPT = f"state IN ({_ENDED}) AND deleting = 0 AND cleaned IS NULL AND pinned = 0 AND {_UNKEPT}"


@dataclass
class Retention:
    """The sweeps of one controller. Its methods wait for files: call them on a thread."""

    home: Home
    database: Database
    also: Callable[[str, Sequence[Stored]], None] = lambda _uid, _results: None
    """Results must lie elsewhere too before they go here; UserError says why they do not."""

    def forget_dates(self) -> None:
        """The setting changed: dates are set anew by the next `plan`."""
        self.database.write_now(lambda t: t.execute("UPDATE run SET expires = NULL WHERE expires IS NOT NULL"))

    def plan(self, keep_days: float | None) -> None:
        """Give ended runs a date, and announce those that go within a day."""
        if keep_days is None:
            return
        undated = self.database.read_now(
            lambda c: c.execute(f"SELECT id, finished FROM run WHERE {_KEPT} AND expires IS NULL").fetchall()
        )
        if undated:
            self.database.write_now(lambda t: _date(t, undated, keep_days))
        for row in self._until(now() + _notice(keep_days), announced=False):
            self._announce(row, keep_days)

    def due(self) -> list[str]:
        """Runs whose date has come and was announced."""
        return [row["uid"] for row in self._until(now(), announced=True)]

    def clean(self, uid: str, asked: bool = False) -> RunSummary:
        """Let the working files of an ended run go. Conflict, and nothing is gone, if a result cannot be kept."""
        row = self.database.read_now(lambda c: existing(c, uid))
        if not RunState(row["state"]).ended:
            raise wrong_state(row, "cleaned", "Only the files of a run that has ended can go.")
        stored = self.database.read_now(lambda c: artifacts.of_run(c, row["id"]))
        results = [one for one in stored if one.kind != CHECKPOINT]
        try:
            log_file = self.home.attempt(uid, row["attempt"]).log
            made = library.keep_results(self.home, uid, results, _config(row), log_file)
            self.also(uid, results)
        except (library.NotCopied, UserError) as error:
            detail = f"{error.what} {error.why}" if isinstance(error, UserError) else str(error)
            self.database.write_now(lambda t: _kept(t, row, detail), durable=True)
            raise Conflict("run.files_kept", detail=detail) from error
        fault("retention.after_copy")
        size = _size_of(self.home.run(uid))
        if self.database.write_now(lambda t: _cleaned(t, row["id"], made, size, asked), durable=True):
            fault("retention.after_commit")
            remove(self.home.run(uid))
        return self.database.read_now(lambda c: runs.summary(c, row["id"]))

    def remove_leftovers(self) -> None:
        """Folders that an earlier controller did not live to remove."""
        if not self.home.runs.is_dir():
            return
        gone = self.database.read_now(
            lambda c: {row[0] for row in c.execute(f"SELECT uid FROM run WHERE cleaned > 0 AND state IN ({_ENDED})")}
        )
        for folder in list(self.home.runs.iterdir()):
            if folder.name.startswith(GOING):
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.name in gone:
                remove(folder)

    def _until(self, when: float, announced: bool) -> list[sqlite3.Row]:
        """Runs whose date lies before this, and whether that was said."""
        said = "EXISTS" if announced else "NOT EXISTS"
        sql = (
            f"SELECT id, uid, name, expires FROM run WHERE {_KEPT} AND expires <= ? AND {said} (SELECT 1 FROM event "
            "WHERE event.run_id = run.id AND kind = 'note' AND event.at >= coalesce(run.finished, 0) "
            "AND json_extract(body, '$.code') = 'run.files_expire')"
        )
        return self.database.read_now(lambda c: c.execute(sql, (when,)).fetchall())

    def _announce(self, row: sqlite3.Row, keep_days: float) -> None:
        """Say that files are to go; whoever was not told in time gets the whole notice."""
        expires = max(row["expires"], now() + _notice(keep_days))
        size = readable(_size_of(self.home.run(row["uid"])))
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(expires))
        params = {"run": row["name"], "when": when, "size": size}

        def write(transaction: Transaction) -> None:
            told = transaction.execute(  # once, and not of a run that was pinned or goes on meanwhile
                f"UPDATE run SET expires = ? WHERE id = ? AND expires = ? AND {_KEPT}",
                (expires, row["id"], row["expires"]),
            )
            if told.rowcount:
                _note(transaction, row["id"], "run.files_expire", events.INFO, params)

        self.database.write_now(write)


def remove(folder: Path) -> None:
    """Take a folder out of sight at once, then off the disk."""
    if folder.exists():
        aside = folder.with_name(f"{GOING}{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        sync_folder(folder.parent)
        shutil.rmtree(aside)


def prune_aside(folder: AttemptFolder) -> None:
    """What an attempt that is over had written aside and did not live to put in place."""
    for place in (folder.root, folder.control, folder.outputs, folder.checkpoints):
        for path in place.glob(".*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def readable(size: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _notice(keep_days: float) -> float:
    """How long before it happens it is said; nothing where a person wants files gone sooner than that."""
    return DAY_S if keep_days >= 1 else 0.0


def _date(transaction: Transaction, rows: list[sqlite3.Row], keep_days: float) -> None:
    for row in rows:
        expires = (row["finished"] or now()) + keep_days * DAY_S
        done = transaction.execute(f"UPDATE run SET expires = ? WHERE id = ? AND {_KEPT}", (expires, row["id"]))
        if done.rowcount:
            transaction.news.append(RunChanged(at=now(), run=runs.summary(transaction.connection, row["id"])))


def _config(row: sqlite3.Row) -> str | None:
    spec = RunSpec.model_validate_json(row["spec"])
    return to_yaml(RunConfig.from_spec(spec)) if isinstance(spec.job, TrainJob) else None


def _kept(transaction: Transaction, row: sqlite3.Row, detail: str) -> None:
    """Say so, and try again in a day."""
    transaction.execute("UPDATE run SET expires = ? WHERE id = ? AND expires IS NOT NULL", (now() + DAY_S, row["id"]))
    _note(transaction, row["id"], "run.files_kept", events.WARNING, {"detail": detail})


def _cleaned(transaction: Transaction, run_id: int, made: dict[int, str], size: int, asked: bool) -> bool:
    """Results are in the library, working files go; False if a person wants the run or its files again meanwhile."""
    guard = f"state IN ({_ENDED}) AND deleting = 0" + ("" if asked else f" AND pinned = 0 AND {_UNKEPT}")
    done = transaction.execute(f"UPDATE run SET cleaned = ?, expires = NULL WHERE id = ? AND {guard}", (now(), run_id))
    if not done.rowcount:
        return False
    for artifact, path in made.items():
        transaction.execute("UPDATE artifact SET library = ? WHERE id = ?", (path, artifact))
    transaction.execute("DELETE FROM artifact WHERE run_id = ? AND kind = ?", (run_id, CHECKPOINT))
    _note(transaction, run_id, "run.files_gone", events.INFO, {"size": readable(size)})
    return True


def _note(transaction: Transaction, run_id: int, code: str, level: int, params: dict[str, str]) -> None:
    """A note, and the run as it is now."""
    at, word = now(), "warning" if level == events.WARNING else "info"
    body = {"level": word, "code": code, "params": params}
    cursor = events.add(transaction, "note", body, at=at, run_id=run_id, level=level, actor=ACTOR)
    summary = runs.summary(transaction.connection, run_id)
    note = RunEvent(cursor=cursor, at=at, run=summary.uid, kind="note", level=level, body=body)
    changed = events.add(transaction, "files", {"code": code}, at=at, run_id=run_id, actor=ACTOR)
    transaction.news += [note, RunChanged(cursor=changed, at=at, actor=ACTOR, run=summary)]


def _size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
