"""Rows of the library as files: versions that never change, written so that nothing half made is ever found."""

from engine.compute.data.store.reader import Version, is_version, open_version

__all__ = ["Version", "is_version", "open_version"]
