"""What must hold at the end of a chaos run: nothing lost, nothing twice, nothing left behind."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.contract.events import Device, Step, Validation, journal_line
from engine.contract.paths import Home
from engine.control.executors import identity
from engine.control.jobs.ingest import read_complete_lines
from engine.control.store import metrics
from engine.control.store.reading import Points
from tests.chaos import number

POINT_LINES = (Step, Validation, Device)


def problems(home: Home) -> list[str]:
    """Everything that is wrong, in words; empty is what we want. The controller has ended."""
    connection = sqlite3.connect(home.database)
    connection.row_factory = sqlite3.Row
    found = [f"integrity: {row[0]}" for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found += [f"foreign key: {tuple(row)}" for row in connection.execute("PRAGMA foreign_key_check")]
    for run in connection.execute("SELECT * FROM run").fetchall():
        found += [f"run {run['uid']} ({run['name']}): {text}" for text in run_problems(connection, home, run)]
    known = {row["uid"] for row in connection.execute("SELECT uid FROM run")}
    found += [f"folder of no run: {path}" for path in home.runs.iterdir() if path.name not in known]
    leases = connection.execute("SELECT count(*) FROM device_lease").fetchone()[0]
    found += [f"{leases} leases are left"] if leases else []
    open_attempts = connection.execute("SELECT count(*) FROM attempt WHERE ended IS NULL").fetchone()[0]
    found += [f"{open_attempts} attempts are open"] if open_attempts else []
    connection.close()
    found += [f"process {pid} is left: {command}" for pid, command in processes(home)]
    found += [f"file is left: {path}" for path in leftovers(home)]
    return found


def run_problems(connection: sqlite3.Connection, home: Home, run: sqlite3.Row) -> Iterator[str]:
    """State, result, curve and journals of one run."""
    words = dict(word.partition("=")[::2] for word in run["name"].split())
    steps, seed = int(words["steps"]), int(words["seed"])
    if run["state"] != "completed":
        yield f"is {run['state']} ({run['reason']})"
        return
    attempts = connection.execute("SELECT id, n FROM attempt WHERE run_id = ? ORDER BY n", (run["id"],)).fetchall()
    curves = metrics.read(connection, run["id"])
    for attempt in attempts if run["cleaned"] is None else []:
        path = home.attempt(run["uid"], attempt["n"]).journal
        yield from (f"attempt {attempt['n']}: {text}" for text in journal_problems(connection, attempt, path, curves))
    result = home.attempt(run["uid"], attempts[-1]["n"]).outputs / "adapter" / "number.json"
    if run["cleaned"] is not None:
        if home.run(run["uid"]).exists():
            yield "its working files are still there"
        library = connection.execute(
            "SELECT library FROM artifact WHERE run_id = ? AND kind = 'adapter' ORDER BY id DESC", (run["id"],)
        ).fetchone()[0]
        result = home.library / run["uid"] / library / "number.json"
    expected = number.after(seed, steps)
    if not result.exists():
        yield f"its result is not there: {result}"
    elif int(json.loads(result.read_bytes())["x"]) != expected:
        yield "its result is wrong: a resume was not exact"
    yield from curve_problems(next(curve for curve in curves if curve.metric == "loss"), seed, steps)


def journal_problems(
    connection: sqlite3.Connection, attempt: sqlite3.Row, path: Path, curves: list[Points]
) -> Iterator[str]:
    """Every complete line of the journal is in the history once, and nothing else is."""
    lines = [journal_line.validate_json(raw) for raw in whole_lines(path)]
    events = [
        row[0]
        for row in connection.execute(
            "SELECT seq FROM event WHERE attempt_id = ? AND seq IS NOT NULL", (attempt["id"],)
        )
    ]
    expected = [line.seq for line in lines if not isinstance(line, POINT_LINES)]
    if sorted(events) != sorted(expected):
        yield f"events {sorted(set(events) ^ set(expected))} differ from the journal ({len(events)}, {len(expected)})"
    if [line.seq for line in lines] != list(range(1, len(lines) + 1)):
        yield "the journal's numbers have gaps"
    for curve in curves:
        mine = curve.attempt == attempt["n"]
        stored = list(zip(curve.seq[mine].tolist(), curve.value[mine].tolist(), strict=True))
        told = [
            (line.seq, line.values[curve.metric])
            for line in lines
            if isinstance(line, POINT_LINES) and curve.metric in line.values
        ]
        if curve.metric != "epoch" and stored != told:
            yield f"curve {curve.metric}: {len(stored)} points in the history, {len(told)} in the journal"


def whole_lines(path: Path) -> Iterator[bytes]:
    """The complete lines of a journal."""
    offset = 0
    while data := read_complete_lines(path, offset):
        offset += len(data)
        yield from data.splitlines()


def curve_problems(curve: Points, seed: int, steps: int) -> Iterator[str]:
    """Whatever attempt a point is from, its value is the step's."""
    expected, x = np.empty(steps + 1), seed
    for step in range(1, steps + 1):
        x = number.step(x)
        expected[step] = number.loss(x)
    wrong = curve.value != expected[curve.x.astype(int)]
    if wrong.any():
        yield f"{int(wrong.sum())} points of the curve are wrong, the first at step {curve.x[wrong][0]:.0f}"
    missing = set(range(1, steps + 1)) - set(curve.x.astype(int).tolist())
    if missing:
        yield f"the curve has no point at {len(missing)} steps, the first {min(missing)}"


def processes(home: Home) -> Iterator[tuple[int, str]]:
    """Processes whose environment names this home."""
    mark = f"FORGE_HOME={home.root}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0") and identity.of(int(folder.name)):
                yield int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue


def leftovers(home: Home) -> Iterator[Path]:
    """Files that were written aside and never put in place."""
    for path in home.root.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(home.root).parts):
            yield path
