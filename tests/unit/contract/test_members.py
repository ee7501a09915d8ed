"""Several processes that train one run: what an order for them may say."""

from __future__ import annotations

import pytest

from engine.contract.compute import Placement
from engine.contract.config_file import check_document
from engine.contract.estimate import estimate
from engine.contract.load import load_of
from engine.contract.members import members_of
from engine.contract.model_shape import read_shape
from engine.contract.paths import resources_folder
from engine.contract.run_spec import RunConfig


def document(compute, **more):
    data = {"train": [{"path": "demo", "hub": "bundled"}]}
    model = {"path": "demo", "hub": "bundled"}
    return {"name": "a", "model": model, "data": data, "compute": compute, **more}


def codes(compute, **more):
    return [(problem.code, problem.field) for problem in check_document(document(compute, **more))[1]]


@pytest.mark.parametrize(
    ("gpus", "processes", "members"), [(None, 1, 1), (0, 1, 1), (0, 3, 3), (1, 1, 1), (4, 1, 4), (None, 3, 1)]
)
def test_how_many_members_an_order_asks_for(gpus, processes, members):
    assert members_of(gpus, processes) == members


@pytest.mark.parametrize(
    ("compute", "more", "code", "field"),
    [
        ({"processes": 2}, {}, "config.processes_gpus", "compute.processes"),
        ({"gpus": 2, "processes": 2}, {}, "config.processes_gpus", "compute.processes"),
        ({"gpus": 9}, {}, "config.members_rows", "compute.gpus"),
        ({"gpus": 0, "processes": 9}, {}, "config.members_rows", "compute.processes"),
        ({"gpus": 2}, {"stage": "grpo"}, "config.members_stage", "compute.gpus"),
        ({"gpus": 2}, {"training": {"packing": "packed"}}, "config.members_alone", "training.packing"),
        ({"gpus": 2}, {"training": {"compile": True}}, "config.members_alone", "training.compile"),
        ({"gpus": 2}, {"tuner": {"kind": "lisa"}}, "config.members_alone", "tuner.kind"),
        ({"gpus": 2}, {"tuner": {"kind": "lora", "init": "eva"}}, "config.members_alone", "tuner.init"),
        ({"gpus": 2}, {"stage": "kto"}, "config.members_loss", "compute.gpus"),
        ({"gpus": 2}, {"stage": "dpo", "objective": {"loss": "aot"}}, "config.members_loss", "compute.gpus"),
        ({"gpus": 1, "strategy": "zero1"}, {}, "config.strategy_alone", "compute.strategy"),
        ({"gpus": 2, "strategy": "zero3"}, {"training": {"precision": "fp16"}}, "config.zero_form",
         "training.precision"),
        ({"gpus": 2, "strategy": "zero2"}, {"model": {"path": "demo", "hub": "bundled", "dtype": "bf16"},
         "tuner": {"kind": "full"}}, "config.zero_form", "model.dtype"),
    ],
)  # fmt: skip
def test_that_what_does_not_go_together_is_refused_by_its_setting(compute, more, code, field):
    assert (code, field) in codes(compute, **more)


@pytest.mark.parametrize(
    ("compute", "more"),
    [
        ({"gpus": 8}, {}),
        ({"gpus": 2}, {"stage": "orpo"}),
        ({"gpus": 2}, {"stage": "cpo"}),
        ({"gpus": 2}, {"stage": "dpo", "objective": {"rpo_alpha": 1.0}}),
        ({"gpus": 8, "strategy": "fsdp2"}, {}),
        ({"gpus": 8, "strategy": "zero1"}, {}),
        ({"gpus": 0, "processes": 2, "strategy": "zero3"}, {"stage": "dpo"}),
        ({"gpus": 0, "processes": 2}, {"stage": "dpo"}),
        ({"gpus": 2}, {"stage": "cpo", "objective": {"cpo_alpha": 0.0}}),
        ({"gpus": 2}, {"stage": "simpo"}),
        ({"gpus": 2}, {"stage": "reward"}),
        ({"gpus": 0, "processes": "many"}, {}),
    ],
)
def test_that_what_goes_together_is_not_refused(compute, more):
    assert not [
        code
        for code, _field in codes(compute, **more)
        if code.startswith(("config.members", "config.proc", "config.zero"))
    ]


@pytest.mark.parametrize("strategy", ["fsdp2", "zero1", "zero2", "zero3"])
def test_that_everything_that_needs_all_of_what_learns_is_named_at_once(strategy):
    more = {
        "tuner": {"kind": "ia3"}, "training": {"optimizer": "sgd"}, "guards": {"not_finite": "roll_back"},
        "model": {"path": "demo", "hub": "bundled", "quantisation": "8bit"},
    }  # fmt: skip
    found = {field for code, field in codes({"gpus": 2, "strategy": strategy}, **more) if code == "config.parted"}
    assert found == {"tuner.kind", "training.optimizer", "guards.not_finite", "model.quantisation"}


def test_that_orders_of_earlier_versions_are_read():
    assert Placement.model_validate({"gpus": 1, "ddp": False}) == Placement(gpus=1)
    assert ("config.unknown_key_plain", "compute.ddp") in codes({"ddp": True})


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_that_a_member_takes_its_share(strategy):
    spec = RunConfig.model_validate(document({"gpus": 4, "strategy": strategy}, tuner={"kind": "full"})).to_spec()
    alone, shared = load_of(spec.job, "cuda"), load_of(spec.job, "cuda", place=spec.compute)
    assert (alone.rows, shared.rows) == (8, 2)
    shape = read_shape(resources_folder() / "demo" / "model")
    whole, part = (estimate(shape, load).parts for load in (alone, shared))
    around = shape.parameters - shape.in_layers + 2 * shape.in_layers / shape.layers
    expected = shape.parameters / 4 + around if strategy == "fsdp2" else shape.parameters
    assert part["weights"] == pytest.approx(4 * expected)
    assert part["optimiser"] == whole["optimiser"] // (4 if strategy == "fsdp2" else 1)
    assert part["activations"] < whole["activations"]
