"""What the desktop remembers between starts: theme, language, window, drafts. One small file, written whole.

Read once at the start; written on a thread of its own a moment after the last change, so that typing never waits.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Slot

from engine.contract.durable import write_durably
from forge_desktop.bridge.pool import Pool

log = logging.getLogger(__name__)
WRITE_AFTER_MS, LAST_WRITE_S = 500, 10.0


class Preferences(QObject):
    """Plain values by name. A file that is damaged or cannot be written costs what it held, and nothing else."""

    def __init__(self, file: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._file = file
        self._values: dict[str, Any] = {}
        self._writer = Pool(1, "forge-preferences")
        self._soon = QTimer(self, singleShot=True, interval=WRITE_AFTER_MS)
        self._soon.timeout.connect(self._write)
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
        self._values[name] = value
        self._soon.start()

    def move_to(self, file: Path) -> None:
        """Write to another file from now on."""
        self._file = file
        self._soon.start()

    def close(self) -> None:
        """Have everything on the disk when this returns; for the end of the program."""
        if self._soon.isActive():
            self._soon.stop()
            self._write()
        self._writer.close(LAST_WRITE_S, finish=True)

    @Slot()
    def _write(self) -> None:
        content = json.dumps(self._values, ensure_ascii=False, indent=1).encode()
        self._writer.start(lambda: _save(self._file, content))


def _save(file: Path, content: bytes) -> None:
    try:
        write_durably(file, content, mode=0o600)
    except OSError as error:
        log.warning("the desktop's preferences could not be saved: %s", error)


def kept_value(file: Path, name: str) -> Any:
    """One value before there is an application; None if it cannot be read."""
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return loaded.get(name) if isinstance(loaded, dict) else None
