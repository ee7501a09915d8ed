"""What the home takes on the disk, by part; counted on a thread, and kept for a minute."""

from __future__ import annotations

import shutil
import threading
import time

from engine.contract.clock import now
from engine.contract.paths import Home
from engine.contract.storage import PARTS, Storage, part_of
from engine.control.executors.installer import folder_bytes

KEPT_S = 60.0


class Counter:
    """Counts; two who ask at once wait for one count."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._known: Storage | None = None
        self._at = 0.0

    def count(self, again: bool = False) -> Storage:
        """The sizes; those of the last minute unless `again`. Waits for the disk: call it on a thread."""
        with self._lock:
            if self._known is None or again or time.monotonic() - self._at > KEPT_S:
                self._known, self._at = self._counted(), time.monotonic()
            free = shutil.disk_usage(self._home.root).free
            return self._known.model_copy(update={"free": free})

    def _counted(self) -> Storage:
        parts: dict[str, int] = dict.fromkeys(PARTS, 0)
        for entry in self._home.root.iterdir():
            try:
                taken = folder_bytes(entry) if entry.is_dir() and not entry.is_symlink() else entry.lstat().st_size
            except OSError:  # it went meanwhile
                continue
            parts[part_of(entry.name)] += taken
        return Storage(home=str(self._home.root), parts=parts, total=sum(parts.values()), counted=now())
