"""A row's tokens, each on a ground that is the stronger the higher its loss; the number stands in words beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtGui import QColor, QFont, QTextCharFormat

from engine.contract.forensics_api import TokenLoss
from forge_desktop.panels.token_text import TokenText
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import figure

HIGHEST = 6.0
"""A loss from which on the ground is at its strongest."""
STRONG = 170
HIGH = 3.0
"""Tokens from here on are bold, too: they are found without telling colours apart."""


class LossMap(TokenText):
    """A row of the data, token by token."""

    def __init__(self) -> None:
        super().__init__("rows.tokens", tr("The row as tokens with their losses"), 180)
        self._tokens: list[TokenLoss] = []

    def show_tokens(self, found: Sequence[TokenLoss]) -> None:
        """Show these, or nothing."""
        self._tokens = list(found)
        self.write((one.text, look_of(one)) for one in self._tokens)

    def describe(self, place: int) -> str:
        """A token in words."""
        if not 0 <= place < len(self._tokens):
            return ""
        one = self._tokens[place]
        loss = tr("no loss: nothing comes before it") if one.loss is None else tr("loss {loss}", loss=figure(one.loss))
        fate = tr("learned") if one.trained else tr("only read")
        chance = "" if one.loss is None else f" · {100 * math.exp(-one.loss):.3g} %"
        return tr("Token {n}: {said} · {loss}", n=place + 1, said=repr(one.text), loss=loss) + f"{chance} · {fate}"


def look_of(one: TokenLoss) -> QTextCharFormat:
    """The ground by the loss; underlined where it is learned, bold where the loss is high."""
    t, made = tokens(), QTextCharFormat()
    made.setForeground(QColor(t.text if one.trained else t.secondary))
    if one.loss is not None:
        ground = QColor(t.bad_fill)
        ground.setAlpha(round(STRONG * min(1.0, max(0.0, one.loss) / HIGHEST)))
        made.setBackground(ground)
        made.setFontWeight(QFont.Weight.Bold if one.loss >= HIGH else QFont.Weight.Normal)
    made.setFontUnderline(one.trained)
    return made
