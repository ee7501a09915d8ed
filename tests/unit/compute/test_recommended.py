"""What we say trl recommends is what the installed trl has."""

import dataclasses
import importlib

import pytest
import trl

from engine.contract.recommended import RATES, TRL

ROOMS = (
    "trl",
    "trl.experimental.kto",
    "trl.experimental.orpo",
    "trl.experimental.cpo",
    "trl.experimental.online_dpo",
    "trl.experimental.gkd",
)


@pytest.mark.parametrize("stage", RATES)
def test_that_the_rate_is_the_default_of_the_named_class(stage):
    rate, name, _larger = RATES[stage]
    found = next(made for room in ROOMS if (made := getattr(importlib.import_module(room), name, None)) is not None)
    assert next(field.default for field in dataclasses.fields(found) if field.name == "learning_rate") == rate


def test_that_the_version_is_the_installed_one():
    assert trl.__version__.startswith(TRL.split()[1])


def test_that_the_other_values_are_trls_defaults_too():
    from engine.contract.recommended import ALPHA_TIMES, DECAY, EPOCHS, LORA_RANK, STEP_ROWS, WARMUP

    adapter = {field.name: field.default for field in dataclasses.fields(trl.ModelConfig)}
    assert (adapter["lora_r"], adapter["lora_alpha"]) == (LORA_RANK, LORA_RANK * ALPHA_TIMES)
    for _rate, name, _larger in RATES.values():
        made = next(
            found for room in ROOMS if (found := getattr(importlib.import_module(room), name, None)) is not None
        )
        usual = {field.name: field.default for field in dataclasses.fields(made)}
        rows = usual["per_device_train_batch_size"] * usual["gradient_accumulation_steps"]
        assert (usual["num_train_epochs"], rows) == (EPOCHS, STEP_ROWS)
        assert (usual["warmup_steps"], usual["weight_decay"]) == (WARMUP, DECAY)
