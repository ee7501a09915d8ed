"""A row as tokens, each on the ground of its fate (learned, only read, special, cut off); the pointed one is named."""

from __future__ import annotations

from PySide6.QtGui import QColor, QFont, QTextCharFormat

from engine.contract.dataset_queries import XrayRow
from forge_desktop.panels.token_text import TokenText
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens


class TokenView(TokenText):
    """A row as the model will see it, token by token."""

    def __init__(self) -> None:
        super().__init__("xray.tokens", tr("The row as tokens"), 220)
        self._row: XrayRow | None = None

    def show_row(self, row: XrayRow | None) -> None:
        """Show one, or nothing."""
        self._row = row
        texts = row.texts if row is not None else []
        self.write((text, look_of(self.fate(place), place)) for place, text in enumerate(texts))

    def fate(self, place: int) -> str:
        """What happens to a token: trained, masked, special or cut."""
        row = self._row
        if row is None:
            return ""
        if row.cut_at is not None and place >= row.cut_at:
            return "cut"
        letter = row.fates[place] if place < len(row.fates) else "m"
        return {"t": "trained", "T": "trained", "s": "special"}.get(letter, "masked")

    def describe(self, place: int) -> str:
        """A token in words."""
        row = self._row
        if row is None or not 0 <= place < len(row.ids):
            return ""
        fates = {"trained": tr("learned"), "masked": tr("only read"), "special": tr("special, only read"),
                 "cut": tr("cut off")}  # fmt: skip
        return tr("Token {n}: {said} · id {id} · {fate}", n=place + 1, said=repr(row.texts[place]), id=row.ids[place],
                  fate=fates[self.fate(place)])  # fmt: skip


def look_of(fate: str, place: int) -> QTextCharFormat:
    """Ground, ink and line of a fate; neighbours differ a little, so that their borders are seen."""
    t, made = tokens(), QTextCharFormat()
    match fate:
        case "trained":
            made.setBackground(QColor(t.ok_soft if place % 2 else t.accent_soft))
            made.setForeground(QColor(t.text))
            made.setFontUnderline(True)
            made.setUnderlineColor(QColor(t.ok_fill))
        case "special":
            made.setBackground(QColor(t.warn_soft))
            made.setForeground(QColor(t.warn_text))
        case "cut":
            made.setForeground(QColor(t.muted))
            made.setFontStrikeOut(True)
        case _:
            made.setBackground(QColor(t.surface2 if place % 2 else t.surface))
            made.setForeground(QColor(t.secondary))
    made.setFontWeight(QFont.Weight.Medium if fate == "trained" else QFont.Weight.Normal)
    return made
