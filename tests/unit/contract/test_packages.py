"""Choices that need a package: each is a choice there is, and names what pip installs."""

from __future__ import annotations

import pytest

from engine.contract.packages import MODULES, NEEDS
from engine.contract.run_spec import RunConfig
from engine.contract.serving import ServeJob
from engine.contract.setting import extra


def choices_of(path: str) -> set[str]:
    """What a setting may be."""
    *groups, name = path.split(".")
    found = RunConfig if groups else ServeJob
    for group in groups:
        found = found.model_fields[group].annotation
    field = found.model_fields[name]
    if field.annotation is bool:
        return {"true", "false"}
    return set(extra(field).get("known") or getattr(field.annotation, "__args__", ()))


@pytest.mark.parametrize("path", sorted(NEEDS))
def test_that_each_is_a_choice_of_its_setting(path: str) -> None:
    assert set(NEEDS[path]) <= choices_of(path)


def test_that_each_names_a_module_and_what_pip_is_given() -> None:
    for values in NEEDS.values():
        for module, install in values.values():
            assert module.isidentifier()
            assert install
    assert {"bitsandbytes", "deepspeed", "flash_attn", "llama_cpp"} <= MODULES
