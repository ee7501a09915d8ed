"""The engine: the job controller, its workers, and everything they agree on."""
