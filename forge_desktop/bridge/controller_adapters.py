"""The real controller's answers about adapters."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.client.client import ControllerClient
from engine.client.download import Tell
from engine.contract.adapter_library import AdapterEntry, AdapterShelf, ImportAdapter
from engine.contract.errors import Conflict, NotFound
from engine.contract.lora_card import SUFFIX
from engine.contract.lora_tools import AdapterView, WriteAdapter
from forge_desktop.bridge.whole_files import aside, plain_words

PIECE = 1 << 20


class ControllerAdapters:
    """Passes on what pages ask about adapters. Files lie on this computer: the controller does, too."""

    _client: ControllerClient

    def query(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        """Given by the backend."""
        raise NotImplementedError

    def adapters(self) -> AdapterShelf:
        """All adapters of runs, and those that were brought in."""
        return self._client.adapters()

    def import_adapter(self, asked: ImportAdapter) -> AdapterEntry:
        """Bring one in, and wait until it is there."""
        return self._client.import_adapter(asked)

    def adapter_view(self, adapter_id: str) -> AdapterView:
        """One of them, module by module."""
        return self._client.adapter_view(adapter_id)

    def remove_adapter(self, adapter_id: str) -> None:
        """Forget one that was brought in."""
        self._client.remove_adapter(adapter_id)

    def export_adapter(self, one: AdapterEntry, target: Path, tell: Tell) -> None:
        """Copy it, whole or not at all."""
        copy_adapter(one, target, tell)

    def shrink_adapter(self, asked: WriteAdapter) -> AdapterEntry:
        """Write one anew into a folder that goes afterwards, and bring it in from there."""
        with tempfile.TemporaryDirectory(prefix="forge-adapter-") as folder:
            file = str(Path(folder) / f"smaller{SUFFIX}")
            self.query("write_adapter", asked.model_copy(update={"to": file}).model_dump(mode="json"))
            return self._client.import_adapter(ImportAdapter(path=file, name=asked.name))


def copy_adapter(one: AdapterEntry, target: Path, tell: Tell) -> None:
    """Copy a file, or the folder where the target is none; raises UserError where it is gone or cannot be written."""
    single = target.name.endswith(SUFFIX)
    source = Path(one.path if single else one.folder or "/nowhere")
    if not source.exists():
        raise NotFound("adapters.file_missing", name=one.name, path=str(source))
    if single:
        with aside(target) as made:
            _copy([(source, made)], tell)
        return
    if target.exists():
        raise Conflict("download.exists", target=str(target))
    made = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    files = [file for file in sorted(source.rglob("*")) if file.is_file()]
    try:
        with plain_words(target):
            _copy([(file, made / file.relative_to(source)) for file in files], tell)
            made.rename(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _copy(files: Sequence[tuple[Path, Path]], tell: Tell) -> None:
    total, done = sum(source.stat().st_size for source, _place in files), 0
    for source, place in files:
        place.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as read, place.open("wb") as written:
            while piece := read.read(PIECE):
                written.write(piece)
                done += len(piece)
                tell(done, total)
