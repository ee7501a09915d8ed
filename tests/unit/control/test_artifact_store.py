"""Artefacts by content: the same in a folder and in a bucket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.control.executors.artifact_store import (
    MARK,
    DamagedEntry,
    FileSystemStore,
    StoredFile,
    local_store,
    s3_store,
)
from engine.control.executors.docker.whole import sha256, tree_digest
from tests.helpers.s3 import s3_double

Damage = Callable[[str], None]
Keys = Callable[[], list[str]]


@pytest.fixture
def content(tmp_path: Path) -> tuple[Path, str, list[StoredFile]]:
    folder = tmp_path / "content"
    (folder / "sub").mkdir(parents=True)
    (folder / "large").write_bytes(os.urandom(20 << 20))
    (folder / "sub" / "small").write_bytes(b"x")
    (folder / "empty").touch()
    names = ["large", "sub/small", "empty"]
    files = [StoredFile(name, (folder / name).stat().st_size, sha256(folder / name)) for name in names]
    return folder, tree_digest({file.name: file.sha256 for file in files}), files


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path: Path) -> Iterator[tuple[FileSystemStore, Damage, Keys]]:
    if request.param == "folder":
        root = tmp_path / "store"
        keys = lambda: [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]  # noqa: E731
        yield local_store(root), lambda key: (root / key).write_bytes(b"damaged") and None, keys
        return
    with s3_double() as (bucket, address):
        options = {"access_key": "key", "secret_key": "secret", "region": "here", "scheme": "http"}
        made = s3_store("bucket", "forge", endpoint_override=address, **options)
        damage = lambda key: bucket.objects.__setitem__(f"forge/{key}", b"damaged")  # noqa: E731
        yield made, damage, lambda: [key.removeprefix("forge/") for key in bucket.objects if not key.endswith("/")]


def test_that_what_is_put_comes_back(store, content, tmp_path):
    made, _, keys = store
    folder, digest, files = content
    assert not made.has(digest)
    assert made.listed() == []
    told: list[int] = []
    made.put(digest, files, folder, told.append)
    assert sum(told) == sum(file.bytes for file in files)
    assert made.has(digest)
    assert made.listed() == [digest]
    made.fetch(digest, tmp_path / "back")
    assert {file.name: sha256(tmp_path / "back" / file.name) for file in files} == {
        file.name: file.sha256 for file in files
    }
    made.put(digest, files, folder / "nowhere")  # there already: nothing is read
    made.remove(digest)
    made.remove(digest)
    assert not made.has(digest)
    assert keys() == []


def test_that_a_damaged_file_is_refused(store, content, tmp_path):
    made, damage, _ = store
    folder, digest, files = content
    made.put(digest, files, folder)
    damage(f"{digest}/sub/small")
    with pytest.raises(DamagedEntry):
        made.fetch(digest, tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir() if "back" in path.name] == []


def test_that_half_an_entry_is_none_and_goes_on(store, content, tmp_path):
    made, _, _ = store
    folder, digest, files = content
    told: list[int] = []

    def breaks(size: int) -> None:
        told.append(size)
        if len(told) == 4:
            raise OSError("the line was cut")

    with pytest.raises(OSError, match="cut"):
        made.put(digest, files, folder, breaks)
    assert not made.has(digest)
    assert made.listed() == []
    made.put(digest, files, folder)
    made.fetch(digest, tmp_path / "back")


def test_that_what_goes_from_a_bucket_while_it_is_read_is_not_there(content):
    folder, digest, files = content
    with s3_double() as (bucket, address):
        options = {"access_key": "key", "secret_key": "secret", "region": "here", "scheme": "http"}
        made = s3_store("bucket", "forge", endpoint_override=address, **options)
        made.put(digest, files, folder, about={"name": "a"})
        assert made.about(digest) == {"name": "a"}
        bucket.goes_when_asked = MARK
        with pytest.raises(FileNotFoundError):
            made.about(digest)


def test_that_nothing_leads_out(store, content):
    made, _, _ = store
    folder, digest, _ = content
    for name in ("../x", "/etc/x"):
        with pytest.raises(ValueError):
            made.put(digest, [StoredFile(name, 1, "0")], folder)
    with pytest.raises(ValueError):
        made.has("../x")


def test_a_bucket_that_refuses(content, tmp_path):
    folder, digest, files = content
    with s3_double() as (bucket, address):
        made = s3_store("bucket", endpoint_override=address, access_key="k", secret_key="s", region="r", scheme="http")
        bucket.refuse_after = 1
        with pytest.raises(OSError):
            made.put(digest, files, folder)
        assert not made.has(digest)
        bucket.refuse_after = None
        made.put(digest, files, folder)
        made.fetch(digest, tmp_path / "back")
