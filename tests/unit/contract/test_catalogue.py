"""The catalogue of models that ships with the program."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import ValidationError

from engine.contract.catalogue import Family, Listed, catalogue, well_formed
from engine.contract.paths import resources_folder

FILES = sorted((resources_folder() / "catalogue").glob("*.json"))
EVERY = catalogue().listed()


def named(title: str) -> Listed:
    return next(one for one in EVERY if one.title == title)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_that_every_family_is_complete_and_named_as_its_file(file):
    family = Family.model_validate_json(file.read_bytes())
    assert family.id == file.stem
    assert all(re.fullmatch("[a-z]{2}", code) for one in family.sizes for code in one.languages or family.languages)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.size.huggingface)
def test_that_a_models_figures_agree_with_its_name(one):
    """A number before B or M in the name is the parameter count, give or take how makers round."""
    found = re.search(r"(?:^|[-_])(\d+(?:\.\d+)?)([BM])(?:-|$)", one.size.name)
    if found:
        said = float(found[1]) * (1e9 if found[2] == "B" else 1e6)
        assert 0.75 * said < one.size.parameters < 1.5 * said
    assert one.size.active is None or one.size.active < one.size.parameters


def test_that_no_model_stands_twice():
    ids = [one.size.huggingface for one in EVERY]
    assert len(ids) == len(set(ids)) > 50
    assert len({one.title for one in EVERY}) == len(EVERY)


def test_that_a_family_with_sizes_out_of_order_is_refused():
    document = json.loads(FILES[0].read_text("utf-8"))
    document["sizes"] = document["sizes"][::-1]
    with pytest.raises(ValidationError, match="small to large"):
        Family.model_validate(document)


def test_that_a_bad_id_is_refused():
    document = json.loads(FILES[0].read_text("utf-8"))
    document["sizes"][0]["huggingface"] = "no owner"
    with pytest.raises(ValidationError):
        Family.model_validate(document)
    assert well_formed("Qwen/Qwen3-8B")
    for bad in ("Qwen3-8B", "a/b/c", "a b/c", "/x", "x/", ""):
        assert not well_formed(bad)


def test_that_a_model_is_found_by_its_id_on_either_hub():
    assert catalogue().find("huggingface", "qwen/qwen3-8b ").title == "Qwen3 8B"
    assert catalogue().find("modelscope", "ZhipuAI/GLM-4-9B-0414").title == "GLM-4 9B-0414"
    assert catalogue().find("modelscope", "zai-org/GLM-4-9B-0414") is None
    assert catalogue().find("huggingface", "") is None


def test_that_a_search_takes_every_word():
    found = [one.title for one in EVERY if one.matches("qwen 32b")]
    assert {"Qwen3 32B", "Qwen2.5 32B-Instruct", "DeepSeek-R1-Distill Qwen-32B"} == set(found)


def test_that_conditions_of_one_size_are_its_own():
    assert (named("Qwen2.5 3B-Instruct").licence, named("Qwen2.5 3B-Instruct").licence_class) == (
        "qwen-research",
        "conditions",
    )
    assert named("Qwen2.5 7B-Instruct").licence_class == "open"


def test_that_the_rough_rule_weighs_the_weights_only():
    model = named("Qwen3 8B").size
    assert model.weight_bytes("bf16") == 16_400_000_000
    assert model.fit(24e9) == "fits"
    assert model.fit(18e9) == "tight"
    assert model.fit(18e9, "fp32") == "too_large"
    assert model.fit(None) == "unknown"
