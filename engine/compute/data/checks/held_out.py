"""Rows that must not be learned from: those of the versions held out, by what they read and by how alike they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from engine.compute.data.checks.duplicates import Digests
from engine.compute.data.checks.near import Sketches, alike
from engine.compute.data.checks.row import CheckedRow
from engine.compute.data.formats import BadRow, convert
from engine.contract.datasets import MANIFEST, CheckOptions
from engine.contract.paths import Home


class HeldOut:
    """The rows of the versions an import is checked against, read once, when the first comparison needs them."""

    def __init__(self, options: CheckOptions, earlier: Sequence[bytes], folders: Sequence[Path] | None) -> None:
        self._share = options.near_duplicates
        given = list(folders) if folders is not None else [Home.find().dataset(name) for name in options.against]
        self._folders = [folder for folder in given if (folder / MANIFEST).is_file()]
        self.fingerprints = frozenset(earlier) if not self._folders else frozenset[bytes]()
        """Of held-out rows as they were kept, where the versions themselves are not here."""
        self._digests, self._sketches = Digests(), Sketches()
        self._begins = list[tuple[int, str]]()
        self._read = False

    @property
    def near(self) -> bool:
        """Likeness to held-out rows is looked for."""
        return bool(self._folders and self._share)

    def same(self, digests: Digests) -> Iterator[tuple[int, int, str]]:
        """Rows that read the same as one held out: row, its place there, and the version's beginning."""
        self._gather()
        for row, place in digests.among(self._digests):
            yield row, *self._place(place)

    def like(self, matrix: np.ndarray) -> Iterator[tuple[int, int, str, float]]:
        """Rows nearly alike to one held out."""
        if not self.near:
            return
        self._gather()
        for row, place, share in alike(self._sketches.matrix(), matrix, self._share or 1.0):
            yield row, *self._place(place), share

    def _place(self, place: int) -> tuple[int, str]:
        begin, name = next((entry for entry in reversed(self._begins) if entry[0] <= place), (0, ""))
        return place - begin, name

    def _gather(self) -> None:
        if self._read:
            return
        self._read = True
        from engine.compute.data.store import open_version

        for folder in self._folders:
            self._begins.append((len(self._digests), folder.name[:12]))
            version = open_version(folder)
            manifest = version.manifest
            for record in version.records(0, len(version)):
                try:
                    row = CheckedRow.of(0, record, convert(record, manifest.format, 0, manifest.mapping))
                    digest, body = row.digest, row.body
                except BadRow:  # a place must stay a place
                    digest, body = bytes(16), ""
                self._digests.add(digest)
                if self._share:
                    self._sketches.add(body)
