"""What a model needs at the least: from its files, never more than it takes."""

import json

import pytest

from engine.contract.paths import Home
from engine.control.jobs.need import Needs, recipe_of
from tests.helpers.controller import make_spec


def write(file, dtype, size):
    header = json.dumps({"__metadata__": {}, "w": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * size)


@pytest.mark.parametrize(("dtype", "held"), [("F32", 0.5), ("BF16", 1.0), ("F16", 1.0), ("F64", 0.25)])
def test_that_weights_count_at_two_bytes_a_number(tmp_path, dtype, held):
    spec = make_spec(tmp_path)
    write(tmp_path / "model" / "model.safetensors", dtype, 40_000)
    needs = Needs(Home(tmp_path / "home"))
    assert needs.of(recipe_of(spec)) is None
    needs.learn(spec)
    assert needs.of(recipe_of(spec)) == pytest.approx(40_000 * held, rel=0.02)


def test_that_what_cannot_be_read_is_not_known_and_keeps_nobody_waiting(tmp_path):
    spec = make_spec(tmp_path)  # its file of weights is no safetensors
    needs = Needs(Home(tmp_path / "home"))
    needs.learn(spec)
    assert not needs.of(recipe_of(spec))
    away = make_spec(tmp_path)
    (tmp_path / "model" / "model.safetensors").unlink()
    needs.learn(away)
    assert needs.of(recipe_of(away)) is None
