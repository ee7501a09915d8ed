"""What migration 7 adds: where instances answer, who may ask them, adapters brought in. Never edited."""

STATEMENTS = (
    """CREATE TABLE endpoint(
  attempt_id INTEGER PRIMARY KEY REFERENCES attempt(id) ON DELETE CASCADE,
  run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE, at REAL NOT NULL, host TEXT NOT NULL, port INT NOT NULL,
  models TEXT NOT NULL CHECK(json_valid(models))) STRICT""",
    "CREATE INDEX endpoint_by_run ON endpoint(run_id)",
    # `body` is a ServeKey: of the key itself only its hash.
    """CREATE TABLE serve_key(
  id TEXT PRIMARY KEY, run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE, created REAL NOT NULL,
  body TEXT NOT NULL CHECK(json_valid(body))) STRICT""",
    "CREATE INDEX serve_key_by_run ON serve_key(run_id)",
    # Adapters that were brought in; those of runs are artifacts. `card` is a LoRACard, the file lies by its hash.
    """CREATE TABLE adapter(
  hash TEXT PRIMARY KEY, added REAL NOT NULL, bytes INT NOT NULL, card TEXT NOT NULL CHECK(json_valid(card))) STRICT""",
)
