"""What migration 2 adds: how a run goes on after an attempt and how long its files stay. Never edited once released."""

COLUMNS = (
    "ALTER TABLE run ADD COLUMN mark TEXT",
    "ALTER TABLE run ADD COLUMN pinned INT NOT NULL DEFAULT 0",
    # How the next attempt begins (`engine.control.jobs.next_start`), JSON.
    "ALTER TABLE run ADD COLUMN next TEXT",
    # Automatic retries since a person last started the run, and when the next one is due.
    "ALTER TABLE run ADD COLUMN retries INT NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN retry_at REAL",
    # When the working files of an ended run go, and when they went.
    "ALTER TABLE run ADD COLUMN expires REAL",
    "ALTER TABLE run ADD COLUMN cleaned REAL",
    "ALTER TABLE attempt ADD COLUMN stop_verb TEXT",
    # Attempt, step and path of the checkpoint it went on from, JSON.
    "ALTER TABLE attempt ADD COLUMN resumed_from TEXT",
    "ALTER TABLE attempt ADD COLUMN first_step INT",
    # Where the verified copy in the library lies, and when the file in the attempt's folder went.
    "ALTER TABLE artifact ADD COLUMN library TEXT",
    "ALTER TABLE artifact ADD COLUMN gone REAL",
)

INDEXES = (
    "CREATE INDEX run_retry ON run(retry_at) WHERE retry_at IS NOT NULL",
    "CREATE INDEX run_expires ON run(expires) WHERE expires IS NOT NULL",
)
