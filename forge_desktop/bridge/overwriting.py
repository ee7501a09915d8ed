"""Which points of a curve are shown, and which a later attempt or a repeated step took the place of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forge_desktop.bridge.points import Floats


def split(
    attempt: NDArray[np.int32], x: Floats, since: tuple[tuple[int, float], ...] = ()
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the points to show, by rising x, and of those that were overwritten, in the order of the journal.

    A later attempt overwrites everything from its first step on; a repeated step overwrites the one before.
    """
    number = len(x)
    every = np.arange(number)
    known = dict(since)
    if number == 0 or (
        attempt[0] == attempt[-1] and max(known, default=0) <= attempt[0] and bool(np.all(np.diff(x) > 0))
    ):
        return every, every[:0]
    keep = np.ones(number, bool)
    first_later = np.inf
    for one in sorted({*np.unique(attempt).tolist(), *known}, reverse=True):
        mine = attempt == one
        keep[mine] = x[mine] < first_later
        first_later = min(first_later, known.get(one, np.inf), float(x[mine].min(initial=np.inf)))
    kept = every[keep]
    kept = kept[np.argsort(x[kept], kind="stable")]
    last_of_step = np.append(x[kept][1:] != x[kept][:-1], True) if len(kept) else np.empty(0, bool)
    shown = kept[last_of_step]
    hidden = np.ones(number, bool)
    hidden[shown] = False
    return shown, every[hidden]
