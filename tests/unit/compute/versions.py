"""Versions of the library for tests, made in a moment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.compute.data.store.making import Making
from engine.contract.data_format import Mapping
from engine.contract.datasets import ImportSource, Manifest


def make_version(folder: Path, rows: Iterable[dict[str, Any]], form: str = "", shard_rows: int = 7) -> Path:
    """A version of the library with these rows, without the checks of an import; its folder."""
    making = Making(folder / ".making-r1", "key", shard_rows=shard_rows)
    for line, row in enumerate(rows, 1):
        content = json.dumps(row, ensure_ascii=False)
        making.add(0, line, content, len(content))
        form = form or ("messages" if "messages" in row else "prompt_completion" if "prompt" in row else "text")
        if making.full:
            making.cut({"rows": making.rows})
    making.cut({"rows": making.rows})
    manifest = Manifest(
        hash=making.fingerprint(form, Mapping()), format=form, rows=making.rows, files=["rows.jsonl"],
        shards=making.progress.shards, source=ImportSource(place="rows.jsonl"),
    )  # fmt: skip
    return making.finish(manifest, folder)[0]
