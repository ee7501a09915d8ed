"""The library of adapters: listing it, and taking in one that a helper has read, checked and written anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.contract.adapter_library import AdapterEntry, AdapterShelf
from engine.contract.clock import now
from engine.contract.durable import sync_folder
from engine.contract.errors import Conflict, NotFound
from engine.contract.ids import new_id
from engine.contract.lora_tools import AdapterView
from engine.contract.paths import Home
from engine.control.store import adapters
from engine.control.store.database import Database


class AdapterDesk:
    """Takes requests about the library. Its methods wait for disk and database: call them on a thread."""

    def __init__(self, home: Home, database: Database) -> None:
        self.home, self._database = home, database

    def shelf(self) -> AdapterShelf:
        """All of them."""
        return AdapterShelf(adapters=_looked_at(self._database.read_now(lambda c: adapters.listed(c, self.home))))

    def found(self, adapter_id: str) -> AdapterEntry:
        """One of them; raises NotFound."""
        for one in self.shelf().adapters:
            if one.id == adapter_id:
                return one
        raise NotFound("adapters.unknown", id=adapter_id[:120])

    def place_aside(self) -> Path:
        """Where a helper is to write the file."""
        self.home.adapters.mkdir(parents=True, exist_ok=True)
        return self.home.adapters / f".{new_id()}.lora.arrow"

    def take_in(self, aside: Path, view: AdapterView) -> AdapterEntry:
        """It has its place by its hash from now on; one that is there already stays as it is."""
        target = self.home.adapter(view.card.file_hash)
        aside.replace(target)
        sync_folder(self.home.adapters)
        self._database.write_now(lambda t: adapters.add(t, view.card, view.bytes, now()), durable=True)
        return self.found(view.card.file_hash)

    def remove(self, adapter_id: str) -> None:
        """Of those that were brought in; a run's goes with its run."""
        one = self.found(adapter_id)
        if one.origin == "run":
            raise Conflict("adapters.of_run", name=one.name, run=one.run_name)
        self._database.write_now(lambda t: adapters.remove(t, adapter_id), durable=True)
        self.home.adapter(adapter_id).unlink(missing_ok=True)


def _looked_at(entries: Sequence[AdapterEntry]) -> list[AdapterEntry]:
    """With what is missing marked."""
    return [
        one.model_copy(
            update={"missing": not Path(one.path).is_file(), "folder": one.folder if Path(one.folder).is_dir() else ""}
        )
        for one in entries
    ]
