"""The file in which checks keep what they know: nothing is lost, nothing is copied, damage is seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compute.data.store.state_file import read_state, write_state

STATES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8) | st.binary(max_size=64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(state=STATES)
def test_that_what_is_written_is_read(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("state") / "a.state"
    assert read_state(path, write_state(path, state)) == state


def test_that_arrays_lie_in_it_as_they_are_and_can_grow_again(tmp_path):
    rows, sketches = bytearray(b"abc"), np.arange(256, dtype=np.uint8).reshape(2, 128)
    nothing = np.zeros((0, 128), np.uint8)
    path = tmp_path / "a.state"
    sha256 = write_state(path, {"rows": rows, "sketches": sketches, "nothing": nothing})
    rows += b"more"  # a lent array that was not given back could not
    assert path.read_bytes().endswith(b"abc" + sketches.tobytes())
    assert read_state(path, sha256) == {"rows": b"abc", "sketches": sketches.tobytes(), "nothing": b""}
    assert [found.name for found in tmp_path.iterdir()] == ["a.state"]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"x", lambda data: b""])
def test_that_damage_is_seen(tmp_path, damage):
    path = tmp_path / "a.state"
    sha256 = write_state(path, {"rows": b"abc"})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="not as it was written"):
        read_state(path, sha256)
