"""What differs between two versions: by the fingerprints of their rows, and for changes by file and line."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.contract.datasets import RowChange, VersionDiff
from engine.control.store.dataset_folder import Folder, damaged_is_said
from engine.control.store.dataset_rows import views

Numbers = np.ndarray[Any, Any]
KEPT = 4
ADDED, REMOVED, CHANGED = 0, 1, 2
KINDS = ("added", "removed", "changed")
LINES = 1 << 44
"""More than any file has: file and line are one number below it."""


@dataclass(frozen=True)
class Difference:
    """Rows by number; -1 where there is none on that side."""

    same: int
    kind: Numbers
    before: Numbers
    after: Numbers

    def count(self, kind: int) -> int:
        """Of one kind."""
        return int(np.count_nonzero(self.kind == kind))


class Differences:
    """The latest, so that a page of one costs nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Difference] = OrderedDict()

    def get(self, before: Folder, after: Folder) -> Difference:
        """Compare, or remember."""
        key = (before.folder.name, after.folder.name)
        with self._lock:  # two at once would take twice the memory
            if key not in self._known:
                self._known[key] = compare(before, after)
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            return self._known[key]


def page(
    differences: Differences, before: Folder, after: Folder, numbers: tuple[int, int], *, kind: str = "",
    offset: int = 0, limit: int = 100,
) -> VersionDiff:  # fmt: skip
    """How much differs, and some of the rows that do, in their order."""
    with damaged_is_said(after.folder):
        found = differences.get(before, after)
        chosen = np.flatnonzero(found.kind == KINDS.index(kind)) if kind else np.arange(len(found.kind))
        chosen = chosen[offset : offset + limit]
        old, new = found.before[chosen], found.after[chosen]
        shown_old = {view.row: view for view in views(before, sorted(old[old >= 0].tolist()))}
        shown_new = {view.row: view for view in views(after, sorted(new[new >= 0].tolist()))}
        rows = [
            RowChange(
                kind=KINDS[int(found.kind[place])],  # type: ignore[arg-type]
                before=shown_old.get(int(found.before[place])),
                after=shown_new.get(int(found.after[place])),
            )
            for place in chosen
        ]
    read_before = (before.manifest.format, before.manifest.mapping)
    read_after = (after.manifest.format, after.manifest.mapping)
    return VersionDiff(
        before=numbers[0], after=numbers[1], added=found.count(ADDED), removed=found.count(REMOVED),
        changed=found.count(CHANGED), same=found.same, rows=rows, format_changed=read_before != read_after,
    )  # fmt: skip


def compare(before: Folder, after: Folder) -> Difference:
    """As often as a row stands in both it is the same; what is left over at one file and line was changed."""
    removed, added = _left_over(before.hashes(), after.hashes())
    same = before.rows - len(removed)
    old, new = _places(before, after, removed, added)
    _common, at_old, at_new = np.intersect1d(old, new, assume_unique=False, return_indices=True)
    changed_old, changed_new = removed[at_old], added[at_new]
    removed, added = np.delete(removed, at_old), np.delete(added, at_new)
    nothing = -np.ones(max(len(removed), len(added)), np.int64)
    kind = np.repeat(np.array([CHANGED, REMOVED, ADDED], np.int8), [len(changed_old), len(removed), len(added)])
    olds = np.concatenate([changed_old, removed, nothing[: len(added)]])
    news = np.concatenate([changed_new, nothing[: len(removed)], added])
    order = np.argsort(np.where(news >= 0, news, olds), kind="stable")
    return Difference(same, kind[order], olds[order], news[order])


def _left_over(before: Numbers, after: Numbers) -> tuple[Numbers, Numbers]:
    """Rows of one side that have no partner with the same fingerprint on the other, in order."""
    both = np.concatenate([before, after])
    if not len(both):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.lexsort((both[:, 1], both[:, 0]))  # stable: of equal ones, those of before come first
    ordered = both[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    del both, ordered
    group = np.cumsum(begins) - 1
    is_old = order < len(before)
    old_count = np.bincount(group, weights=is_old).astype(np.int64)
    new_count = np.bincount(group).astype(np.int64) - old_count
    first = np.flatnonzero(begins)
    place = np.arange(len(order)) - first[group]  # among its equals
    left_old = is_old & (place >= new_count[group])
    left_new = ~is_old & (place - old_count[group] >= old_count[group])
    return np.sort(order[left_old]), np.sort(order[left_new]) - len(before)


def _places(before: Folder, after: Folder, removed: Numbers, added: Numbers) -> tuple[Numbers, Numbers]:
    """File and line of rows as one number that means the same on both sides."""
    names: dict[str, int] = {}

    def of(folder: Folder, rows: Numbers) -> Numbers:
        if not len(rows):
            return np.empty(0, np.int64)
        files = np.array([names.setdefault(name, len(names)) for name in folder.manifest.files] or [0], np.int64)
        file = folder.numbers("file")[rows].astype(np.int64)
        file = files[np.clip(file, 0, len(files) - 1)]
        return np.asarray(file * LINES + folder.numbers("line")[rows].astype(np.int64))

    return of(before, removed), of(after, added)
