"""An archive loses the layers it is told to, and nothing else; what is shared is counted from the bottom."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from engine.control.executors.docker.archive import layer_files, shared_layers, without


def archive(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("same/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../a/layer.tar"
        tar.addfile(link)
    return made.getvalue()


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[begin : begin + size] for begin in range(0, len(content), size))


def read(content: bytes) -> dict[str, bytes | str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {m.name: tar.extractfile(m).read() if m.isreg() else m.linkname for m in tar}


LETTERS = st.sampled_from("abcdef")


@given(st.dictionaries(LETTERS, st.binary(max_size=3000)), st.sets(LETTERS), st.integers(1, 5000))
def test_only_what_is_named_is_left_out(contents: dict[str, bytes], gone: set[str], size: int):
    files = {f"{name}/layer.tar": content for name, content in contents.items()}
    left_out = {f"{name}/layer.tar" for name in gone}
    whole = archive(files)
    found = read(b"".join(without(cut(whole, size), left_out)))
    assert found == {name: content for name, content in read(whole).items() if name not in left_out}


def test_layers_are_found_in_their_order():
    manifest = json.dumps(
        [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["b/layer.tar", "a/layer.tar"]}]
    ).encode()
    content = archive({"a/layer.tar": b"1" * 700, "b/layer.tar": b"2", "manifest.json": manifest})
    assert layer_files(cut(content, 100)) == ["b/layer.tar", "a/layer.tar"]
    assert layer_files(cut(archive({"a/layer.tar": b""}), 512)) == []


def test_shared_layers_are_counted_from_the_bottom():
    assert shared_layers(("a", "b", "c"), [("a", "x", "c"), ("a", "b", "y")]) == 2
    assert shared_layers(("a", "b", "c"), [("b", "c")]) == 0
    assert shared_layers(("a", "b"), [("a", "b", "c")]) == 1
    assert shared_layers(("a", "b", "c"), [("a",)]) == 1
    assert shared_layers((), [("a",)]) == 0
    assert shared_layers(("a",), []) == 0
