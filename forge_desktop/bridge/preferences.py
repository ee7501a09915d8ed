"""What the desktop remembers between starts: theme, language, window, drafts. One small file, written whole."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from engine.contract.durable import write_json

log = logging.getLogger(__name__)


class Preferences:
    """Plain values by name, saved at once. A damaged file is set aside and the defaults hold."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._values: dict[str, Any] = {}
        try:
            loaded = json.loads(file.read_text(encoding="utf-8"))
            self._values = loaded if isinstance(loaded, dict) else {}
        except FileNotFoundError:
            pass
        except (OSError, ValueError):
            log.warning("the desktop's preferences could not be read; the defaults hold")

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or the default."""
        return self._values.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Remember a value."""
        if self._values.get(name) == value:
            return
        self._values[name] = value
        try:
            write_json(self._file, self._values, mode=0o600)
        except OSError as error:
            log.warning("the desktop's preferences could not be saved: %s", error)
