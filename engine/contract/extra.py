"""What no setting is made for: variables of the worker, arguments of the model and of the optimiser, all checked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from engine.contract.errors import Problem
from engine.contract.optimizers import OPTIMIZERS
from engine.contract.options import Option, Value, check_given
from engine.contract.setting import Settings, setting

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OURS = ("FORGE_",)
LOADING = ("LD_", "DYLD_", "PYTHON", "BASH_", "GCONV_", "GLIBC_")
LOADING_NAMES = frozenset(
    ("PATH", "HOME", "SHELL", "IFS", "ENV", "USER", "LOGNAME", "TMPDIR", "TEMP", "TMP", "CC", "CXX", "SSL_CERT_FILE",
     "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_OPTIONS", "PERL5LIB", "NCCL_NET_PLUGIN")
)  # fmt: skip
"""They decide which code a process loads, or where it looks for what is a person's."""
KEPT = {
    "CUDA_VISIBLE_DEVICES": "compute.gpus", "NVIDIA_VISIBLE_DEVICES": "compute.gpus",
    "HIP_VISIBLE_DEVICES": "compute.gpus", "HF_HUB_OFFLINE": "model.hub", "TRANSFORMERS_OFFLINE": "model.hub",
    "HF_DATASETS_OFFLINE": "model.hub", "HF_ENDPOINT": "settings", "TRANSFORMERS_VERBOSITY": "settings",
    "HF_HUB_DISABLE_TELEMETRY": "settings", "HF_HUB_DISABLE_PROGRESS_BARS": "settings",
    "TOKENIZERS_PARALLELISM": "training.threads", "HTTP_PROXY": "settings", "HTTPS_PROXY": "settings",
    "ALL_PROXY": "settings", "NO_PROXY": "settings", "WANDB_MODE": "watching.tracker_online",
    "WANDB_BASE_URL": "watching.tracker_address", "MLFLOW_TRACKING_URI": "watching.tracker_address",
}  # fmt: skip
"""Variables the program gives itself, and where they are decided."""
SECRET = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|KEY|APIKEY|CREDENTIALS?|AUTH)(_|$)")
SECRET_VALUE = re.compile(r"\b(hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16})")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ELSEWHERE = {
    "rope_parameters": "model.rope", "rope_scaling": "model.rope", "rope_theta": "model.rope",
    "max_position_embeddings": "model.rope", "dtype": "model.dtype", "torch_dtype": "model.dtype",
    "quantization_config": "model.quantisation", "attn_implementation": "model.attention",
    "trust_remote_code": "model.trust_remote_code", "num_labels": "head.labels", "problem_type": "head.problem",
    "use_cache": "", "model_type": "", "architectures": "", "auto_map": "", "vocab_size": "", "hidden_size": "",
    "num_hidden_layers": "", "tie_word_embeddings": "", "transformers_version": "", "name_or_path": "",
    "pad_token_id": "", "return_dict": "", "output_attentions": "", "output_hidden_states": "",
}  # fmt: skip
"""Of a model's config what other settings say, or (empty) what its weights decide or the program relies on."""
_SWITCH: Option = {"type": "bool", "default": False}
_NUMBER: Option = {"type": "float", "default": 0.0}
_ADAM = {"amsgrad": _SWITCH, "maximize": _SWITCH}
ARGUMENTS: dict[str, dict[str, Option]] = {
    "adamw_torch_fused": _ADAM,
    "adamw_torch": {**_ADAM, "foreach": _SWITCH},
    "sgd": {"maximize": _SWITCH, "foreach": _SWITCH},
    "adagrad": {"maximize": _SWITCH, "foreach": _SWITCH, "initial_accumulator_value": _NUMBER},
    "rmsprop": {"maximize": _SWITCH, "foreach": _SWITCH},
    "adafactor": {"clip_threshold": _NUMBER, "decay_rate": _NUMBER, "scale_parameter": _SWITCH},
}
"""Arguments of an optimiser's class that no setting is made for; a test holds them to the classes."""
Text = Annotated[str, Field(max_length=4096)]


class ExtraConfig(Settings):
    """For what no setting is made for; it goes with the config and is reproduced exactly."""

    environment: dict[str, Text] = setting(
        dict,
        "Environment variables of the worker; never secrets: those are kept by the settings.",
        label="Variables",
        max_length=64,
    )
    model: dict[str, bool | int | float | str] = setting(
        dict, "Values of the model's config, by their names there.", label="Model's config", max_length=64
    )
    optimizer: dict[str, bool | int | float | str] = setting(
        dict,
        "Arguments of the optimiser's class that are no options of it here.",
        label="Optimiser's arguments",
        max_length=32,
    )


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with them, in a document that may not validate."""
    given = document.get("extra")
    if not isinstance(given, Mapping):
        return
    variables, model, optimizer = (given.get(name) for name in ("environment", "model", "optimizer"))
    for name, value in (variables if isinstance(variables, Mapping) else {}).items():
        yield from _variable(str(name), value)
    for name, value in (model if isinstance(model, Mapping) else {}).items():
        yield from _of_model(str(name), value)
    if isinstance(optimizer, Mapping) and optimizer:
        training = document.get("training")
        chosen = training.get("optimizer", "adamw_torch_fused") if isinstance(training, Mapping) else None
        yield from _of_optimizer(str(chosen or "adamw_torch_fused"), optimizer)


def _variable(name: str, value: object) -> Iterator[Problem]:
    field, upper = f"extra.environment.{name}", name.upper()
    if not NAME.fullmatch(name):
        yield Problem(code="config.extra_name", field=field, params={"name": name[:80]})
    elif upper.startswith((*OURS, *LOADING)) or upper in LOADING_NAMES:
        yield Problem(code="config.extra_dangerous", field=field, params={"name": name})
    elif upper in KEPT:
        yield Problem(code="config.extra_kept", field=field, params={"name": name, "where": KEPT[upper]})
    elif SECRET.search(upper) or (isinstance(value, str) and SECRET_VALUE.search(value)):
        yield Problem(code="config.extra_secret", field=field, params={"name": name})
    elif isinstance(value, str) and CONTROL.search(value):
        yield Problem(code="config.extra_control", field=field, params={"name": name})


def _of_model(name: str, value: object) -> Iterator[Problem]:
    field = f"extra.model.{name}"
    if name.startswith("_") or name in ELSEWHERE:
        where = ELSEWHERE.get(name, "")
        code = "config.extra_elsewhere" if where else "config.extra_fixed"
        yield Problem(code=code, field=field, params={"name": name, "where": where})
    elif isinstance(value, str) and SECRET_VALUE.search(value):
        yield Problem(code="config.extra_secret", field=field, params={"name": name})


def _of_optimizer(chosen: str, given: Mapping[Any, Any]) -> Iterator[Problem]:
    optimizer = OPTIMIZERS.get(chosen)
    if optimizer is None:
        return
    arguments: dict[str, Value] = {}
    for name, value in given.items():
        if name in optimizer.options:
            params = {"name": str(name), "where": f"training.optimizer_options.{name}"}
            yield Problem(code="config.extra_elsewhere", field=f"extra.optimizer.{name}", params=params)
        elif isinstance(value, bool | int | float | str):
            arguments[str(name)] = value
    yield from check_given(chosen, arguments, ARGUMENTS.get(chosen, {}), "extra.optimizer")


def check_model(name: str, config: Mapping[str, Any], given: Mapping[str, Value]) -> Iterator[Problem]:
    """What is wrong with values for a model's config, which is given with all its usual values."""
    for key, value in given.items():
        field = f"extra.model.{key}"
        if key not in config:
            near = difflib.get_close_matches(key, list(config), n=1)
            known = ", ".join(sorted(one for one in config if not one.startswith("_") and one not in ELSEWHERE))
            params = {"option": key, "tuner": name, "known": known}
            code = "config.option_unknown" if near else "config.option_unknown_plain"
            yield Problem(code=code, field=field, params={**params, "near": near[0]} if near else params)
            continue
        usual = config[key]
        kinds = (bool, int, float, str)
        kind = next((one for one in kinds if isinstance(usual, one)), None)
        if usual is not None and (kind is None or not _suits(value, kind)):
            params = {"option": key, "value": str(value)[:80], "type": kind.__name__ if kind else "—"}
            yield Problem(code="config.option_type", field=field, params=params)


def _suits(value: Value, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is not int or not isinstance(value, bool))
