"""What migration 6 adds: memory as forecast and as it was, and what was lowered when it ran out. Never edited."""

STATEMENTS = (
    # `forecast` and `peak` are alike: the worker's process on a processor, tensors on a GPU.
    """CREATE TABLE memory(
  attempt_id INTEGER PRIMARY KEY REFERENCES attempt(id) ON DELETE CASCADE,
  run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE, at REAL NOT NULL, device TEXT NOT NULL,
  forecast INT NOT NULL, measured INT, corrected INT, peak INT, seconds REAL, tokens INT, steps INT,
  body TEXT NOT NULL CHECK(json_valid(body))) STRICT""",
    "CREATE INDEX memory_by_run ON memory(run_id)",
    # Rungs of the ladder that attempts of a run went down, in their order.
    "ALTER TABLE run ADD COLUMN rungs TEXT NOT NULL DEFAULT '[]'",
)
