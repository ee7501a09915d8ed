"""What migration 2 adds: how a run goes on, how long its files stay, quick lists. Never edited once released."""

COLUMNS = (
    "ALTER TABLE run ADD COLUMN mark TEXT",
    "ALTER TABLE run ADD COLUMN pinned INT NOT NULL DEFAULT 0",
    # How the next attempt begins (`engine.control.jobs.next_start`), JSON.
    "ALTER TABLE run ADD COLUMN next TEXT",
    # Automatic retries since a person last started the run, and when the next one is due.
    "ALTER TABLE run ADD COLUMN retries INT NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN retry_at REAL",
    # When the working files of an ended run go, and when they went.
    "ALTER TABLE run ADD COLUMN expires REAL",
    "ALTER TABLE run ADD COLUMN cleaned REAL",
    "ALTER TABLE attempt ADD COLUMN stop_verb TEXT",
    # Attempt, step and path of the checkpoint it went on from, JSON.
    "ALTER TABLE attempt ADD COLUMN resumed_from TEXT",
    "ALTER TABLE attempt ADD COLUMN first_step INT",
    # Where the verified copy in the library lies, and when the file in the attempt's folder went.
    "ALTER TABLE artifact ADD COLUMN library TEXT",
    "ALTER TABLE artifact ADD COLUMN gone REAL",
)

_ONE_MORE = "INSERT INTO run_count VALUES (new.state, 1) ON CONFLICT(state) DO UPDATE SET n = n + 1"
_ONE_LESS = "UPDATE run_count SET n = n - 1 WHERE state = old.state"
_SORTED = ("started", "finished", "priority", "model", "dataset", "method", "project", "loss", "last_step")

INDEXES: tuple[str, ...] = (
    # Which axis the points of a blob are on, so that those to be sealed are counted without reading them.
    "ALTER TABLE tail ADD COLUMN axis TEXT NOT NULL DEFAULT 'step'",
    """UPDATE tail SET axis = 'time' WHERE substr(data, 5, 15) = CAST('{"axis": "time"' AS BLOB)""",
    "CREATE INDEX tail_by_axis ON tail(attempt_id, axis, n)",
    # A list of runs in any order is one walk along an index; the id makes the order of equals the same every time.
    "CREATE INDEX run_in_state ON run(state) WHERE deleting = 0",
    "DROP INDEX run_by_model",
    "DROP INDEX series_rank",  # nobody asked it anything, and every point of every curve kept it up
    *(f"CREATE INDEX run_by_{column} ON run({column}) WHERE deleting = 0" for column in _SORTED),
    # What is searched, apart and folded: reading 100,000 of these takes 15 ms, while three-letter indexing took up to
    # 110 ms for words that many runs share, and most of the time and room that a new run cost.
    "DROP TRIGGER run_ai",
    "DROP TRIGGER run_ad",
    "DROP TRIGGER run_au",
    "DROP TABLE run_fts",
    "CREATE TABLE run_search(run_id INTEGER PRIMARY KEY REFERENCES run(id) ON DELETE CASCADE, "
    "text TEXT NOT NULL) STRICT",
    "INSERT INTO run_search SELECT id, fold(name || char(10) || model || char(10) || dataset || char(10) || "
    "coalesce((SELECT group_concat(value, ' ') FROM json_each(tags)), '')) FROM run WHERE deleting = 0",
    "CREATE TRIGGER run_hidden AFTER UPDATE OF deleting ON run WHEN new.deleting AND NOT old.deleting "
    f"BEGIN DELETE FROM run_search WHERE run_id = new.id; {_ONE_LESS}; END",
    # How many runs are in each state, which every page tells: counting 100,000 took longer than the page.
    "CREATE TABLE run_count(state TEXT PRIMARY KEY, n INT NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO run_count SELECT state, count(*) FROM run WHERE deleting = 0 GROUP BY state",
    f"CREATE TRIGGER run_counted AFTER INSERT ON run WHEN new.deleting = 0 BEGIN {_ONE_MORE}; END",
    f"CREATE TRIGGER run_uncounted AFTER DELETE ON run WHEN old.deleting = 0 BEGIN {_ONE_LESS}; END",
    f"CREATE TRIGGER run_moved AFTER UPDATE OF state ON run WHEN new.deleting = 0 BEGIN {_ONE_LESS}; {_ONE_MORE}; END",
    "CREATE INDEX run_retry ON run(retry_at) WHERE retry_at IS NOT NULL",
    "CREATE INDEX run_expires ON run(expires) WHERE expires IS NOT NULL",
)
