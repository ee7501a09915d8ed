"""The run history: SQLite, one writer, numbered migrations."""
