"""What a report needs: versions, settings, logs, the history's form and health, and why the last runs failed."""

from __future__ import annotations

import getpass
import json
import os
import platform
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from engine.contract import PROTOCOL_VERSION, logfile
from engine.contract.anonymous import Anonymous
from engine.contract.datasets import MANIFEST
from engine.contract.diagnostics import Bundle, BundleFile
from engine.contract.errors import ErrorBody, UserError
from engine.contract.paths import Home
from engine.control.executors.installer import folder_bytes
from engine.control.store import care, migrations

LOG_BYTES = 200_000
FAILED_RUNS = 5
TAIL_BYTES = 20_000
LISTED_FOLDERS = 500
PACKAGES = ("PySide6-Essentials", "pyqtgraph", "numpy", "pyarrow", "fastapi", "uvicorn", "httpx", "websockets",
            "pydantic", "sqlite-utils", "keyring", "psutil", "platformdirs")  # fmt: skip
SECRET_WORDS = ("TOKEN", "PASSWORD", "SECRET", "KEY", "PROXY")
OUR_VARIABLES = ("FORGE_", "QT_", "LANG", "LC_", "XDG_SESSION", "DISPLAY", "WAYLAND", "CUDA", "HF_HUB", "PYTHON")
FAILED = (
    "SELECT uid, name, state, reason, error, attempt, lane, method FROM run WHERE state = 'failed' "
    "ORDER BY finished DESC LIMIT ?"
)
NAMES = "SELECT name, project, owner, model, dataset, tags FROM run"
DATASET_NAMES = "SELECT name, tags FROM dataset UNION ALL SELECT name, '[]' FROM upload"


def gather(home: Home, hide_names: bool = False) -> Bundle:
    """Everything, made anonymous; what cannot be read is named with the reason."""
    names = set(_names(home)) if hide_names else set()
    known = Anonymous(
        paths=_paths(home), user=_user(), host=socket.gethostname(), secrets=_secrets(home), names=names
    )  # fmt: skip
    files = [BundleFile(name=name, text=known.clean(text)) for name, text in _parts(home)]
    return Bundle(files=files, replaced={kind: number for kind, number in known.replaced.items() if number})


def _parts(home: Home) -> Iterator[tuple[str, str]]:
    yield "versions.json", _json(_versions())
    yield "settings.json", _json(_settings(home))
    yield "history.json", _json(_history(home))
    yield "datasets.json", _json(_datasets(home))
    for name in ("controller.log", "controller-start.log", "desktop.log"):
        text = _end_of(home.root / "logs" / name, LOG_BYTES)
        if text:
            yield f"logs/{name}", text
    yield from _failed_runs(home)


def _versions() -> dict[str, Any]:
    found: dict[str, str | None] = {}
    for package in ("loraforge-desktop", *PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    memory = psutil.virtual_memory()
    variables = {
        name: value if not any(word in name for word in SECRET_WORDS) else "<token>"
        for name, value in sorted(os.environ.items())
        if name.startswith(OUR_VARIABLES)
    }
    return {
        "protocol": PROTOCOL_VERSION, "python": sys.version, "system": platform.platform(),
        "machine": platform.machine(), "processors": os.cpu_count(), "memory_bytes": memory.total,
        "packages": found, "variables": variables,
    }  # fmt: skip


def _settings(home: Home) -> Any:
    try:
        found = json.loads(home.settings_file.read_bytes())
    except FileNotFoundError:
        return "the usual ones"
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"
    if isinstance(found, dict):
        found["endpoints"] = dict.fromkeys(found.get("endpoints") or {}, "<address>")
        for name in ("proxy", "no_proxy"):
            found[name] = "<set>" if found.get(name) else ""
    return found


def _history(home: Home) -> dict[str, Any]:
    """Its tables, how many rows each has, and what `forge history check` says."""
    if not home.database.is_file():
        return {"history": "none"}
    found: dict[str, Any] = {"version_known": migrations.LATEST, "bytes": home.database.stat().st_size}
    try:
        with closing(_open(home)) as connection:
            found["version"] = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
            found["schema"] = {name: sql for name, sql in tables if not name.startswith(("sqlite_", "run_fts"))}
            found["rows"] = {name: _count(connection, name) for name in found["schema"]}
            found["states"] = dict(connection.execute("SELECT state, count(*) FROM run GROUP BY state").fetchall())
        found["check"] = care.check(home)
    except (sqlite3.Error, UserError, OSError) as error:
        found["error"] = str(error)
    return found


def _datasets(home: Home) -> dict[str, Any]:
    """What lies in the library's folders, by fingerprint; never a row of it."""
    found: dict[str, Any] = {}
    for folder in (home.datasets, home.uploads):
        try:
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
            found[folder.name] = {
                entry.name: {
                    "bytes": folder_bytes(entry),
                    "whole": folder == home.uploads or (entry / MANIFEST).is_file(),
                }
                for entry in entries[:LISTED_FOLDERS]
            }
        except OSError as error:
            found[folder.name] = f"cannot be read: {error}"
    return found


def _count(connection: sqlite3.Connection, table: str) -> int | str:
    try:
        return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])
    except sqlite3.Error as error:
        return str(error)


def _failed_runs(home: Home) -> Iterator[tuple[str, str]]:
    """Why the last ones failed, and the end of their logs; what they were trained on is no part of it."""
    try:
        with closing(_open(home)) as connection:
            rows = connection.execute(FAILED, (FAILED_RUNS,)).fetchall()
    except sqlite3.Error:
        return
    for number, (uid, name, state, reason, error, attempt, lane, method) in enumerate(rows, 1):
        text = f"run {uid} '{name}': {state} ({reason}), attempt {attempt}, lane {lane}, {method}\n"
        text += f"{_error_text(error)}\n\n--- the end of its log ---\n"
        log = home.attempt(uid, attempt).log
        library = home.library / uid / "worker.log"
        text += _end_of(log, TAIL_BYTES) or _end_of(library, TAIL_BYTES) or "(none)\n"
        yield f"runs/failed-{number}.txt", text


def _error_text(error: str | None) -> str:
    try:
        return UserError.from_body(ErrorBody.model_validate_json(error or "{}")).text
    except ValueError:
        return error or ""


def _end_of(file: Path, limit: int) -> str:
    """The last bytes of a log, from the beginning of a line."""
    try:
        data, start, _size = logfile.read(file, -limit, limit)
    except OSError:
        return ""
    text = data.decode(errors="replace")
    return text.partition("\n")[2] if start else text


def _open(home: Home) -> sqlite3.Connection:
    return sqlite3.connect(f"{home.database.absolute().as_uri()}?mode=ro", uri=True)


def _paths(home: Home) -> dict[str, str]:
    """Folders that name a person, and what stands for them."""
    found = {str(home.root): "<data>", str(home.root.resolve()): "<data>"}
    for path in (Path.home(), Path.home().resolve()):
        if str(path) != "/":
            found[str(path)] = "<home>"
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _secrets(home: Home) -> Iterator[str]:
    """Values that must not stand anywhere: our token, kept secrets, and what variables of that name hold."""
    for file in (home.token_file, home.root / "secrets.json"):
        try:
            for text in _strings(file.read_text(encoding="utf-8")):
                yield text
                yield from _lines(text)
        except (OSError, ValueError):
            continue
    for name, value in os.environ.items():
        if any(word in name.upper() for word in SECRET_WORDS) and len(value) >= 8:
            yield value


def _lines(text: str) -> Iterator[str]:
    """Of a secret of several lines each line, and of an address what follows its service: messages may quote a part."""
    for line in (part.strip() for part in text.splitlines()):
        if "://" in line or "\n" in text.strip():
            yield from (part for part in (line, line.partition("://")[2]) if len(part) >= 8)


def _strings(text: str) -> Iterator[str]:
    """Every text inside a JSON document, or the text itself."""
    try:
        waiting = [json.loads(text)]
    except ValueError:
        waiting = [text.strip()]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and len(one) >= 8:
            yield one


def _names(home: Home) -> Iterator[str]:
    """Names of runs, projects, owners, models, datasets, uploads and tags, with the parts of their paths."""
    try:
        with closing(_open(home)) as connection:
            for name, project, owner, model, dataset, tags in connection.execute(NAMES):
                for whole in (name, project, owner, model, dataset, *json.loads(tags or "[]")):
                    yield from _with_parts(str(whole))
            for name, tags in connection.execute(DATASET_NAMES):
                for whole in (name, *json.loads(tags)):
                    yield from _with_parts(str(whole))
    except (sqlite3.Error, ValueError):  # an older history has fewer tables
        return


def _with_parts(whole: str) -> Iterator[str]:
    if whole and whole not in ("default", "local"):
        yield whole
        if "/" in whole:
            yield from (part for part in whole.split("/")[-2:] if len(part) > 2)
            yield Path(whole).stem


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
