"""What lies in the caches of nodes, as far as it was seen going there; only the choice of a node asks."""

from __future__ import annotations

import hashlib

from engine.control.store.database import Transaction

KEPT_S = 14 * 86_400.0
"""A node drops what no container has used for a while; nobody tells, so the row goes too."""


def stored(transaction: Transaction, node: str, name: str, size: int, at: float) -> None:
    """A model or data of this name was copied to the node, whole."""
    transaction.execute(
        "INSERT INTO node_cache(node_id, hash, kind, name, bytes, stored, used) "
        "SELECT id, ?, 'input', ?, ?, ?, ? FROM node WHERE name = ? "
        "ON CONFLICT(node_id, hash) DO UPDATE SET bytes = excluded.bytes, used = excluded.used",
        (hashlib.sha256(name.encode()).hexdigest(), name, size, at, at, node),
    )


def used(transaction: Transaction, node_id: int, run_id: int, at: float) -> None:
    """A run begins there: what it names stays longer."""
    transaction.execute(
        "UPDATE node_cache SET used = ? WHERE node_id = ? AND name IN "
        "(SELECT name FROM lineage WHERE run_id = ? AND role = 'input' "
        "UNION SELECT hash FROM lineage WHERE run_id = ? AND role = 'input')",
        (at, node_id, run_id, run_id),
    )


def forget_old(transaction: Transaction, at: float) -> None:
    """What nobody has used for long."""
    transaction.execute("DELETE FROM node_cache WHERE used < ?", (at - KEPT_S,))
