"""Recipes as files: what goes out comes in again, and what is no recipe is refused whole, with every problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.errors import Refused, UserError
from forge_desktop.models.draft_document import blank_document, put
from forge_desktop.models.preset_files import read_preset, write_preset
from forge_desktop.models.presets import BUNDLED, Preset, bundled_presets, recipe_of


def refused(file: Path, text: str) -> list[tuple[int | None, str, str]]:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Refused) as error:
        read_preset(file)
    return [(problem.line, problem.field, problem.code) for problem in error.value.body().problems]


@pytest.mark.parametrize("name", BUNDLED)
def test_that_a_recipe_goes_out_and_comes_in_again(tmp_path, name):
    preset = bundled_presets()[name]
    write_preset(preset, "Ünser Rezept 配方", tmp_path / "recipe.yaml")
    assert read_preset(tmp_path / "recipe.yaml") == ("Ünser Rezept 配方", preset.settings)


def test_that_the_file_has_the_groups_of_a_config(tmp_path):
    document = blank_document()
    put(document, "tuner.rank", 64)
    put(document, "data.max_length", 512)
    write_preset(Preset("x", recipe_of(document), "Mine"), "Mine", tmp_path / "mine.yaml")
    text = (tmp_path / "mine.yaml").read_text()
    assert text == "template: Mine\ntuner:\n  rank: 64\ndata:\n  max_length: 512\n"


def test_that_every_problem_is_named_with_its_line(tmp_path):
    text = (
        "template: ' '\nmodel: {path: other}\ntuner:\n  rank: -1\n  rnak: 3\ntraining:\n  seed: 7\n  epochs: many\n"
        "data:\n  train: []\n  max_length: 512\nnonsense: 1\n"
    )
    found = refused(tmp_path / "bad.yaml", text)
    assert [(line, field) for line, field, _ in found] == [
        (1, "template"), (2, "model"), (4, "tuner.rank"), (5, "tuner.rnak"), (7, "training.seed"),
        (8, "training.epochs"), (10, "data.train"), (12, "nonsense"),
    ]  # fmt: skip
    assert [code for _, field, code in found if field in ("model", "training.seed", "data.train")] == [
        "preset.foreign"
    ] * 3


def test_that_settings_that_do_not_go_together_are_refused(tmp_path):
    assert refused(tmp_path / "bad.yaml", "template: x\ntraining: {epochs: 0}\n") == [
        (2, "training.epochs", "config.no_steps")
    ]


@pytest.mark.parametrize("text", ["", "[]", "tuner: 3", "template: x\ntuner: [1]", "template: {", "a: &a [*a]"])
def test_that_what_is_no_recipe_is_refused(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UserError):
        read_preset(tmp_path / "bad.yaml")


def test_that_numbers_are_held_as_the_wizard_holds_them(tmp_path):
    (tmp_path / "r.yaml").write_text("template: x\ntraining: {epochs: 5}\n")
    _name, settings = read_preset(tmp_path / "r.yaml")
    assert settings == {"training.epochs": 5.0}
    assert isinstance(settings["training.epochs"], float)
