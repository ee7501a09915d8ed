"""Opening the history: what is set, what is refused, and what a failed transaction leaves."""

import sqlite3
from pathlib import Path

import pytest

from engine.contract.errors import UserError
from engine.control.store import migrations
from engine.control.store.database import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


@pytest.fixture
def database(path: Path):
    database = Database(path)
    yield database
    database.close()


def pragma(database: Database, name: str):
    return database.read_now(lambda c: c.execute(f"PRAGMA {name}").fetchone()[0])


def test_the_settings_of_a_new_history(database, path):
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "auto_vacuum") == 2
    assert pragma(database, "user_version") == migrations.LATEST
    assert pragma(database, "foreign_keys") == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_that_commands_are_synchronous_to_the_disk_and_telemetry_is_not(database):
    def level(transaction):
        return transaction.execute("PRAGMA synchronous").fetchone()[0]

    assert database.write_now(level, durable=True) == 2
    assert database.write_now(level) == 1


def test_that_opening_it_again_changes_nothing(path):
    Database(path).close()
    before = sqlite3.connect(path).execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    Database(path).close()
    assert sqlite3.connect(path).execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall() == before


def test_that_a_history_of_a_newer_version_is_refused_untouched(path):
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {migrations.LATEST + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(UserError) as refused:
        Database(path)
    assert refused.value.code == "history.newer"
    assert "newer version" in refused.value.text
    assert path.read_bytes() == before


def test_that_a_file_that_is_no_history_is_refused_in_plain_words(path):
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(UserError) as refused:
        Database(path)
    assert refused.value.code == "history.unusable"
    assert path.read_bytes().startswith(b"this is not")


def test_that_an_interrupted_migration_leaves_nothing_behind(path, monkeypatch):
    def fail(database):
        database.execute("CREATE TABLE half(x)")
        raise RuntimeError

    monkeypatch.setitem(migrations._STEPS, 1, fail)
    with pytest.raises(RuntimeError):
        Database(path)
    monkeypatch.undo()
    Database(path).close()
    names = {row[0] for row in sqlite3.connect(path).execute("SELECT name FROM sqlite_master")}
    assert "half" not in names
    assert {"run", "attempt", "member", "device_lease", "lineage", "tail", "chunk", "audit", "run_search"} <= names


def test_that_a_failed_transaction_leaves_nothing_and_tells_nobody(database):
    news = []
    database.on_commit = news.extend

    def fail(transaction):
        transaction.execute("INSERT INTO metric(name) VALUES ('loss')")
        transaction.news.append("news")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write_now(fail)
    assert news == []
    assert database.read_now(lambda c: c.execute("SELECT count(*) FROM metric").fetchone()[0]) == 0
    database.write_now(lambda t: t.execute("INSERT INTO metric(name) VALUES ('loss')"))


def test_that_readers_cannot_write(database):
    with pytest.raises(sqlite3.OperationalError):
        database.read_now(lambda c: c.execute("INSERT INTO metric(name) VALUES ('loss')"))


def test_that_the_audit_can_only_grow(database):
    database.write_now(
        lambda t: t.execute("INSERT INTO audit(at, actor, role, action, hash) VALUES (1, 'a', 'admin', 'x', x'00')")
    )
    for sql in ("UPDATE audit SET actor = 'b'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError):
            database.write_now(lambda t, sql=sql: t.execute(sql))
