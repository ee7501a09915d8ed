"""Texts of others as tooltips: Qt reads what looks like HTML as such, and would fetch the pictures it names."""

from __future__ import annotations

import html


def plain_tip(text: str) -> str:
    """The same to be shown as it stands."""
    if "<" not in text and "&lt;" not in text:
        return text
    return f'<p style="white-space: pre-wrap">{html.escape(text)}</p>'
