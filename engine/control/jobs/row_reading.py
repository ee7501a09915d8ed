"""Losses of rows of a run as arrays: all its attempts as one course, in which the latest attempt's rows count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contract import row_losses
from engine.contract.forensics_api import RowKey
from engine.contract.paths import Home


@dataclass(frozen=True)
class Course:
    """Every meeting of a row with the model, by rising step; rows by their places in `rows`."""

    rows: np.ndarray
    """`contract.row_losses.ROW`, each row once."""
    row: np.ndarray
    """Of each meeting: which row."""
    step: np.ndarray
    attempt: np.ndarray
    loss: np.ndarray
    """Mean over the learned tokens."""
    tokens: np.ndarray

    def key(self, row: int) -> RowKey:
        """Which row it is."""
        found = self.rows[row]
        return RowKey(
            source=int(found["source"]), line=int(found["line"]), hash=row_losses.hash_text(found["hash"].tobytes())
        )

    def find(self, key: RowKey) -> int | None:
        """The place of a row; None where it never was met."""
        for row in np.flatnonzero((self.rows["source"] == key.source) & (self.rows["line"] == key.line)):
            if not key.hash or self.key(int(row)).hash == key.hash:
                return int(row)
        return None


def read(home: Home, uid: str, attempts: int) -> Course:
    """All of it. A later attempt takes the place of everything from its first step on, as on the curve."""
    found, first_later = [], np.iinfo(np.int64).max
    for n in range(attempts, 0, -1):
        rows, losses = row_losses.read(home.attempt(uid, n).outputs / row_losses.FOLDER)
        shown = losses[losses["step"] < first_later]
        found.append((n, rows, shown))
        if len(losses):
            first_later = min(first_later, int(losses["step"].min()))
    found.reverse()
    return _joined(found)


def _joined(found: list[tuple[int, np.ndarray, np.ndarray]]) -> Course:
    identities = np.dtype([(name, row_losses.ROW[name]) for name in ("source", "line", "hash")])
    tables = [rows for _, rows, _ in found]
    every = np.concatenate([np.empty(0, row_losses.ROW), *tables])
    known = np.empty(len(every), identities)
    for name in identities.names or ():
        known[name] = every[name]
    as_bytes = known.view(f"V{identities.itemsize}") if len(known) else np.empty(0, f"V{identities.itemsize}")
    numbers = dict[bytes, int]()
    row_of = np.empty(len(every), np.int64)
    for at, identity in enumerate(as_bytes.tolist()):
        row_of[at] = numbers.setdefault(identity, len(numbers))
    firsts = np.unique(row_of, return_index=True)[1]
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    begin = 0
    for n, rows, losses in found:
        places = np.full(int(rows["place"].max()) + 1 if len(rows) else 0, -1, np.int64)
        places[rows["place"]] = row_of[begin : begin + len(rows)]
        begin += len(rows)
        told = losses[losses["place"] < len(places)]
        owner = places[told["place"]]
        parts.append((owner[owner >= 0], told[owner >= 0], np.full(int((owner >= 0).sum()), n)))
    row = np.concatenate([np.empty(0, np.int64), *(owner for owner, _, _ in parts)])
    losses = np.concatenate([np.empty(0, row_losses.LOSS), *(told for _, told, _ in parts)])
    attempt = np.concatenate([np.empty(0, np.int64), *(number for _, _, number in parts)])
    order = np.argsort(losses["step"], kind="stable")
    row, losses, attempt = row[order], losses[order], attempt[order]
    tokens = losses["tokens"].astype(np.int64)
    mean = losses["loss"].astype(np.float64) / np.maximum(tokens, 1)
    return Course(every[firsts], row, losses["step"].astype(np.int64), attempt, mean, tokens)
