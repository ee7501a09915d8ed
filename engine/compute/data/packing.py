"""How full batches are: rows packed into sequences of one length, or filled up beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def packed_share(lengths: Sequence[int], size: int) -> float | None:
    """Share of packed sequences that is rows: each row goes into the first sequence with room, the longest first."""
    rows = sorted((min(length, size) for length in lengths if length > 0), reverse=True)
    if not rows:
        return None
    return sum(rows) / (size * (1 + max(first_fit(rows, size))))


def padded_share(lengths: Sequence[int], size: int, batch: int) -> float | None:
    """Share of batches that is rows and not filling, where rows of like length go together."""
    rows = sorted(min(length, size) for length in lengths if length > 0)
    if not rows:
        return None
    groups = [rows[at : at + batch] for at in range(0, len(rows), batch)]
    return sum(rows) / sum(group[-1] * len(group) for group in groups)


def first_fit(rows: Sequence[int], size: int) -> list[int]:
    """Of each row the first sequence with room for it; a tree over them knows the most room under each of its nodes."""
    width = 1
    while width < len(rows):
        width *= 2
    room = [size] * (2 * width)
    found = list[int]()
    for length in rows:
        at = 1
        while at < width:
            at = 2 * at if room[2 * at] >= length else 2 * at + 1
        found.append(at - width)
        room[at] -= length
        while at > 1:
            at //= 2
            room[at] = max(room[2 * at], room[2 * at + 1])
    return found


def next_fit(rows: Iterable[int], size: int) -> list[int]:
    """Of each row its sequence where rows stay in their order: one that has no room left begins the next."""
    found, room, number = list[int](), size, 0
    for length in rows:
        if length > room and room < size:
            number, room = number + 1, size
        room -= length
        found.append(number)
    return found
