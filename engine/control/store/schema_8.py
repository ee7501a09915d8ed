"""What migration 8 adds: adapters that were loaded and let go while an instance served. Never edited."""

STATEMENTS = (
    # `changes` is an AdapterChanges.
    "ALTER TABLE endpoint ADD COLUMN changes TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(changes))",
)
