"""What migration 5 adds: the library of datasets, uploads, tokens seen. Never edited once released."""

STATEMENTS = (
    "ALTER TABLE run ADD COLUMN tokens_seen INTEGER",
    "CREATE INDEX run_by_tokens_seen ON run(tokens_seen) WHERE deleting = 0",
    # A dataset is a name; what it holds lies in versions.
    """CREATE TABLE dataset(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created REAL NOT NULL, changed REAL NOT NULL,
  deleted REAL, notes TEXT NOT NULL DEFAULT '', tags TEXT NOT NULL DEFAULT '[]' CHECK(json_valid(tags)),
  folded TEXT NOT NULL) STRICT""",
    "CREATE UNIQUE INDEX dataset_name ON dataset(folded) WHERE deleted IS NULL",
    """CREATE TABLE dataset_version(
  id INTEGER PRIMARY KEY, dataset_id INT NOT NULL REFERENCES dataset(id) ON DELETE CASCADE, n INT NOT NULL,
  hash TEXT NOT NULL, parent TEXT, run TEXT NOT NULL DEFAULT '', created REAL NOT NULL, removed REAL,
  rows INT NOT NULL, refused INT NOT NULL, bytes INT NOT NULL, format TEXT NOT NULL,
  problems TEXT NOT NULL CHECK(json_valid(problems)), manifest_sha256 TEXT NOT NULL, UNIQUE(dataset_id, n)) STRICT""",
    "CREATE INDEX dataset_version_hash ON dataset_version(hash)",
    # What was counted of a version with a model's tokenizer and template; `key` stands for those.
    """CREATE TABLE dataset_measure(
  hash TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, tokens INT NOT NULL, exact INT NOT NULL,
  body TEXT NOT NULL CHECK(json_valid(body)), PRIMARY KEY(hash, key)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE upload(
  uid TEXT PRIMARY KEY, name TEXT NOT NULL, bytes INT NOT NULL, received INT NOT NULL DEFAULT 0, sha256 TEXT NOT NULL,
  created REAL NOT NULL, touched REAL NOT NULL, complete INT NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID""",
    "CREATE INDEX lineage_by_hash ON lineage(hash, kind, role)",
)
