"""Logs of replayed runs: the text a run wrote so far, or a file for each attempt, read by byte range."""

from __future__ import annotations

from pathlib import Path

from forge_desktop.bridge.backend import LogPart


class ReplayLogs:
    """Files that stand in for the logs of attempts."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, int], Path] = {}
        self.log_bytes_read = 0
        """How much was asked for so far."""

    def set_file(self, uid: str, file: Path, attempt: int = 0) -> None:
        """Let a file be the log of an attempt; 0 is the latest."""
        self._files[uid, attempt] = file

    def forget(self, uid: str) -> None:
        """The working files went."""
        self._files = {key: file for key, file in self._files.items() if key[0] != uid}

    def read(self, uid: str, text: bytes, attempt: int, offset: int, limit: int) -> LogPart:
        """As the controller does."""
        file = self._files.get((uid, attempt))
        size = file.stat().st_size if file is not None else len(text)
        start = max(0, size + offset) if offset < 0 else min(offset, size)
        if file is None:
            data = text[start : start + limit]
        else:
            with file.open("rb") as opened:
                opened.seek(start)
                data = opened.read(limit)
        self.log_bytes_read += len(data)
        return LogPart(data, start, size)
