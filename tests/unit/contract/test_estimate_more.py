"""What else a forecast counts: frozen layers, a critic, a teacher, weights that are parted."""

from __future__ import annotations

import pytest

from engine.contract.estimate import estimate
from engine.contract.fitting import SPARE, fit
from engine.contract.ladder import Known, rungs
from engine.contract.load import Load, load_of
from engine.contract.model_shape import ModelShape, shape_of
from engine.contract.run_spec import TrainJob
from tests.unit.contract.test_estimate import QWEN_05B

GB = 1 << 30


def shape() -> ModelShape:
    found = shape_of(QWEN_05B)
    assert found is not None
    return found


def job(stage: str = "sft", **groups: object) -> TrainJob:
    usual = {"model": {"path": "m"}, "data": {"train": [{"path": "d"}], "max_length": 512}, "stage": stage}
    return TrainJob.model_validate({**usual, **groups})


def test_that_only_layers_that_learn_have_gradients_and_state() -> None:
    whole = estimate(shape(), load_of(job(tuner={"kind": "full"})))
    some = estimate(shape(), load_of(job(tuner={"kind": "freeze", "layers": 2})))
    inside = shape().in_layers * 2 / shape().layers
    assert some.parts["optimiser"] == pytest.approx(8 * inside)
    assert some.parts["weights"] == whole.parts["weights"]
    assert some.parts["activations"] < whole.parts["activations"] / 5  # nothing is kept before the first that learns
    first = estimate(shape(), load_of(job(tuner={"kind": "freeze", "layers": -2})))
    assert some.parts["activations"] < first.parts["activations"] < whole.parts["activations"]


def test_that_named_modules_learn_beside_them() -> None:
    tuner = {"kind": "freeze", "layers": 0, "modules_to_save": ["embed_tokens", "model.layers.0.mlp.up_proj"]}
    found = estimate(shape(), load_of(job(tuner=tuner))).parts["optimiser"]
    up = next(one for one in shape().linear if one.name == "up_proj")
    assert found == pytest.approx(8 * (shape().embedding + up.inputs * up.outputs * up.count))


def test_that_a_critic_is_counted() -> None:
    load = load_of(job("ppo", rollouts={"rewards": [{"kind": "length"}]}))
    assert load.critic
    without = estimate(shape(), load.model_copy(update={"critic": False})).parts
    assert estimate(shape(), load).parts["optimiser"] - without["optimiser"] == 8 * (shape().hidden + 1)
    assert not load_of(job("grpo", rollouts={"rewards": [{"kind": "length"}]})).critic


def test_that_a_teacher_takes_room_from_what_fits() -> None:
    learning = job("gkd", teacher={"path": "t"}, training={"micro_batch_size": 8, "accumulation": 4})
    enough = round(fit(learning, Known(shape=shape(), device="cuda"), 200 * GB).total / (1 - SPARE) * 1.005)
    alone, taught = (fit(learning, Known(shape=shape(), device="cuda", teacher=one), enough) for one in (None, shape()))
    name = "training.micro_batch_size"
    assert taught.changes[name] < alone.changes[name]
    assert taught.fits


def test_that_rungs_are_reckoned_beside_the_frozen_models_of_an_attempt() -> None:
    learning = job("gkd", teacher={"path": "t"})
    known = Known(shape=shape(), width=512)
    plain, beside = (rungs(learning, known.model_copy(update={"beside": size})) for size in (0, GB))
    assert [rung.saved for rung in plain] == [rung.saved for rung in beside]  # a teacher stays as it is


def test_that_parted_weights_are_whole_between_two_steps() -> None:
    small = Load(full=True, rows=1, width=8, parted=4, members=4, device="cuda")
    weights = 4 * shape().parameters
    assert estimate(shape(), small).tensors == pytest.approx(weights * 1.25 + 2 * weights / 4, rel=0.01)
    large = small.model_copy(update={"rows": 64, "width": 1024})
    assert estimate(shape(), large).parts["weights"] < weights * 0.6
    assert estimate(shape(), large).total < estimate(shape(), large.model_copy(update={"parted": 1})).total
