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
