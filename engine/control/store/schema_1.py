"""What migration 1 creates. Never edited once released."""

TABLES = (
    """CREATE TABLE node(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, endpoint TEXT NOT NULL, state TEXT NOT NULL,
  profile TEXT NOT NULL CHECK(json_valid(profile)), facts TEXT, last_seen REAL) STRICT""",
    """CREATE TABLE study(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, space TEXT NOT NULL, sampler TEXT, pruner TEXT,
  metric TEXT NOT NULL, goal TEXT NOT NULL) STRICT""",
    # From "phase" on: what a list shows of a run, kept here so that a page is one SELECT.
    """CREATE TABLE run(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, lane TEXT NOT NULL, name TEXT NOT NULL,
  project TEXT NOT NULL, owner TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN
    ('draft','queued','preparing','running','finishing','paused','completed','failed','stopped')),
  reason TEXT, error TEXT, priority INT NOT NULL DEFAULT 0, model TEXT NOT NULL DEFAULT '',
  dataset TEXT NOT NULL DEFAULT '', method TEXT NOT NULL DEFAULT '',
  study_id INT REFERENCES study(id), trial INT,
  created REAL NOT NULL, queued REAL, started REAL, first_step REAL, finished REAL,
  spec_hash TEXT NOT NULL, tags TEXT NOT NULL DEFAULT '[]',
  attempt INT NOT NULL DEFAULT 0, node TEXT NOT NULL DEFAULT '', deleting INT NOT NULL DEFAULT 0,
  phase TEXT, last_step INT, total_steps INT, loss REAL, pace REAL, sparkline TEXT NOT NULL DEFAULT '') STRICT""",
    # Apart from the run, whose rows stay small enough to sort and count 100,000 of them while a person waits.
    """CREATE TABLE run_spec(
  run_id INTEGER PRIMARY KEY REFERENCES run(id) ON DELETE CASCADE, spec TEXT NOT NULL CHECK(json_valid(spec))
  ) STRICT""",
    """CREATE TABLE attempt(
  id INTEGER PRIMARY KEY, run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE, n INT NOT NULL,
  cause TEXT NOT NULL, lease TEXT NOT NULL, spec TEXT NOT NULL, environment TEXT, plan TEXT, device_names TEXT,
  stop_asked REAL, stop_save INT, last_word TEXT, started REAL, ended REAL, reason TEXT,
  UNIQUE(run_id, n)) STRICT""",
    """CREATE TABLE member(
  attempt_id INT NOT NULL REFERENCES attempt(id) ON DELETE CASCADE, rank INT NOT NULL,
  node_id INT REFERENCES node(id), executor TEXT NOT NULL, handle TEXT NOT NULL, devices TEXT NOT NULL,
  ingested_seq INT NOT NULL DEFAULT 0, ingested_bytes INT NOT NULL DEFAULT 0, heard REAL, mark TEXT, exit_code INT,
  PRIMARY KEY(attempt_id, rank)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE device_lease(
  node_id INT NOT NULL REFERENCES node(id), device TEXT NOT NULL, share INT NOT NULL DEFAULT 0,
  attempt_id INT NOT NULL REFERENCES attempt(id) ON DELETE CASCADE,
  PRIMARY KEY(node_id, device, share)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE lineage(
  run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE, role TEXT NOT NULL, kind TEXT NOT NULL,
  hash TEXT NOT NULL, name TEXT, PRIMARY KEY(run_id, role, kind, hash)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE run_param(run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE, key TEXT NOT NULL, value ANY,
  PRIMARY KEY(run_id, key)) STRICT, WITHOUT ROWID""",
    "CREATE TABLE metric(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, unit TEXT, goal TEXT) STRICT",
    """CREATE TABLE series(
  id INTEGER PRIMARY KEY, run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  metric_id INT NOT NULL REFERENCES metric(id), axis TEXT NOT NULL CHECK(axis IN ('step','time')),
  n INT NOT NULL DEFAULT 0, last_x REAL, last REAL, min REAL, max REAL, UNIQUE(run_id, metric_id)) STRICT""",
    """CREATE TABLE tail(
  attempt_id INT NOT NULL REFERENCES attempt(id) ON DELETE CASCADE, ordinal INT NOT NULL, n INT NOT NULL,
  data BLOB NOT NULL, PRIMARY KEY(attempt_id, ordinal)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE chunk(
  series_id INT NOT NULL REFERENCES series(id) ON DELETE CASCADE, attempt_id INT NOT NULL, ordinal INT NOT NULL,
  first_x INT NOT NULL, last_x INT NOT NULL, n INT NOT NULL, codec INT NOT NULL, pyramid BLOB NOT NULL,
  data BLOB NOT NULL, PRIMARY KEY(series_id, attempt_id, ordinal)) STRICT""",
    """CREATE TABLE event(
  cursor INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, run_id INT, attempt_id INT, rank INT, seq INT,
  node_id INT, kind TEXT NOT NULL, level INT NOT NULL DEFAULT 20, actor TEXT, body TEXT NOT NULL) STRICT""",
    """CREATE TABLE artifact(
  id INTEGER PRIMARY KEY, run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE, attempt_id INT,
  kind TEXT NOT NULL, step INT, path TEXT NOT NULL, sha256 TEXT, bytes INT, created REAL NOT NULL,
  meta TEXT) STRICT""",
    """CREATE TABLE command(id INTEGER PRIMARY KEY, idempotency TEXT UNIQUE, at REAL NOT NULL, actor TEXT NOT NULL,
  verb TEXT NOT NULL, target TEXT, body TEXT, state TEXT NOT NULL DEFAULT 'new', result TEXT) STRICT""",
    """CREATE TABLE account(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK(role IN ('researcher','operator','admin')), password TEXT,
  token_generation INT NOT NULL DEFAULT 0, disabled INT NOT NULL DEFAULT 0) STRICT""",
    """CREATE TABLE audit(id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL,
  action TEXT NOT NULL, target TEXT, detail TEXT, previous BLOB, hash BLOB NOT NULL) STRICT""",
)

INDEXES = (
    "CREATE INDEX run_by_age ON run(created) WHERE deleting = 0",
    "CREATE INDEX run_by_state ON run(state, created) WHERE deleting = 0",
    "CREATE INDEX run_by_model ON run(model, created) WHERE deleting = 0",
    "CREATE INDEX run_by_name ON run(name COLLATE NOCASE) WHERE deleting = 0",
    "CREATE INDEX run_waiting ON run(lane, priority DESC, queued) WHERE state = 'queued'",
    "CREATE INDEX param_value ON run_param(key, value)",
    "CREATE INDEX series_rank ON series(metric_id, last)",
    "CREATE UNIQUE INDEX event_once ON event(attempt_id, rank, seq) WHERE seq IS NOT NULL",
    "CREATE INDEX event_by_run ON event(run_id, cursor)",
    "CREATE INDEX artifact_by_run ON artifact(run_id, kind, step)",
)

SEARCH_COLUMNS = ("name", "model", "dataset", "tags")

TRIGGERS = (
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'audit is append-only'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'audit is append-only'); END",
    # sqlite-utils' own update trigger would index a run again at every step it takes.
    "DROP TRIGGER IF EXISTS run_au",
    """CREATE TRIGGER run_au AFTER UPDATE OF name, model, dataset, tags ON run BEGIN
  INSERT INTO run_fts(run_fts, rowid, name, model, dataset, tags)
    VALUES ('delete', old.id, old.name, old.model, old.dataset, old.tags);
  INSERT INTO run_fts(rowid, name, model, dataset, tags)
    VALUES (new.id, new.name, new.model, new.dataset, new.tags); END""",
)
