"""The place where what runs made lies a second time: a folder or a bucket, with a store for each run and kind.

<root>/runs/<uid>/checkpoints/<digest>/…      by the digest of their files; the mark has the checkpoint's name
<root>/runs/<uid>/results/<digest>/…          by the sum the worker wrote into its journal
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from engine.contract.artifact_place import bucket_of, endpoint_of
from engine.contract.checkpoints import MANIFEST
from engine.contract.errors import Unreachable, UserError
from engine.control.executors.artifact_store import DamagedEntry, FileSystemStore, StoredFile, local_store, s3_store
from engine.control.executors.docker.whole import check_checkpoint, sha256, tree_digest

Kind = Literal["checkpoints", "results"]
CONNECT_S = 10
SILENT_S = 60
TRIES = 3
LONGEST = 500
REFUSED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT_MATCH", "InvalidAccessKeyId", "HTTP status 403")
NO_BUCKET = ("NO_SUCH_BUCKET", "NoSuchBucket", "does not exist")
HOME_REGION = "us-east-1"
"""Of services that have none; they do not look at it."""


class Place:
    """Opened for as long as the settings name it. Its methods wait for it: call them on a thread."""

    def __init__(self, name: str, endpoint: str = "", region: str = "", keys: str = "") -> None:
        self.name = name
        self._bucket = bucket_of(name)
        self._options: dict[str, Any] = {}
        if self._bucket is not None:
            if not keys:
                raise UserError("artifacts.no_keys", place=name)
            self._options = _options(endpoint, region, keys)

    def store(self, kind: Kind, uid: str) -> FileSystemStore:
        """Of one run."""
        return self._below(f"runs/{uid}/{kind}")

    def forget(self, uid: str) -> None:
        """Everything of a run goes."""
        kinds: tuple[Kind, ...] = ("checkpoints", "results")
        for kind in kinds:
            self.store(kind, uid).clear()

    def try_out(self) -> None:
        """Put something there, read it back and let it go."""
        store = self._below(f"check/{secrets.token_hex(8)}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "words"
            path.write_bytes(secrets.token_bytes(64))
            digest, files = result_of(path)
            store.put(digest, files, path.parent)
            good = store.verify(digest)
            store.clear()
        if not good:
            raise DamagedEntry("what was put there is not what was read")

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """What is in the way, in plain words."""
        try:
            yield
        except DamagedEntry as error:
            raise UserError("artifacts.damaged", place=self.name, detail=str(error)) from error
        except (OSError, ValueError) as error:  # pyarrow's errors are both
            text = " ".join(str(error).split())[:LONGEST]
            code = "artifacts.unreachable"
            if self._bucket is not None and any(word in text for word in REFUSED):
                code = "artifacts.refused"
            elif self._bucket is not None and any(word in text for word in NO_BUCKET):
                code = "artifacts.no_bucket"
            raise Unreachable(code, place=self.name, detail=text) from error

    def _below(self, relative: str) -> FileSystemStore:
        if self._bucket is None:
            if not Path(self.name).is_dir():  # a disk that is not there must not be made up for
                raise OSError(f"the folder {self.name} is not there")
            return local_store(Path(self.name) / relative)
        bucket, prefix = self._bucket
        return s3_store(bucket, "/".join(filter(None, [prefix, relative])), **self._options)


def _options(endpoint: str, region: str, keys: str) -> dict[str, Any]:
    from pyarrow import fs

    access, _, secret = keys.partition(":")
    found: dict[str, Any] = {
        "access_key": access, "secret_key": secret, "region": region or HOME_REGION, "connect_timeout": CONNECT_S,
        "request_timeout": SILENT_S, "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
        "background_writes": False,
    }  # fmt: skip
    if (named := endpoint_of(endpoint)) is not None:
        found["scheme"], found["endpoint_override"] = named
    return found


def checkpoint_of(folder: Path) -> tuple[str, list[StoredFile]]:
    """A checkpoint as an entry; raises Damaged if it is not as its manifest says."""
    manifest = check_checkpoint(folder)
    files = [StoredFile(name, mark.bytes, mark.sha256) for name, mark in manifest.files.items()]
    files.append(_file(folder, folder / MANIFEST))
    return tree_digest({file.name: file.sha256 for file in files}), files


def result_of(path: Path) -> tuple[str, list[StoredFile]]:
    """A result, file or folder, as an entry of its sum in the journal. The files lie below its parent, or below it."""
    if path.is_file():
        file = _file(path.parent, path)
        return file.sha256, [file]
    files = [_file(path, file) for file in sorted(path.rglob("*")) if file.is_file()]
    return tree_digest({file.name: file.sha256 for file in files}), files


def _file(folder: Path, path: Path) -> StoredFile:
    return StoredFile(path.relative_to(folder).as_posix(), path.stat().st_size, sha256(path))
