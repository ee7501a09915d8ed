"""What a model needs at the least: from its files, never more than it takes."""

import json

import pytest

from engine.contract.estimate import CONTEXT_BYTES
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.contract.scratch import preset
from engine.contract.scratch_shape import parameters_of
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


def test_that_a_run_that_samples_needs_its_model(tmp_path):
    model = {"path": str(make_spec(tmp_path).job.model.path)}
    write(tmp_path / "model" / "model.safetensors", "BF16", 40_000)
    job = {"kind": "sample", "dataset": "answers", "model": model, "source": {"path": "demo", "hub": "bundled"}}
    spec = RunSpec.model_validate({"name": "sample", "job": job})
    needs = Needs(Home(tmp_path / "home"))
    needs.learn(spec)
    assert needs.of(recipe_of(spec)) == pytest.approx(40_000, rel=0.02)


def test_that_what_cannot_be_read_is_not_known_and_keeps_nobody_waiting(tmp_path):
    spec = make_spec(tmp_path)  # its file of weights is no safetensors
    needs = Needs(Home(tmp_path / "home"))
    needs.learn(spec)
    assert not needs.of(recipe_of(spec))
    away = make_spec(tmp_path)
    (tmp_path / "model" / "model.safetensors").unlink()
    needs.learn(away)
    assert needs.of(recipe_of(away)) is None


def test_that_a_model_from_scratch_needs_what_its_form_comes_to(tmp_path):
    base = make_spec(tmp_path).model_dump(mode="json")
    base["job"] |= {"model": {"path": "new", "hub": "scratch"}, "stage": "pretrain", "tuner": {"kind": "full"}}
    needs, found = Needs(Home(tmp_path / "home")), []
    for size in ("2m", "20m"):
        spec = RunSpec.model_validate({**base, "job": {**base["job"], "scratch": preset("llama", size)}})
        numbers = parameters_of(spec.job.scratch, spec.job.scratch.vocabulary).total
        found.append(needs.of(recipe_of(spec)))
        assert found[-1] == CONTEXT_BYTES + 16 * numbers  # weights, gradients and two moments in fp32
    assert found[0] < found[1]
    taken = {**preset("llama", "2m"), "tokenizer": "folder", "tokenizer_path": "/far"}
    spec = RunSpec.model_validate({**base, "job": {**base["job"], "scratch": taken}})
    assert needs.of(recipe_of(spec)) is None
