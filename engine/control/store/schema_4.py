"""What migration 4 adds: node profiles, readings, alerts, moves, caches, prices. Never edited once released."""

STATEMENTS = (
    # A node that was removed keeps its row: attempts and costs name it.
    "ALTER TABLE node ADD COLUMN added REAL",
    "ALTER TABLE node ADD COLUMN removed REAL",
    # What its doctor last found, JSON.
    "ALTER TABLE node ADD COLUMN report TEXT",
    "UPDATE node SET kind = 'process', state = 'online' WHERE name = 'local'",
    # Level 0: as read; 1: means of a minute; 2: of an hour. Keys of `body` as in a journal's device line.
    """CREATE TABLE node_reading(
  node_id INT NOT NULL REFERENCES node(id) ON DELETE CASCADE, level INT NOT NULL, at REAL NOT NULL,
  body TEXT NOT NULL CHECK(json_valid(body)), PRIMARY KEY(node_id, level, at)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE alert_rule(
  id INTEGER PRIMARY KEY, body TEXT NOT NULL CHECK(json_valid(body))) STRICT""",
    # `subject` is what one alert is about: node, device or run; one that is on has no `ended`.
    """CREATE TABLE alert(
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, node_id INT, run_id INT, began REAL NOT NULL,
  ended REAL, acknowledged INT NOT NULL DEFAULT 0, body TEXT NOT NULL CHECK(json_valid(body))) STRICT""",
    "CREATE UNIQUE INDEX alert_once ON alert(kind, subject) WHERE ended IS NULL",
    "CREATE INDEX alert_by_age ON alert(began)",
    """CREATE TABLE move(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  source TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, step TEXT NOT NULL, began REAL NOT NULL, ended REAL,
  body TEXT NOT NULL CHECK(json_valid(body))) STRICT""",
    "CREATE UNIQUE INDEX move_once ON move(run_id) WHERE state = 'running'",
    # Which inputs lie in a node's cache, by content, and which runs need them there.
    """CREATE TABLE node_cache(
  node_id INT NOT NULL REFERENCES node(id) ON DELETE CASCADE, hash TEXT NOT NULL, kind TEXT NOT NULL,
  name TEXT NOT NULL, bytes INT NOT NULL, private INT NOT NULL DEFAULT 0, stored REAL NOT NULL, used REAL NOT NULL,
  PRIMARY KEY(node_id, hash)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE node_cache_use(
  node_id INT NOT NULL, hash TEXT NOT NULL, run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  PRIMARY KEY(node_id, hash, run_id)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX node_cache_use_of ON node_cache_use(run_id)",
    # Since when the mark on a live attempt stands.
    "ALTER TABLE run ADD COLUMN mark_since REAL",
    # For an hour of the attempt: price times GPUs, and in which currency.
    "ALTER TABLE attempt ADD COLUMN price REAL",
    "ALTER TABLE attempt ADD COLUMN currency TEXT",
    "ALTER TABLE run ADD COLUMN currency TEXT",
    # Containers and volumes of an ended attempt are removed then; NULL: they are gone or there were none.
    "ALTER TABLE attempt ADD COLUMN remains_until REAL",
    "CREATE INDEX attempt_remains ON attempt(remains_until) WHERE remains_until IS NOT NULL",
    "CREATE INDEX attempt_started ON attempt(started)",
)
