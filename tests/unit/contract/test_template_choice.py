"""The setting `template`: any name of the catalogue, and a hint where somebody mistypes one."""

import json

import pytest

from engine.contract.config_file import parse_config
from engine.contract.errors import Refused
from engine.contract.templates import COMMIT, template_catalogue, template_choices, template_names, template_text

CONFIG = (
    "name: x\nmodel: {{path: demo, hub: bundled, template: {name}}}\ndata: {{train: [{{path: demo, hub: bundled}}]}}\n"
)


@pytest.mark.parametrize("name", ["auto", "tokenizer", "chatml", "qwen3", "llama3_1"])
def test_that_a_template_is_chosen_by_name(name):
    assert parse_config(CONFIG.format(name=name)).model.template == name


def test_that_a_mistyped_name_gets_the_nearest():
    with pytest.raises(Refused) as refused:
        parse_config(CONFIG.format(name="lama3"))
    (problem,) = refused.value.problems
    assert (problem.code, problem.field, problem.line) == ("config.choice_near", "model.template", 2)
    assert problem.params["near"] == "llama3"


def test_that_a_name_like_none_gets_the_list():
    with pytest.raises(Refused) as refused:
        parse_config(CONFIG.format(name="zzz"))
    (problem,) = refused.value.problems
    assert problem.code == "config.choice"
    assert all(name in problem.params["choices"] for name in template_choices())


def test_that_every_template_has_its_text_and_its_source():
    assert len(template_names()) >= 30
    for name, info in template_catalogue().items():
        assert "{%- generation -%}" in template_text(name), name
        assert json.loads(info.model_dump_json())["source"]["repository"].count("/") == 1
        assert len(info.source.commit) == 40, COMMIT
