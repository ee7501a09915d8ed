"""How one line of a log is painted: level word in its tone, selection, what is searched for, and what is not shown."""

from __future__ import annotations

import re

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFontMetricsF, QPainter

from forge_desktop.models.log_lines import ERROR, WARNING, Needle, Row
from forge_desktop.theme.language import count
from forge_desktop.theme.look import tokens

_WORD = re.compile(r"(?:^|[\s\[|])(DEBUG|INFO|SAVE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)(?=[\s\]:|]|$)")
_LOOKED_AT = 64


def tone(word: str) -> str:
    """The colour of a level's word."""
    t = tokens()
    if word in ("ERROR", "CRITICAL", "FATAL"):
        return t.bad_text
    return {"SAVE": t.ok_text, "WARN": t.warn_text, "WARNING": t.warn_text, "INFO": t.info_text}.get(word, t.muted)


def parts(row: Row) -> list[tuple[str, str]]:
    """A line as pieces of text, each with its colour."""
    t = tokens()
    found = _WORD.search(row.text[:_LOOKED_AT])
    if found is None:
        colour = {ERROR: t.bad_text, WARNING: t.warn_text}.get(row.level, t.secondary)
        return [(row.text, colour)]
    begin, end = found.span(1)
    return [(row.text[:begin], t.muted), (row.text[begin:end], tone(found[1])), (row.text[end:], t.secondary)]


def width_of(metrics: QFontMetricsF, text: str) -> float:
    """Pixels a text takes, Chinese and others measured as they are drawn."""
    return metrics.horizontalAdvance(text)


def column_of(metrics: QFontMetricsF, text: str, x: float) -> int:
    """The character whose left edge is nearest to x."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if metrics.horizontalAdvance(text[:middle]) <= x:
            low = middle
        else:
            high = middle - 1
    if low < len(text):
        left, right = metrics.horizontalAdvance(text[:low]), metrics.horizontalAdvance(text[: low + 1])
        low += x - left > right - x
    return low


def paint_row(
    painter: QPainter, area: QRectF, left: float, row: Row, needle: Needle, chosen: tuple[int, int] | None, here: bool
) -> None:
    """Paint a line whose first character stands at `left`; `chosen` are the selected characters."""
    t = tokens()
    metrics = QFontMetricsF(painter.font())
    base = area.top() + (area.height() - metrics.height()) / 2 + metrics.ascent()
    for begin, end in _matches(row.text, needle):
        _ground(painter, metrics, area, left, row.text, (begin, end), t.warn_soft, t.warn_fill if here else "")
    if chosen is not None:
        _ground(painter, metrics, area, left, row.text, chosen, t.accent)
    x = left
    for text, colour in parts(row):
        if text:
            painter.setPen(QColor(colour))
            painter.drawText(QPointF(x, base), text)
            x += metrics.horizontalAdvance(text)
    if row.hidden:
        painter.setPen(QColor(t.accent_text))
        painter.drawText(
            QPointF(x + 6, base), "… " + count(row.hidden, "{n} more character", "{n} more characters")
        )  # fmt: skip
    if chosen is not None:
        _over(painter, metrics, area, left, base, row.text, chosen)


def _matches(text: str, needle: Needle) -> list[tuple[int, int]]:
    if not needle.text:
        return []
    form = re.compile(re.escape(needle.text), 0 if needle.case else re.IGNORECASE)
    return [found.span() for found in form.finditer(text)][:50]


def _ground(
    painter: QPainter,
    metrics: QFontMetricsF,
    area: QRectF,
    left: float,
    text: str,
    span: tuple[int, int],
    colour: str,
    frame: str = "",
) -> None:
    begin = left + metrics.horizontalAdvance(text[: span[0]])
    end = left + metrics.horizontalAdvance(text[: span[1]])
    extra = 6 if span[1] > len(text) else 0  # the end of the line is selected too
    box = QRectF(begin, area.top(), end - begin + extra, area.height())
    painter.fillRect(box, QColor(colour))
    if frame:
        painter.setPen(QColor(frame))
        painter.drawRect(box.adjusted(0, 0, -1, -1))


def _over(
    painter: QPainter, metrics: QFontMetricsF, area: QRectF, left: float, base: float, text: str, span: tuple[int, int]
) -> None:
    """The selected characters again, in the colour that can be read on the selection's ground."""
    begin = left + metrics.horizontalAdvance(text[: span[0]])
    end = left + metrics.horizontalAdvance(text[: span[1]])
    painter.save()
    painter.setClipRect(QRectF(begin, area.top(), end - begin, area.height()))
    painter.setPen(QColor(tokens().on_accent))
    painter.drawText(QPointF(left, base), text)
    painter.restore()
