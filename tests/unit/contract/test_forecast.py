"""Forecasts: which finished runs count, what they would have taken, how far they are apart, and the budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.contract.config_file import check_document
from engine.contract.data import SelfCognition
from engine.contract.forecast import Forecast, Past, Shape, Spread, forecast, most_alike, rows_of, spread, steps_of

CPU = Shape("tiny", "sft lora", "local", "", 0, rows=8, length=128)
GPU = replace(CPU, node="a1", device="H200", gpus=1)


def past(seconds_per_step: float, shape: Shape = CPU, around: float = 10.0, steps: int = 100) -> Past:
    return Past(shape, steps, seconds_per_step * steps, around)


def config(**training):
    document = {
        "name": "x", "model": {"path": "tiny", "hub": "bundled"}, "data": {"train": [{"path": "t", "hub": "bundled"}]},
        "training": training,
    }  # fmt: skip
    found, problems = check_document(document)
    assert found is not None, problems
    return found


def test_time_is_steps_times_the_pace_and_what_is_around_them():
    found = forecast(CPU, 200, [past(0.5), past(0.7), past(0.9)], price=3.6, currency="CNY")
    assert found.runs == 3
    assert found.seconds is not None
    assert found.seconds.middle == pytest.approx(10 + 200 * 0.7)
    assert found.cost is not None
    assert found.cost.middle == pytest.approx(0.15)  # 150 s at 3.6 an hour
    assert (found.likeness, found.scaled, found.currency) == ("alike", False, "CNY")


def test_half_of_the_runs_lie_between_the_quartiles():
    values = [float(n) for n in range(1, 10)]
    found = spread(values)
    assert (found.low, found.middle, found.high) == (3, 5, 7)
    assert spread([4.0]) == Spread(low=4, middle=4, high=4)
    assert spread([1.0, 9.0]).middle == 5


def test_one_odd_run_does_not_move_it():
    found = forecast(CPU, 100, [past(0.5)] * 6 + [past(50.0)], None, "USD")
    assert found.seconds is not None
    assert found.seconds.middle == pytest.approx(60)
    assert found.cost is None


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, "alike"),
        ({"rows": 16}, "device"),
        ({"method": "sft full"}, "device"),
        ({"length": 512}, "device"),
        ({"node": "elsewhere"}, "model"),  # another computer's processor
        ({"node": "a1", "device": "H200", "gpus": 1}, "model"),
        ({"model": "large"}, None),
    ],
)
def test_in_what_runs_are_alike(other, expected):
    assert CPU.like(replace(CPU, **other)) == expected


def test_gpus_of_one_kind_are_alike_on_whichever_node_and_unknown_ones_only_on_theirs():
    assert GPU.like(replace(GPU, node="a2")) == "alike"
    assert GPU.like(replace(GPU, node="a2", device="L40S")) == "model"
    assert GPU.like(replace(GPU, device="")) == "alike"
    assert replace(GPU, device="").like(replace(GPU, node="a2", device="")) == "model"
    assert GPU.like(replace(GPU, gpus=4)) == "model"


def test_the_most_alike_count_and_wider_ones_only_without_them():
    alike, device, model = past(1.0), past(2.0, replace(CPU, rows=4)), past(3.0, GPU)
    assert most_alike(CPU, [model, device, alike]) == ("alike", [alike])
    assert most_alike(CPU, [model, device]) == ("device", [device])
    assert most_alike(CPU, [model]) == ("model", [model])
    assert most_alike(CPU, [past(1.0, replace(CPU, model="large"))]) == (None, [])


def test_only_the_newest_of_many_count():
    runs = [past(1.0)] * 20 + [past(100.0)] * 20  # the newest first
    found = forecast(CPU, 10, runs, None, "USD")
    assert found.runs == 20
    assert found.seconds is not None
    assert found.seconds.high == pytest.approx(20)


def test_steps_of_another_size_are_counted_by_rows():
    found = forecast(CPU, 100, [past(1.0, replace(CPU, rows=4))], None, "USD")
    assert found.scaled
    assert found.seconds is not None
    assert found.seconds.middle == pytest.approx(10 + 200)


def test_tokens_and_energy_come_from_runs_that_told_them():
    told = replace(past(1.0, GPU), tokens=5000, watts=360.0)  # 100 steps, 20 s around them
    found = forecast(replace(GPU, rows=2 * GPU.rows), 50, [told, replace(told, tokens=None, watts=None)], None, "USD")
    assert found.tokens is not None
    assert found.tokens.middle == pytest.approx(5000)  # half the steps of twice the rows
    assert found.energy is not None
    assert found.energy.middle == pytest.approx(360 * told.seconds_for(50, 2 * GPU.rows) / 3600)
    silent = forecast(GPU, 50, [past(1.0, GPU)], None, "USD")
    assert (silent.tokens, silent.energy) == (None, None)
    elsewhere = forecast(replace(GPU, node="a2", device="another"), 50, [told], None, "USD")
    assert elsewhere.tokens is not None
    assert elsewhere.energy is None  # other devices draw something else


def test_nothing_is_said_where_nothing_is_known():
    assert forecast(CPU, 100, [], 1.0, "USD").why_not == "no_runs"
    nothing = forecast(CPU, None, [past(1.0)], 1.0, "USD")
    assert (nothing.why_not, nothing.seconds, nothing.cost) == ("no_steps", None, None)
    assert forecast(CPU, 10, [Past(CPU, 0, 0.0, 5.0)], 1.0, "USD").why_not == "no_runs"


def test_the_limit_in_steps_wins_over_epochs():
    training = config(epochs=3, micro_batch_size=4, accumulation=2).training
    assert steps_of(training, 100) == 39  # 13 steps an epoch
    assert steps_of(training, None) is None
    assert steps_of(config(epochs=3, max_steps=7).training, None) == 7


def test_rows_are_those_of_all_datasets_without_what_is_held_back():
    data = config().data
    whole = rows_of(data, [1000])
    assert whole == round(1000 * (1 - data.validation_share))
    assert rows_of(data, [None]) is None
    assert rows_of(data, []) is None
    myself = SelfCognition(name="Anvil", author="The Smithy", rows=30)
    assert rows_of(data.model_copy(update={"self_cognition": myself}), [1000]) == whole + 30


@pytest.mark.parametrize(
    ("left", "expected"), [(5.0, ""), (1.5, "perhaps"), (0.5, "likely"), (-3.0, "likely"), (None, "")]
)
def test_the_budget_is_watched(left, expected):
    found = Forecast(cost=Spread(low=0.8, middle=1.0, high=2.0), budget_left=left)
    assert found.exceeds == expected
