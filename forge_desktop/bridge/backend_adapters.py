"""What the Adapters page asks of a controller."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from engine.client.download import Tell
from engine.contract.adapter_library import AdapterEntry, AdapterShelf, ImportAdapter
from engine.contract.lora_tools import AdapterView, WriteAdapter


class AdaptersBackend(Protocol):
    """The part of a backend behind the library of adapters. Calls block and raise UserError."""

    def adapters(self) -> AdapterShelf:
        """All adapters of runs, and those that were brought in."""

    def import_adapter(self, asked: ImportAdapter) -> AdapterEntry:
        """Bring one in, and wait until it is there."""

    def adapter_view(self, adapter_id: str) -> AdapterView:
        """One of them, module by module."""

    def remove_adapter(self, adapter_id: str) -> None:
        """Forget one that was brought in."""

    def export_adapter(self, one: AdapterEntry, target: Path, tell: Tell) -> None:
        """Copy its file, or peft's folder where `target` has no ending of a file; what is there is replaced."""

    def shrink_adapter(self, asked: WriteAdapter) -> AdapterEntry:
        """Write one anew, smaller, and bring that in; `to` is chosen here."""
