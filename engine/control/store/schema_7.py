"""What migration 7 adds: where instances answer, and who may ask them. Never edited."""

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
)
