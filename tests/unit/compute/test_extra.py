"""Arguments that no setting is made for reach the model and the optimiser, and those listed are those there are."""

import inspect
import json

import pytest
import torch
from helpers import assert_goes_on
from transformers import Adafactor

from engine.compute.inference.base import load_model
from engine.compute.inference.rope import BASE_CONFIG, extra_values
from engine.contract.errors import Refused, UserError
from engine.contract.extra import ARGUMENTS

CLASSES = {
    "adamw_torch_fused": torch.optim.AdamW, "adamw_torch": torch.optim.AdamW, "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad, "rmsprop": torch.optim.RMSprop, "adafactor": Adafactor,
}  # fmt: skip
SAVED = {"every_minutes": None, "every_steps": 2, "keep_last": 9}


def test_that_every_argument_listed_is_one_of_the_class():
    assert set(CLASSES) == set(ARGUMENTS)
    for name, listed in ARGUMENTS.items():
        taken = inspect.signature(CLASSES[name]).parameters
        for argument, option in listed.items():
            usual = taken[argument].default
            kind = {"bool": (bool, type(None)), "float": (float, int)}[option["type"]]
            assert isinstance(usual, kind), (name, argument)


def test_that_a_value_of_the_models_config_changes_the_model(model):
    changed = extra_values(model, {"rms_norm_eps": 0.5, "attention_dropout": 0.25})
    made = load_model(model, torch.float32, "auto", torch.device("cpu"), changed=changed)
    assert made.config.rms_norm_eps == 0.5
    assert made.model.layers[0].self_attn.attention_dropout == 0.25
    assert made.model.norm.variance_epsilon == 0.5


def test_that_unknown_values_are_refused_all_together(model):
    with pytest.raises(UserError) as refused:
        extra_values(model, {"rms_norm_epsilon": 0.5})
    assert (refused.value.code, refused.value.params["near"]) == ("config.option_unknown", "rms_norm_eps")
    with pytest.raises(Refused) as all_of_them:
        extra_values(model, {"rms_norm_epsilon": 0.5, "attention_dropout": "much"})
    found = [problem.code for problem in all_of_them.value.problems]
    assert found == ["config.option_unknown", "config.option_type"]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw_torch_fused", "adamw_torch"])
def test_that_the_optimiser_gets_them_and_a_run_goes_on(attempt, optimizer):
    """AMSGrad, whose steps are others, and which keeps one more state."""
    curves, training = {}, {"max_steps": 6, "micro_batch_size": 4, "learning_rate": 1e-2, "optimizer": optimizer}
    for name, extra in (("with", {"optimizer": {"amsgrad": True}, "model": {"attention_dropout": 0.1}}), ("none", {})):
        made = attempt(name=name, training=training, extra=extra, checkpoints=SAVED)
        assert made.run() == 0, made.end
        curves[name] = [line.values["loss"] for line in made.of("step")]
        if extra:
            found = json.loads((made.outputs / "adapter" / BASE_CONFIG).read_text())
            assert found == {"attention_dropout": 0.1}
            assert_goes_on(made, 2, ("loss", "grad_norm"))
    assert curves["with"] != curves["none"]
