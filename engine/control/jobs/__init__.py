"""Queue, scheduling, state changes and ingestion."""
