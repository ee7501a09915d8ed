"""The part of a replay about adapters: a shelf in memory, as a test fills it."""

from __future__ import annotations

from pathlib import Path

from engine.client.download import Tell
from engine.contract.adapter_library import AdapterEntry, AdapterShelf, ImportAdapter
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.lora_card import LoRACard
from engine.contract.lora_tools import AdapterModule, AdapterView, WriteAdapter
from forge_desktop.bridge.controller_adapters import copy_adapter


class ReplayAdapters:
    """Reads no file: what is brought in gets a plain card."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf: list[AdapterEntry] = []
        """The newest first."""
        self.adapters_error: UserError | None = None
        """What `adapters` fails with."""
        self.import_error: UserError | None = None
        """What `import_adapter` fails with."""
        self.imports: list[ImportAdapter] = []
        self._brought: dict[str, AdapterEntry] = {}
        self.smaller: list[WriteAdapter] = []
        """What `shrink_adapter` was asked for."""

    def _answer(self) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def adapters(self) -> AdapterShelf:
        """As the controller does."""
        self._answer()
        if self.adapters_error is not None:
            raise self.adapters_error
        return AdapterShelf(adapters=list(self.shelf))

    def import_adapter(self, asked: ImportAdapter) -> AdapterEntry:
        """As the controller does, at once; a path that is there already is found again."""
        self._answer()
        self.imports.append(asked)
        if self.import_error is not None:
            raise self.import_error
        known = self._brought.get(asked.path)
        if known is not None and known in self.shelf:
            return known
        number = len(self.imports)
        card = LoRACard(name=asked.name, rank=8, alpha=16, description=asked.description, licence=asked.licence,
                        file_hash=f"{number:064x}")  # fmt: skip
        one = AdapterEntry(id=card.file_hash, origin="import", name=asked.name or Path(asked.path).name,
                           path=f"/home/adapters/{number}.lora.arrow", bytes=1_000_000, created=1e9 + number,
                           card=card)  # fmt: skip
        self.shelf.insert(0, one)
        self._brought[asked.path] = one
        return one

    def adapter_view(self, adapter_id: str) -> AdapterView:
        """As the controller does, with modules of a usual size."""
        one = self._adapter(adapter_id)
        modules = [
            AdapterModule(path=path, rank=one.card.rank_of(path), scaling=one.card.scaling_of(path), inputs=1536,
                          outputs=1536)
            for path in one.card.targets
        ]  # fmt: skip
        parameters = sum(module.rank * (module.inputs + module.outputs) for module in modules)
        return AdapterView(path=one.path, form="file", bytes=one.bytes, parameters=parameters, card=one.card,
                           modules=modules, verified=True)  # fmt: skip

    def remove_adapter(self, adapter_id: str) -> None:
        """As the controller does."""
        one = self._adapter(adapter_id)
        if one.origin == "run":
            raise Conflict("adapters.of_run", name=one.name, run=one.run_name)
        self.shelf.remove(one)

    def export_adapter(self, one: AdapterEntry, target: Path, tell: Tell) -> None:
        """As the controller does."""
        copy_adapter(one, target, tell)

    def shrink_adapter(self, asked: WriteAdapter) -> AdapterEntry:
        """Bring in something of that name."""
        self.smaller.append(asked)
        return self.import_adapter(ImportAdapter(path=asked.path, name=asked.name))

    def _adapter(self, adapter_id: str) -> AdapterEntry:
        self._answer()
        for one in self.shelf:
            if one.id == adapter_id:
                return one
        raise NotFound("adapters.unknown", id=adapter_id)
