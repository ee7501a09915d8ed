"""Recipes to start from: those that ship, and a person's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.contract.config_file import check_document
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.draft_document import blank_document, put
from forge_desktop.models.presets import BUNDLED, Presets, bundled_presets, recipe_of, scope


@pytest.fixture
def preferences(qapp, tmp_path: Path) -> Preferences:
    return Preferences(tmp_path / "preferences.json")


def with_recipe(name: str) -> dict:
    document = blank_document()
    for path in scope():
        put(document, path, bundled_presets()[name].value(path))
    document["name"] = "n"
    for place in ("model", "data.train.0"):
        put(document, f"{place}.path", "demo")
        put(document, f"{place}.hub", "bundled")
    return document


@pytest.mark.parametrize("name", BUNDLED)
def test_that_every_recipe_can_run(name):
    config, problems = check_document(with_recipe(name))
    assert config is not None
    assert problems == []


@pytest.mark.parametrize("name", BUNDLED)
def test_that_a_recipe_changes_what_it_says_and_nothing_else(name):
    preset = bundled_presets()[name]
    assert preset.id == name
    assert recipe_of(with_recipe(name)) == preset.settings
    assert set(preset.settings) <= set(scope())


def test_that_balanced_is_the_defaults():
    assert bundled_presets()["balanced"].settings == {}


def test_that_a_recipe_leaves_model_rows_and_seed_alone():
    assert not {"tuner.targets", "training.seed", "evaluation.data", "model.path", "data.train"} & set(scope())


def test_that_an_own_template_is_kept_renamed_and_deleted(preferences):
    presets = Presets(preferences)
    document = blank_document()
    put(document, "training.epochs", 7.0)
    made = presets.save("Mine", document)
    assert presets.own() == [made]
    assert (presets.find(made.id).value("training.epochs"), made.settings) == (7.0, {"training.epochs": 7.0})
    presets.rename(made.id, "Ours")
    assert [one.name for one in presets.own()] == ["Ours"]
    presets.delete(made.id)
    assert presets.own() == []


def test_that_saving_under_a_known_name_replaces_it(preferences):
    presets, document = Presets(preferences), blank_document()
    first = presets.save("Mine", document)
    put(document, "tuner.rank", 8)
    assert presets.save("Mine", document).id == first.id
    assert [one.settings for one in presets.own()] == [{"tuner.rank": 8}]


def test_that_templates_outlive_the_program(qapp, tmp_path):
    file = tmp_path / "preferences.json"
    preferences = Preferences(file)
    Presets(preferences).save("Mine", blank_document())
    preferences.close()
    assert [one.name for one in Presets(Preferences(file)).own()] == ["Mine"]


@pytest.mark.parametrize("stored", [None, 3, ["x"], [{"id": 1}], [{"id": "a", "name": "b", "settings": {"gone.x": 1}}]])
def test_that_damaged_templates_cost_only_themselves(qapp, tmp_path, stored):
    file = tmp_path / "preferences.json"
    file.write_text(json.dumps({"templates": stored}), encoding="utf-8")
    assert all(one.settings == {} for one in Presets(Preferences(file)).own())
