"""Checks of how a row is made: the order of roles, equal answers, media, labels. They cost next to nothing."""

from __future__ import annotations

from engine.compute.data.checks.row import CheckedRow
from engine.compute.data.formats.values import media_of


def look_at_roles(row: CheckedRow) -> None:
    """Roles in an order no conversation has: only the first break is told."""
    turns = [*row.example.turns, *row.example.chosen]
    if not turns or row.example.teaches not in ("conversation", "preference", "verdict"):
        return
    before = ""
    for number, turn in enumerate(turns):
        role = turn["role"]
        code = _break(before, role, bool(number and "tool_calls" in turns[number - 1]))
        if code:
            text = turn["content"]
            row.remark("role_order", code, column=row.column_of(text[:200]) if text else "", turn=number + 1, role=role)
            return
        before = role
    if before != "assistant" and row.example.teaches == "conversation":
        row.remark("role_order", "checks.unanswered_end", "note", role=before, turn=len(turns))


def _break(before: str, role: str, called: bool) -> str:
    """What is wrong with a role behind another one."""
    if role == "system":
        return ""
    if before in ("", "system"):
        return "checks.begins_with_answer" if role == "assistant" else "checks.tool_first" if role == "tool" else ""
    if role == before and role != "tool":
        return "checks.same_role_twice" if not called else ""
    if role == "tool" and before not in ("assistant", "tool"):
        return "checks.tool_first"
    return ""


def look_at_answers(row: CheckedRow) -> None:
    """Two answers of which one should be better must differ."""
    chosen, rejected = row.example.chosen, row.example.rejected
    if not rejected or len(chosen) != len(rejected):
        return
    if all(
        one["content"].strip() == other["content"].strip() and one.get("tool_calls") == other.get("tool_calls")
        for one, other in zip(chosen, rejected, strict=True)
    ):
        text = rejected[-1]["content"]
        row.remark("same_answers", "checks.same_answers", column=row.column_of(text[:200]), excerpt=text[:200])


def look_at_media(row: CheckedRow) -> None:
    """Media among the parts of messages are kept, and no stage of this version learns from them.

    Columns of media are told once for all rows, by whoever knows the columns.
    """
    if row.example.media:
        inside = sorted(set(row.example.media) - set(media_of(row.record.content)))
        if inside:
            row.remark("not_trained_media", "checks.media", "note", kinds=", ".join(inside))
