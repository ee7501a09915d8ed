"""What the columns of a dataset are told to be."""

from __future__ import annotations

import base64

import pytest

from engine.compute.data.columns import MOST_COLUMNS, ColumnFacts, kind_of


def raw(data: bytes) -> dict:
    return {"bytes": {"base64": base64.b64encode(data + bytes(20)).decode()}, "path": None}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "empty"),
        ("", "empty"),
        ([], "empty"),
        ("a text.", "text"),
        ("see cat.png for more", "text"),
        ("two lines\ncat.png", "text"),
        (True, "truth"),
        (3, "number"),
        (0.5, "number"),
        ({"a": 1}, "object"),
        ([1, 2], "list"),
        ([{"role": "user", "content": "x"}], "turns"),
        ([{"from": "human", "value": "x"}], "turns"),
        ([{"a": 1}], "list"),
        ("pictures/cat.PNG", "image"),
        ("https://example.com/cat.jpeg?size=2", "image"),
        (["a.jpg", "b.jpg"], "image"),
        ("data:image/png;base64,iVBOR", "image"),
        ("data:text/plain,hello", "text"),
        ("sound.flac", "audio"),
        ("film.mp4", "video"),
        (raw(b"\x89PNG\r\n"), "image"),
        (raw(b"RIFF\x00\x00\x00\x00WEBP"), "image"),
        (raw(b"RIFF\x00\x00\x00\x00WAVE"), "audio"),
        (raw(b"\x00\x00\x00\x18ftypmp42"), "video"),
        ({"path": "a.wav", "array": [0.1], "sampling_rate": 16000}, "audio"),
        (raw(b"plain bytes"), "object"),
    ],
)
def test_that_values_are_told_apart(value, kind):
    assert kind_of(value) == kind


def test_that_facts_go_on_from_a_state_and_are_bounded():
    facts = ColumnFacts()
    for row in range(30):
        facts.add(
            {"text": "a" if row % 3 else "", "n": row, **({"odd": [row]} if row % 2 else {"odd": "x"})}, row, 0, row
        )
    again = ColumnFacts(facts.state())
    assert again.columns() == facts.columns()
    assert [(column.name, column.kind, column.filled) for column in facts.columns()] == [
        ("text", "text", 0.6667),
        ("n", "number", 1.0),
        ("odd", "mixed", 1.0),
    ]
    for row in range(3):
        facts.add({f"c{row}-{number}": 1 for number in range(MOST_COLUMNS)}, row, 0, row)
    assert len(facts.columns()) == MOST_COLUMNS
