"""Every optimiser: it learns and goes on bit for bit, or is refused by the name of what is missing; every schedule."""

import importlib.util
import json
import math

import pytest
import tiny
import torch
from helpers import Attempt
from test_resume import again, losses

from engine.compute.training.kernels import why_not_compiled
from engine.compute.training.optimizers import (
    Muon,
    eight_bit_here,
    make_muon,
    plain_state,
    schedule_arguments,
    whole_state,
)
from engine.contract.config_file import check_document
from engine.contract.optimizers import OPTIMIZERS
from engine.contract.training import Schedule, TrainingConfig

OPTIONS = {
    "adamw_torch": {"beta1": 0.8, "eps": 1e-6}, "sgd": {"momentum": 0.9, "nesterov": True},
    "rmsprop": {"alpha": 0.9, "centered": True}, "muon": {"ns_steps": 3, "beta1": 0.8},
    "galore_adamw": {"rank": 4, "update_proj_gap": 2}, "galore_adafactor": {"rank": 4, "update_proj_gap": 2},
    "apollo_adamw": {"rank": 4, "update_proj_gap": 2},
}  # fmt: skip
"""Given to some, so that options are seen to arrive."""


def recipe(tmp_path, name: str, **training) -> dict:
    train = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(24))
    kind = "full" if OPTIMIZERS[name].low_rank else "lora"
    return {
        "data": {"train": [{"path": str(train)}]},
        "tuner": {"kind": kind, "rank": 4},
        "training": {
            "max_steps": 6, "micro_batch_size": 4, "learning_rate": 1e-2, "optimizer": name,
            "optimizer_options": OPTIONS.get(name, {}), **training,
        },
        "checkpoints": {"every_minutes": None, "every_steps": 3, "keep_last": 100},
    }  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_that_it_learns_and_goes_on_bit_for_bit_or_says_what_is_missing(attempt, tmp_path, name):
    chosen = OPTIMIZERS[name]
    whole: Attempt = attempt(**recipe(tmp_path, name))
    missing = bool(chosen.package) and importlib.util.find_spec(chosen.package) is None
    if missing or chosen.cuda:
        assert whole.run() == 1
        assert whole.end.error.code == ("package.missing" if missing else "package.needs_cuda")
        assert not whole.of("step")
        return
    assert whole.run() == 0, whole.end
    found = losses(whole)
    assert len(found) == 6
    assert all(math.isfinite(value) for pair in found.values() for value in pair)
    assert len({loss for loss, _ in found.values()}) == 6
    resumed = again(whole, 3)
    assert resumed.run() == 0, resumed.end
    assert losses(resumed) == {step: pair for step, pair in found.items() if step > 3}


def test_that_options_change_what_is_learned(attempt, tmp_path):
    def last(number, **options):
        made: Attempt = attempt(**recipe(tmp_path / str(number), "sgd", optimizer_options=options))
        assert made.run() == 0, made.end
        return losses(made)[6]

    for number in range(2):
        (tmp_path / str(number)).mkdir()
    assert last(0) != last(1, momentum=0.9)


def test_that_muon_takes_the_matrices_inside_and_adam_the_rest():
    model = tiny.make_model()
    made = make_muon(model, TrainingConfig(optimizer="muon", weight_decay=0.1))
    assert isinstance(made, Muon)
    inner, around = made.param_groups
    names = {id(weight): name for name, weight in model.named_parameters()}
    assert all("layers" in names[id(weight)] and weight.ndim == 2 for weight in inner["params"])
    assert {"embed", "norm"} <= {part for w in around["params"] for part in ("embed", "norm") if part in names[id(w)]}
    assert (inner["weight_decay"], around["weight_decay"]) == (0.1, 0.0)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    model(input_ids=torch.arange(20).reshape(1, 20), labels=torch.arange(20).reshape(1, 20)).loss.backward()
    for group in made.param_groups:
        group["lr"] = 1e-2
    made.step()
    assert all(not torch.equal(before[name], weight) for name, weight in model.named_parameters())
    kept = json.loads(json.dumps([len(entry) for entry in made.state_dict()["state"].values()]))
    other = make_muon(model, TrainingConfig(optimizer="muon"))
    other.load_state_dict(made.state_dict())
    assert [len(entry) for entry in other.state_dict()["state"].values()] == kept
    assert other.param_groups[0]["lr"] == 1e-2


def test_that_only_known_objects_come_back_from_a_saved_state():
    plain = {"state": {0: {"projector": {"forge_projector": "os:system", "rank": 4}}}, "param_groups": []}
    with pytest.raises(ValueError, match="nothing that an optimiser keeps"):
        whole_state(plain)
    tensors = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}
    assert whole_state(plain_state(tensors)) == tensors


@pytest.mark.parametrize("schedule", Schedule.__args__)
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_that_every_schedule_rises_falls_and_stops_where_it_should(schedule, floor):
    from transformers import get_scheduler

    steps = 40
    config = TrainingConfig(schedule=schedule, schedule_floor=floor, warmup_share=0.1, schedule_cycles=2)
    given = schedule_arguments(config, steps)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=config.learning_rate)
    made = get_scheduler(given["lr_scheduler_type"], optimizer, 4, steps, given.get("lr_scheduler_kwargs"))
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"] / config.learning_rate)
        optimizer.step()
        made.step()
    end = optimizer.param_groups[0]["lr"] / config.learning_rate
    begin = floor if schedule == "wsd" else 0.0  # that one rises from where it will fall to
    assert rates[:4] == pytest.approx([begin + (1 - begin) * share for share in (0, 0.25, 0.5, 0.75)])
    assert max(rates) == pytest.approx(1.0)
    lowest = floor if schedule in ("cosine", "polynomial", "wsd") else 0.0
    if schedule == "constant":
        assert end == 1.0
    elif schedule == "inverse_sqrt":
        assert rates[4:] == sorted(rates[4:], reverse=True)
    else:
        assert end == pytest.approx(lowest, abs=1e-6)
    if schedule == "wsd":
        assert rates[4:32] == [pytest.approx(1.0)] * 28
        assert rates[33] < 1.0


@pytest.mark.parametrize(("training", "tuner", "codes"), [
    ({"optimizer": "galore_adamw"}, {"kind": "lora"}, {"config.low_rank_adapter"}),
    ({"optimizer": "galore_adamw"}, {"kind": "full"}, set()),
    ({"optimizer": "muon"}, {"plus_ratio": 16}, {"config.plus_with_optimizer"}),
    ({"optimizer": "sgd", "optimizer_options": {"momentun": 0.9}}, {}, {"config.option_unknown"}),
    ({"optimizer": "sgd", "optimizer_options": {"nesterov": True}}, {}, {"config.nesterov_alone"}),
    ({"optimizer_options": {"beta1": "much"}}, {}, {"config.option_type"}),
    ({"optimizer": "apollo_adamw", "optimizer_options": {"proj": "none"}}, {"kind": "full"}, {"config.option_type"}),
    ({"optimizer": "adam"}, {}, {"config.choice_near"}),
])  # fmt: skip
def test_that_what_does_not_go_together_is_refused(training, tuner, codes):
    document = {"name": "a", "model": {"path": "demo"}, "data": {"train": [{"path": "x"}]}}
    document |= {"tuner": tuner, "training": training}
    found = {problem.code for problem in check_document(document)[1]}
    assert found == codes


def test_that_a_run_goes_on_with_another_optimiser_whose_memory_begins_anew(attempt, tmp_path):
    whole = attempt(**recipe(tmp_path, "adamw_torch"))
    assert whole.run() == 0, whole.end
    resumed = again(whole, 3, optimizer="adagrad")
    assert resumed.run() == 0, resumed.end
    (note,) = [note for note in resumed.of("note") if note.code == "checkpoint.not_exact"]
    assert "optimizer adamw_torch → adagrad" in note.params["differences"]
    rates = [[line.values["learning_rate"] for line in made.of("step") if line.step > 3] for made in (whole, resumed)]
    assert rates[0] == rates[1] != []


def test_that_only_8_bit_optimisers_that_run_here_are_named():
    found = eight_bit_here("adamw_torch_fused", torch.device("cpu"))
    assert "adamw_8bit" not in found  # of bitsandbytes: a GPU's
    has = importlib.util.find_spec("torchao") is not None and not why_not_compiled(torch.device("cpu"))
    assert ("adamw_torch_8bit" in found) == has
    assert eight_bit_here("sgd", torch.device("cpu")) == []
    if importlib.util.find_spec("bitsandbytes") is not None:
        assert "adamw_8bit" in eight_bit_here("adamw_torch", torch.device("cuda"))


@pytest.mark.slow
def test_that_a_run_goes_down_the_8_bit_rung_on_a_processor(attempt, tmp_path):
    pytest.importorskip("torchao")
    made = attempt(**{**recipe(tmp_path, "adamw_torch"), "tuner": {"kind": "full"}})
    assert made.run() == 0, made.end
    line = made.of("memory_forecast")[0]
    assert line.optimizers == ["adamw_torch_8bit"]
    resumed = again(made, 3, optimizer=line.optimizers[0])
    assert resumed.run() == 0, resumed.end
    assert all(math.isfinite(value) for pair in losses(resumed).values() for value in pair)
    assert resumed.of("memory_forecast")[0].parts["optimiser"] < line.parts["optimiser"] / 3
