"""The zip of a folder: its bytes are known beforehand, and any piece of it can be had by itself."""

from __future__ import annotations

import io
import random
import tempfile
import zipfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.api.archive import Archive
from engine.control.api.files import first_byte

NAMES = st.sampled_from(["a.json", "b/c.bin", "b/d.txt", "权重.safetensors", "e", "z z/f"])


@settings(max_examples=40)
@given(st.dictionaries(NAMES, st.integers(0, 5000), max_size=5), st.data())
def test_that_any_piece_is_that_of_the_whole(files, data):
    with tempfile.TemporaryDirectory() as name:
        folder, chance = Path(name), random.Random(1)
        content = {path: chance.randbytes(size) for path, size in files.items()}
        for path, body in content.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
        whole = b"".join(Archive(folder).pieces())
        assert len(whole) == Archive(folder).size
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            assert archive.testzip() is None
            assert {entry: archive.read(entry) for entry in archive.namelist()} == content
        start = data.draw(st.integers(0, len(whole)))
        assert b"".join(Archive(folder).pieces(start)) == whole[start:]


def test_that_a_changed_file_changes_the_mark(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    before = Archive(tmp_path).mark()
    assert Archive(tmp_path).mark() == before
    (tmp_path / "a").write_bytes(b"four")
    assert Archive(tmp_path).mark() != before


def test_where_an_answer_begins():
    assert first_byte("bytes=5-", '"e"', '"e"', 10) == 5
    assert first_byte("bytes=5-", None, '"e"', 10) == 5
    assert first_byte("bytes=5-", '"other"', '"e"', 10) == 0
    assert first_byte("bytes=10-", '"e"', '"e"', 10) == 0
    assert first_byte("bytes=2-4,6-", '"e"', '"e"', 10) == 0
    assert first_byte(None, None, '"e"', 10) == 0
