"""What migration 3 adds: time, cost, score, tags, places in the queue, operators. Never edited once released."""

COLUMNS = (
    # The place among waiting runs of a lane and priority.
    "ALTER TABLE run ADD COLUMN queue_rank REAL",
    # Of ended attempts; a live one adds its own from `working_since` on, at `price` for an hour.
    "ALTER TABLE run ADD COLUMN worked_seconds REAL NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN cost REAL",
    "ALTER TABLE run ADD COLUMN working_since REAL",
    "ALTER TABLE run ADD COLUMN price REAL",
    # Share of exact matches after training.
    "ALTER TABLE run ADD COLUMN score REAL",
)

FILLED = (
    "UPDATE run SET queue_rank = queued",
    "UPDATE run SET worked_seconds = found.seconds FROM (SELECT run_id, sum(max(0.0, ended - started)) AS seconds "
    "FROM attempt WHERE started IS NOT NULL AND ended IS NOT NULL GROUP BY run_id) AS found "
    "WHERE found.run_id = run.id",
    "UPDATE run SET working_since = found.started FROM (SELECT run_id, max(started) AS started FROM attempt "
    "WHERE ended IS NULL GROUP BY run_id) AS found WHERE found.run_id = run.id "
    "AND state IN ('preparing', 'running', 'finishing')",
    # Of several, that of the latest attempt; the bare column comes from the row with the greatest cursor.
    "UPDATE run SET score = found.value FROM (SELECT run_id, json_extract(body, '$.value') AS value, max(cursor) "
    "FROM event WHERE kind = 'score' AND json_extract(body, '$.when') = 'after' "
    "AND json_extract(body, '$.metric') = 'exact_match' AND json_type(body, '$.value') IN ('real', 'integer') "
    "GROUP BY run_id) AS found WHERE found.run_id = run.id",
)

INDEXES = (
    "DROP INDEX run_waiting",
    "CREATE INDEX run_waiting ON run(lane, priority DESC, queue_rank) WHERE state = 'queued'",
    "CREATE INDEX run_working ON run(working_since) WHERE working_since IS NOT NULL",
    # Live runs, whose time and cost grow by the second, are few and sorted in between.
    "CREATE INDEX run_by_worked_seconds ON run(worked_seconds) WHERE deleting = 0 AND working_since IS NULL",
    "CREATE INDEX run_by_cost ON run(cost) WHERE deleting = 0 AND working_since IS NULL",
    "CREATE INDEX run_by_score ON run(score) WHERE deleting = 0",
    *(f"CREATE INDEX run_by_{column} ON run({column}) WHERE deleting = 0" for column in ("owner", "node")),
    # All that the operators of a search compare, side by side: any of them, together, is one walk along this index.
    "CREATE INDEX run_facts ON run(state, reason, project, owner, node, model, dataset, method, priority, created, "
    "started, finished, last_step, loss, score, pinned, worked_seconds, cost, working_since, price) "
    "WHERE deleting = 0",
    # Tags folded, each by itself.
    "CREATE TABLE run_tag(tag TEXT NOT NULL, run_id INT NOT NULL REFERENCES run(id) ON DELETE CASCADE, "
    "PRIMARY KEY(tag, run_id)) STRICT, WITHOUT ROWID",
    "CREATE INDEX run_tag_of ON run_tag(run_id)",
    "INSERT OR IGNORE INTO run_tag SELECT fold(value), run.id FROM run, json_each(run.tags) WHERE deleting = 0",
    "CREATE TRIGGER run_untagged AFTER UPDATE OF deleting ON run WHEN new.deleting AND NOT old.deleting "
    "BEGIN DELETE FROM run_tag WHERE run_id = new.id; END",
    # Deleting many runs looked through all commands for each.
    "CREATE INDEX command_target ON command(target) WHERE target IS NOT NULL",
    "CREATE INDEX command_made ON command(json_extract(result, '$.uid')) WHERE result IS NOT NULL",
)
