"""What a person wants to be told, and when to be left alone; kept in the preferences."""

from __future__ import annotations

import re
from datetime import datetime

from forge_desktop.bridge.preferences import Preferences

DEFAULTS = {"start": False, "completion": True, "failure": True, "alert": True}
"""Starts are seldom news: the person has just pressed the button."""
FROM, TO, SOUND = "notices.quiet_from", "notices.quiet_to", "notices.sound"
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class NoticeWishes:
    """Reads the switches afresh each time, so that a change counts at once."""

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    def wants(self, kind: str) -> bool:
        """A kind is to pop up and to count as unread."""
        return bool(self._preferences.get(f"notices.on_{kind}", DEFAULTS.get(kind, True)))

    @property
    def sound(self) -> bool:
        """A notice beeps."""
        return bool(self._preferences.get(SOUND, False))

    def quiet(self, now: datetime) -> bool:
        """Nothing pops up now. The hours may cross midnight; alike or unreadable, they mean none."""
        start, end = self._minutes(FROM), self._minutes(TO)
        if start is None or end is None or start == end:
            return False
        minute = 60 * now.hour + now.minute
        return start <= minute < end if start < end else minute >= start or minute < end

    @property
    def quiet_until(self) -> str:
        """The end of the quiet hours as a person wrote it."""
        return str(self._preferences.get(TO, "") or "")

    def _minutes(self, name: str) -> int | None:
        found = _TIME.fullmatch(str(self._preferences.get(name, "") or "").strip())
        return 60 * int(found[1]) + int(found[2]) if found else None
