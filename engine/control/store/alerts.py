"""Alerts and their rules in the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from engine.contract.node_alerts import ALERT_KINDS, DEFAULT_RULES, Alert, AlertRule
from engine.control.store import events
from engine.control.store.database import Transaction

SHOWN = 200
KEPT_S = 90 * 86_400.0
SEEN = ("acknowledged", "acknowledged_at", "acknowledged_by")


def rules(connection: sqlite3.Connection) -> list[AlertRule]:
    """As somebody set them; the usual ones while nobody has. Kinds that came later have their usual rule."""
    rows = connection.execute("SELECT body FROM alert_rule ORDER BY id").fetchall()
    if not rows:
        return list(DEFAULT_RULES)
    kept = [events.load(row[0]) for row in rows]
    found = [AlertRule.model_validate(one) for one in kept if one.get("kind") in ALERT_KINDS]
    there = {rule.kind for rule in found if not rule.node}
    return found + [rule for rule in DEFAULT_RULES if rule.kind not in there]


def set_rules(transaction: Transaction, wanted: Sequence[AlertRule]) -> None:
    """In place of all there were. A kind that was left out is kept switched off, else it would come back."""
    there = {rule.kind for rule in wanted if not rule.node}
    off = [rule.model_copy(update={"enabled": False}) for rule in DEFAULT_RULES if rule.kind not in there]
    transaction.execute("DELETE FROM alert_rule")
    transaction.connection.executemany(
        "INSERT INTO alert_rule(body) VALUES (?)", [(rule.model_dump_json(),) for rule in (*wanted, *off)]
    )


def on(connection: sqlite3.Connection) -> list[tuple[str, Alert]]:
    """Subject and alert of each that is not over."""
    rows = connection.execute("SELECT * FROM alert WHERE ended IS NULL ORDER BY id")
    return [(row["subject"], of_row(row)) for row in rows]


def begin(transaction: Transaction, subject: str, alert: Alert, node_id: int | None, run_id: int | None) -> Alert:
    """A new one; it has its id now."""
    row = transaction.execute(
        "INSERT INTO alert(kind, subject, node_id, run_id, began, body) VALUES (?,?,?,?,?,?)",
        (alert.kind, subject, node_id, run_id, alert.began, alert.model_dump_json(exclude={"id"})),
    )
    return alert.model_copy(update={"id": int(row.lastrowid or 0)})


def update(transaction: Transaction, alert: Alert) -> Alert:
    """Keep its values, and its end if it has one. Somebody may have seen it meanwhile: that stays."""
    kept = transaction.one("SELECT * FROM alert WHERE id = ?", (alert.id,))
    if kept is not None:
        seen = of_row(kept)
        alert = alert.model_copy(update={name: getattr(seen, name) for name in SEEN})
    transaction.execute(
        "UPDATE alert SET body = ?, ended = ? WHERE id = ?",
        (alert.model_dump_json(exclude={"id"}), alert.ended, alert.id),
    )
    row = transaction.one("SELECT * FROM alert WHERE id = ?", (alert.id,))
    return of_row(row) if row is not None else alert


def acknowledge(transaction: Transaction, number: int, person: str, at: float) -> tuple[Alert | None, bool]:
    """Somebody has seen it, and whether they are the first; None if there is no such alert."""
    row = transaction.one("SELECT * FROM alert WHERE id = ?", (number,))
    found = of_row(row) if row is not None else None
    if found is None or found.acknowledged:
        return found, False
    seen = found.model_copy(update={"acknowledged": True, "acknowledged_at": at, "acknowledged_by": person})
    transaction.execute(
        "UPDATE alert SET acknowledged = 1, body = ? WHERE id = ?", (seen.model_dump_json(exclude={"id"}), number)
    )
    return seen, True


def listed(connection: sqlite3.Connection, limit: int = SHOWN) -> list[Alert]:
    """Those that are on first, then those that are over; the latest first."""
    rows = connection.execute("SELECT * FROM alert ORDER BY ended IS NOT NULL, began DESC, id DESC LIMIT ?", (limit,))
    return [of_row(row) for row in rows]


def forget_old(transaction: Transaction, at: float) -> None:
    """Those that have been over for long."""
    transaction.execute("DELETE FROM alert WHERE ended < ?", (at - KEPT_S,))


def of_row(row: sqlite3.Row) -> Alert:
    """An alert out of its row."""
    content = events.load(row["body"]) | {"id": row["id"], "ended": row["ended"]}
    return Alert.model_validate(content | {"acknowledged": bool(row["acknowledged"])})
