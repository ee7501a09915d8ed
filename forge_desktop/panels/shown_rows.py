"""Rows as people read them: who says what, one turn below the other."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.dataset_queries import ShownRow, Turn
from forge_desktop.theme.controls import Chip, clear, label, line, row
from forge_desktop.theme.language import labelled, tr, word

MOST_LETTERS = 700
TONES = {"assistant": "accent", "system": "plain", "user": "info", "tool": "warn"}
KNOWN_ROLES = ("system", "user", "assistant", "tool", "text")


def show_rows(layout: QVBoxLayout, rows: Sequence[ShownRow]) -> None:
    """Show these in a layout; long texts are cut, and what plays no part stands below in small."""
    clear(layout)
    for number, shown in enumerate(rows):
        if number:
            layout.addWidget(line())
        layout.addWidget(label(tr("Line {n}", n=f"{shown.line:,}"), "hint"))
        for turn in shown.turns:
            layout.addWidget(turn_line(turn))
        extra = " · ".join(labelled(name, text[:80]) for name, text in shown.extra.items())
        if extra:
            layout.addWidget(label(extra, "hint", wrap=True))


def role_text(role: str) -> str:
    """Who speaks."""
    return word("role", role) if role in KNOWN_ROLES else role


def turn_line(turn: Turn) -> QWidget:
    """Who speaks, and what is said."""
    who = role_text(turn.role)
    if turn.part in ("chosen", "rejected"):
        who = f"{who} · {word('side', turn.part)}"
    tone = {"chosen": "ok", "rejected": "bad"}.get(turn.part, TONES.get(turn.role, "plain"))
    chip = Chip(who, tone)
    chip.setFixedWidth(max(96, chip.sizeHint().width()))
    text = turn.text if len(turn.text) <= MOST_LETTERS else turn.text[:MOST_LETTERS] + " …"
    said = label(text, "body", wrap=True, select=True)
    layout = row(chip, said, spacing=12)
    layout.setStretch(1, 1)
    layout.setAlignment(chip, Qt.AlignmentFlag.AlignTop)
    made = QWidget()
    made.setLayout(layout)
    return made
