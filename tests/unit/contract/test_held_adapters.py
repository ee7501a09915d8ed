"""What people made of an instance's adapters, in lines that are short enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.contract.held_adapters import AdapterChanges, HeldAdapter

NAMES = st.text(min_size=1, max_size=40)
HELD = st.builds(HeldAdapter, name=NAMES, path=NAMES, source=NAMES)
CHANGES = st.builds(AdapterChanges, loaded=st.lists(HELD, max_size=30), dropped=st.lists(NAMES, max_size=30))


@given(CHANGES, st.integers(min_value=1500, max_value=4000))
def test_that_pieces_are_short_and_all_of_it(changes, most):
    parts = list(changes.parts(most))
    assert all(len(part.model_dump_json().encode()) <= most + 30 for part in parts)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.and_then(part)
    assert whole == changes


def test_that_what_is_too_long_by_itself_is_left_out_alone():
    long, short = HeldAdapter(name="long", path="/" + "p" * 4000), HeldAdapter(name="short", path="/p")
    (part,) = AdapterChanges(loaded=[long, short]).parts(1000)
    assert part.loaded == [short]


def test_that_nothing_is_a_piece_too():
    assert list(AdapterChanges().parts(1000)) == [AdapterChanges()]
