"""A chat as Markdown or JSON, and what was preferred as a dataset of the library."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.contract.api import RunSummary
from engine.contract.datasets import ImportJob, ImportSource
from engine.contract.durable import write_durably
from engine.contract.errors import UserError
from engine.contract.run_spec import RunSpec
from forge_desktop.bridge.backend import Backend
from forge_desktop.models.chat_batch import cell_of, title_of
from forge_desktop.models.chat_turns import AUTO, BASE, Chat, to_plain
from forge_desktop.theme.language import tr


def as_markdown(chat: Chat, base: str) -> str:
    """To be read."""
    parts = [f"# {tr('Playground')}: {base}\n"]
    if chat.system.strip():
        parts.append(f"**{tr('System prompt')}**\n\n{chat.system}\n")
    names = {one.id: title_of(one, base) for one in chat.columns}
    for turn in chat.turns:
        parts.append(f"## {tr('Message')}\n\n{turn.user}\n")
        for column, said in turn.answers.items():
            name = names.get(column, said.by) if said.by in (BASE, AUTO) else said.by
            name += f": {said.routed or base}" if said.routed is not None else ""
            mark = f" ({tr('Preferred')})" if said.preferred else ""
            parts.append(f"### {name}{mark}\n\n{cell_of(said)}\n")
    return "\n".join(parts)


def as_json(chat: Chat, base: str) -> str:
    """To be read by programs."""
    return json.dumps({"model": base, **to_plain(chat)}, ensure_ascii=False, indent=1)


def write(file: Path, content: bytes) -> Callable[[], str]:
    """Work that writes a file, for a thread; the path is its answer."""

    def work() -> str:
        try:
            write_durably(file, content)
        except OSError as error:
            raise UserError("desktop.file_unwritable", file=str(file), detail=error.strerror or str(error)) from error
        return str(file)

    return work


def lines_of(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows as JSONL."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def dataset_name(text: str) -> str:
    """A text as the name of a dataset, which has no signs of paths and none that cannot be seen."""
    return re.sub(r"[\x00-\x1f/\\]+", "-", text)


def import_pairs(name: str, rows: Sequence[dict[str, Any]]) -> Callable[[Backend], RunSummary]:
    """Work that brings preferences into the library: sent as a file, imported as any other."""
    content = lines_of(rows)

    def work(backend: Backend) -> RunSummary:
        with tempfile.TemporaryDirectory(prefix="forge-preferences-") as folder:
            file = Path(folder, "preferences.jsonl")
            file.write_bytes(content)
            sent = backend.upload(file, lambda _done, _total: None)
        source = ImportSource(kind="upload", place=sent.uid, name=file.name)
        job = ImportJob(dataset=name, source=source, format="preference")
        return backend.create(RunSpec(name=tr("Import {name}", name=name)[:120], job=job), True)

    return work
