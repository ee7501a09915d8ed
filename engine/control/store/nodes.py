"""Nodes in the history: how each is reached, what a person wants of it, and what was last known of it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from engine.contract.nodes import LOCAL, DoctorReport, NodeFacts, NodeProfile, NodeRun, NodeState
from engine.contract.states import LIVE, RunState
from engine.contract.stream import NodeReading
from engine.control.store import events, runs
from engine.control.store.database import Transaction

_COLUMNS = "id, name, kind, state, profile, facts, report, last_seen, added, removed"
_IN_VAIN = "move.state IN ('failed', 'cancelled')"
_LIVE = ",".join(f"'{state}'" for state in sorted(LIVE))


@dataclass(frozen=True)
class NodeRow:
    """What the history knows of a node."""

    id: int
    profile: NodeProfile
    state: NodeState
    facts: NodeFacts
    report: DoctorReport | None
    last_seen: float | None
    removed: float | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.profile.name


def listed(connection: sqlite3.Connection) -> list[NodeRow]:
    """Nodes that are used, and those that were removed while an attempt had not ended; this computer first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM node WHERE removed IS NULL OR id IN (SELECT node_id FROM member "
        "JOIN attempt ON attempt.id = attempt_id WHERE ended IS NULL) ORDER BY name != ?, added, id",
        (LOCAL,),
    ).fetchall()
    return [_row(row) for row in rows]


def find(connection: sqlite3.Connection, name: str) -> NodeRow | None:
    """A node that is used."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM node WHERE name = ? AND removed IS NULL", (name,)).fetchone()
    return _row(row) if row is not None else None


def keep(transaction: Transaction, profile: NodeProfile, at: float) -> int:
    """Add a node, or give it another profile; one that was removed comes back. Its id."""
    content = profile.model_dump_json(exclude={"name", "kind"})
    transaction.execute(
        "INSERT INTO node(name, kind, endpoint, state, profile, added) VALUES (?,?,?,'online',?,?) "
        "ON CONFLICT(name) DO UPDATE SET kind = excluded.kind, endpoint = excluded.endpoint, "
        "profile = excluded.profile, added = CASE WHEN removed IS NULL THEN added ELSE excluded.added END, "
        "state = CASE WHEN removed IS NULL THEN state ELSE 'online' END, "
        "facts = CASE WHEN removed IS NULL THEN facts END, report = CASE WHEN removed IS NULL THEN report END, "
        "last_seen = CASE WHEN removed IS NULL THEN last_seen END, removed = NULL",
        (profile.name, profile.kind, profile.address, content, at),
    )
    return int(transaction.execute("SELECT id FROM node WHERE name = ?", (profile.name,)).fetchone()[0])


def remove(transaction: Transaction, name: str, at: float) -> None:
    """Use it no more; attempts and costs go on naming it."""
    transaction.execute("UPDATE node SET removed = ? WHERE name = ? AND name != ?", (at, name, LOCAL))


def set_state(transaction: Transaction, name: str, state: NodeState) -> None:
    """What a person wants of it."""
    transaction.execute("UPDATE node SET state = ? WHERE name = ?", (state, name))


def set_facts(transaction: Transaction, name: str, facts: NodeFacts) -> None:
    """What its machine last said of itself."""
    transaction.execute("UPDATE node SET facts = ? WHERE name = ?", (facts.model_dump_json(), name))


def set_report(transaction: Transaction, name: str, report: DoctorReport) -> None:
    """What its doctor found."""
    transaction.execute("UPDATE node SET report = ? WHERE name = ?", (report.model_dump_json(), name))


def seen(transaction: Transaction, name: str, at: float) -> None:
    """It answered."""
    transaction.execute("UPDATE node SET last_seen = ? WHERE name = ?", (at, name))


def live_runs(connection: sqlite3.Connection, name: str | None = None) -> dict[str, list[NodeRun]]:
    """Node to the runs that work there now."""
    where, parameters = ("AND run.node = ?", (name,)) if name is not None else ("", ())
    rows = connection.execute(
        f"SELECT {runs.SHOWN}, (SELECT json_group_array(device) FROM device_lease JOIN attempt "
        "ON attempt.id = attempt_id WHERE attempt.run_id = run.id AND attempt.ended IS NULL) AS devices "
        f"FROM run WHERE state IN ({_LIVE}) {where} ORDER BY id",
        parameters,
    ).fetchall()
    found: dict[str, list[NodeRun]] = {}
    for row in rows:
        run = runs.from_row(row)
        shown = NodeRun(
            uid=run.uid, name=run.name, state=run.state, owner=run.owner, eta_seconds=run.eta_seconds,
            devices=events.load(row["devices"]),
        )  # fmt: skip
        found.setdefault(run.node, []).append(shown)
    return found


def open_attempts(connection: sqlite3.Connection, name: str) -> int:
    """How many attempts have not ended there."""
    return int(
        connection.execute(
            "SELECT count(*) FROM attempt JOIN member ON member.attempt_id = attempt.id JOIN node ON node.id = node_id "
            "WHERE attempt.ended IS NULL AND node.name = ?",
            (name,),
        ).fetchone()[0]
    )


def waiting_for(connection: sqlite3.Connection, name: str) -> int:
    """How many runs wait for just this node."""
    return int(
        connection.execute(
            "SELECT count(*) FROM run JOIN run_spec ON run_id = id WHERE state = 'queued' AND deleting = 0 "
            "AND json_extract(spec, '$.compute.node') = ?",
            (name,),
        ).fetchone()[0]
    )


def with_remains(connection: sqlite3.Connection, uid: str) -> list[str]:
    """Nodes where a run has left something, or may have: what a move that came to nothing had laid there."""
    rows = connection.execute(
        "SELECT node.name FROM attempt JOIN run ON run.id = run_id "
        "JOIN member ON member.attempt_id = attempt.id JOIN node ON node.id = node_id "
        "WHERE run.uid = :uid AND remains_until IS NOT NULL "
        f"UNION SELECT target FROM move JOIN run ON run.id = run_id WHERE run.uid = :uid AND {_IN_VAIN}",
        {"uid": uid},
    )
    return [name for (name,) in rows]


def remains_gone(transaction: Transaction, name: str, uids: list[str]) -> None:
    """Nothing of these runs is left on the node."""
    transaction.execute(
        "UPDATE attempt SET remains_until = NULL WHERE run_id IN (SELECT id FROM run WHERE uid IN "
        "(SELECT value FROM json_each(?))) AND id IN (SELECT attempt_id FROM member JOIN node ON node.id = node_id "
        "WHERE node.name = ?)",
        (events.dump(uids), name),
    )


def kept_days(connection: sqlite3.Connection, usual: float | None) -> dict[str, float | None]:
    """Run to how long what it left on nodes stays; None: for good, somebody pinned it.

    Every run: a start that was lost with its controller may have left a volume on a node nothing tells of any more.
    """
    rows = connection.execute("SELECT uid, pinned FROM run")
    return {uid: None if pinned else usual for uid, pinned in rows}


def at_work(connection: sqlite3.Connection, uid: str) -> bool:
    """Whether a run needs what lies on nodes: a worker is at work, or it is on its way to another node."""
    row = connection.execute(
        "SELECT state, EXISTS(SELECT 1 FROM move WHERE move.run_id = run.id AND move.state = 'running') AS moves "
        "FROM run WHERE uid = ?",
        (uid,),
    ).fetchone()
    return row is not None and (bool(row["moves"]) or RunState(row["state"]).live)


def alerts(connection: sqlite3.Connection) -> dict[int, int]:
    """Node id to how many alerts it has now."""
    rows = connection.execute(
        "SELECT node_id, count(*) FROM alert WHERE ended IS NULL AND node_id IS NOT NULL GROUP BY node_id"
    )
    return {int(node): int(count) for node, count in rows}


def last_readings(connection: sqlite3.Connection) -> dict[str, NodeReading]:
    """Node to its newest reading that was kept."""
    rows = connection.execute(
        "SELECT node.name, node_reading.at, node_reading.body FROM node JOIN node_reading ON node_id = node.id "
        "WHERE level = 0 AND node_reading.at = (SELECT max(at) FROM node_reading AS other "
        "WHERE other.node_id = node.id AND other.level = 0)"
    )
    found = {}
    for name, at, body in rows:
        values = {key: float(value) for key, value in events.load(body).items() if isinstance(value, int | float)}
        found[name] = NodeReading(node=name, at=at, values=values)
    return found


def _row(row: sqlite3.Row) -> NodeRow:
    content = events.load(row["profile"]) | {"name": row["name"], "kind": row["kind"]}
    return NodeRow(
        id=row["id"],
        profile=NodeProfile.model_validate(content),
        state=row["state"],
        facts=NodeFacts.model_validate_json(row["facts"]) if row["facts"] else NodeFacts(),
        report=DoctorReport.model_validate_json(row["report"]) if row["report"] else None,
        last_seen=row["last_seen"],
        removed=row["removed"],
    )
