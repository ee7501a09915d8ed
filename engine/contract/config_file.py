"""Reading and writing run configs as YAML or JSON, with every problem named by line and field."""

from __future__ import annotations

import difflib
import json
import math
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from engine.contract import (
    acceleration,
    adapter_start,
    guards,
    members,
    optimizers,
    packing,
    push,
    scratch,
    stopping,
    watching,
)
from engine.contract import extra as extras
from engine.contract.config_text import Location, Plain, load, read_text
from engine.contract.datasets import ImportJob
from engine.contract.errors import Problem, Refused
from engine.contract.paths import expanded
from engine.contract.run_spec import CONFIG_VERSION, RunConfig, RunSpec
from engine.contract.sampling import SampleJob
from engine.contract.sampling import contradictions as sampling_contradictions
from engine.contract.serving import ServeJob
from engine.contract.serving import contradictions as serving_contradictions
from engine.contract.setting import extra
from engine.contract.stages import objective_contradictions
from engine.contract.tuners import HOLDINGS, TUNERS, contradictions, steps_contradictions


def to_yaml(config: RunConfig) -> str:
    """The config as people read it, every setting written out."""
    return yaml.safe_dump(config.document(), sort_keys=False, allow_unicode=True, width=120)


def to_json(config: RunConfig) -> str:
    """The same as JSON."""
    return json.dumps(config.document(), ensure_ascii=False, indent=2)


@dataclass(frozen=True)
class Examined:
    """What a text holds: the config if it is one, and everything that is wrong with it."""

    config: RunConfig | None
    plain: Plain
    problems: list[Problem]

    def checked(self, more: Sequence[Problem] = ()) -> RunConfig:
        """The config; raises Refused with every problem, in the order of the file."""
        known = {problem.field for problem in self.problems}
        problems = [*self.problems, *(self.placed(one) for one in more if one.field not in known)]
        if problems or self.config is None:
            problems.sort(key=lambda problem: problem.line or 0)
            raise Refused("config.refused", count=len(problems), problems=problems)
        return self.config

    def placed(self, problem: Problem) -> Problem:
        """The problem with the line of its field."""
        return problem.model_copy(update={"line": problem.line or self.plain.line_of(problem.field)})


def read_config(path: Path) -> RunConfig:
    """The config in a file; raises Refused with every problem, in the order of the file."""
    return examine(read_text(path), path.name).checked()


def anchored(config: RunConfig, folder: Path) -> RunConfig:
    """The config with local paths made absolute: relative ones are meant from the folder of the config file."""
    document = config.document()
    sources = [document["model"], *document["data"]["train"], *document["data"]["validation"]]
    for source in [*sources, *document["evaluation"]["data"]]:
        if source["hub"] == "local":
            source["path"] = str(folder.absolute() / expanded(source["path"]))
    teacher = document["teacher"]
    for name in ("path", "adapter"):
        if teacher[name] and (name == "adapter" or teacher["hub"] == "local"):
            teacher[name] = str(folder.absolute() / expanded(teacher[name]))
    if document["tuner"]["adapter"]:
        document["tuner"]["adapter"] = str(folder.absolute() / expanded(document["tuner"]["adapter"]))
    made = document["scratch"]
    if made["tokenizer"] == "folder" and made["tokenizer_path"]:
        made["tokenizer_path"] = str(folder.absolute() / expanded(made["tokenizer_path"]))
    for reward in document["rollouts"]["rewards"]:
        if reward["path"]:
            reward["path"] = str(folder.absolute() / expanded(reward["path"]))
    return RunConfig.model_validate(document)


def parse_config(text: str, name: str = "config") -> RunConfig:
    """The config in a text (YAML; JSON is YAML too); raises Refused with every problem."""
    return examine(text, name).checked()


def examine(text: str, name: str = "config") -> Examined:
    """Everything that can be said of a text without looking at the files it names."""
    plain = load(text, name)
    if not isinstance(plain.document, dict):
        raise Refused("config.refused", count=1, problems=[Problem(code="config.not_a_mapping")])
    config, found = check_document(plain.document)
    examined = Examined(config, plain, [*plain.problems, *found])
    return Examined(config, plain, [examined.placed(problem) for problem in examined.problems])


def check_document(document: dict[str, Any]) -> tuple[RunConfig | None, list[Problem]]:
    """The config in plain data and what is wrong with it: schema first, then what cannot be executed yet."""
    version = document.get("version", CONFIG_VERSION)
    if version != CONFIG_VERSION:
        params = {"value": _short(version) if version != str(version) else json.dumps(version), "known": CONFIG_VERSION}
        return None, [Problem(code="config.version", field="version", params=params)]
    if document.get("kind", "train") != "train":
        return None, [Problem(code="config.kind_not_yet", field="kind", params={"value": str(document["kind"])})]
    try:
        config = RunConfig.model_validate(document)
    except ValidationError as error:
        problems = [problem_of(dict(detail), RunConfig) for detail in error.errors()]
        problems += [
            p for p in _not_executable_raw(RunConfig, document, ()) if p.field not in {q.field for q in problems}
        ]
        return None, problems + [p for p in _contradictions(document) if p.field not in {q.field for q in problems}]
    return config, [*not_executable(config), *_contradictions(document)]


def _contradictions(document: dict[str, Any]) -> Iterator[Problem]:
    """Settings that are valid one by one and not together; looked for in what does not validate as a whole, too."""
    training = document.get("training")
    if isinstance(training, dict) and training.get("epochs") in (0, "0") and training.get("max_steps") is None:
        yield Problem(code="config.no_steps", field="training.epochs")
    data = document.get("data")
    if isinstance(data, dict):
        yield from _contradictions_of_data(data)
    tuner = document.get("tuner", {})
    if isinstance(tuner, dict):
        model = document.get("model")
        wanted = model.get("quantisation") if isinstance(model, dict) else None
        yield from contradictions(tuner, next((one for one in HOLDINGS if one == wanted), "none"))
        yield from adapter_start.contradictions(tuner)
        if isinstance(training, dict):
            chosen = TUNERS.get(str(tuner.get("kind", "lora")))
            if tuner.get("kind") == "prefix_tuning" and training.get("gradient_checkpointing") is True:
                yield Problem(code="config.prefix_checkpointing", field="training.gradient_checkpointing")
            yield from steps_contradictions(tuner, training.get("max_steps"))
            yield from optimizers.contradictions(training, tuner, chosen is not None and chosen.whole_model)
    guarded, saved = document.get("guards"), document.get("checkpoints")
    if isinstance(guarded, dict):
        yield from guards.contradictions(guarded, saved if isinstance(saved, dict) else {})
    yield from stopping.contradictions(document)
    yield from scratch.contradictions(document)
    watched = document.get("watching")
    if isinstance(watched, dict):
        yield from watching.contradictions(watched)
    yield from objective_contradictions(document)
    yield from members.contradictions(document)
    yield from packing.contradictions(document)
    yield from acceleration.contradictions(document)
    yield from extras.contradictions(document)
    yield from push.contradictions(document)


def _contradictions_of_data(data: dict[str, Any]) -> Iterator[Problem]:
    if data.get("validation_by") == "group" and not data.get("group_column"):
        yield Problem(code="config.group_column_needed", field="data.group_column")
    if data.get("order") == "kept" and data.get("shuffle_buffer") is not None:
        yield Problem(code="config.buffer_without_shuffle", field="data.shuffle_buffer")
    myself = data.get("self_cognition")
    if isinstance(myself, dict):
        given = [myself.get(name, "") for name in ("name", "author")]
        if all(isinstance(text, str) for text in given) and bool(given[0]) != bool(given[1]):
            field = f"data.self_cognition.{'author' if given[0] else 'name'}"
            yield Problem(code="config.self_cognition_half", field=field)


def check_spec(spec: RunSpec) -> list[Problem]:
    """What this version cannot execute of an order that came over the wire."""
    if isinstance(spec.job, ImportJob):
        return list(not_executable(spec.job))
    if isinstance(spec.job, SampleJob):
        return [*not_executable(spec.job), *sampling_contradictions(spec.job)]
    if isinstance(spec.job, ServeJob):
        return [*not_executable(spec.job), *serving_contradictions(spec.job)]
    if spec.kind != "train":
        return [Problem(code="config.kind_not_yet", field="kind", params={"value": spec.kind})]
    return check_document(RunConfig.from_spec(spec).document())[1]


def not_executable(group: BaseModel, at: str = "") -> Iterator[Problem]:
    """Settings whose value is valid but cannot be run by this version, refused by name."""
    for name, field in type(group).model_fields.items():
        value, where = getattr(group, name), f"{at}{name}"
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if isinstance(child, BaseModel):
                yield from not_executable(child, f"{where}.{index}." if isinstance(value, list) else f"{where}.")
        yield from _refusal(extra(field), value, where)


def _refusal(recorded: dict[str, Any], value: Any, where: str) -> Iterator[Problem]:
    runnable = recorded.get("executable")
    if runnable is None or value in runnable:
        return
    if len(runnable) == 1:
        default = "empty" if runnable[0] is None else str(runnable[0]).lower()
        yield Problem(code="config.not_yet_set", field=where, params={"value": str(value), "default": default})
        return
    params = {"value": str(value), "choices": ", ".join(map(str, runnable))}
    yield Problem(code="config.not_yet", field=where, params=params)


def _not_executable_raw(model: type[BaseModel], document: Any, at: Location) -> Iterator[Problem]:
    """The same for a document that does not validate as a whole, as far as its form allows."""
    if not isinstance(document, dict):
        return
    for name, inner, recorded in _kept_back(model):
        if name not in document:
            continue
        value, where = document[name], (*at, name)
        if inner is not None:
            items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for index, item in items:
                yield from _not_executable_raw(inner, item, where if index is None else (*where, index))
            continue
        if isinstance(value, str | bool) and _valid(model, name, value):
            yield from _refusal(recorded, value, ".".join(map(str, where)))


@cache
def _kept_back(model: type[BaseModel]) -> list[tuple[str, type[BaseModel] | None, dict[str, Any]]]:
    """Of a group's settings those that hold a group, and those not every value of which can be run."""
    found = []
    for name, field in model.model_fields.items():
        inner, recorded = _model_in(field.annotation), extra(field)
        if inner is not None or recorded.get("executable") is not None:
            found.append((name, inner, recorded))
    return found


def _valid(model: type[BaseModel], name: str, value: Any) -> bool:
    try:
        model.__pydantic_validator__.validate_assignment(model.model_construct(), name, value)
    except ValidationError as error:
        return all(detail["type"] == "frozen_instance" for detail in error.errors())
    return True


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The group of settings a field holds, alone or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, Union, types.UnionType):
        for inner in get_args(annotation):
            found = _model_in(inner)
            if found is not None:
                return found
    return None


_BY_TYPE = {
    "missing": "config.missing",
    "float_type": "config.number",
    "float_parsing": "config.number",
    "finite_number": "config.number",
    "int_type": "config.whole_number",
    "int_parsing": "config.whole_number",
    "int_from_float": "config.whole_number",
    "greater_than_equal": "config.too_small",
    "greater_than": "config.must_exceed",
    "less_than_equal": "config.too_large",
    "less_than": "config.must_be_below",
    "string_type": "config.text",
    "bool_type": "config.yes_or_no",
    "bool_parsing": "config.yes_or_no",
    "list_type": "config.list",
    "dict_type": "config.pairs",
    "model_type": "config.group",
    "model_attributes_type": "config.group",
    "too_short": "config.too_short",
    "string_too_short": "config.text_too_short",
    "string_too_long": "config.text_too_long",
    "too_long": "config.too_large",
    "string_pattern_mismatch": "config.pattern",
}
_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length")


def problem_of(detail: dict[str, Any], root: type[BaseModel]) -> Problem:
    """What pydantic found, by its place in a group of settings, as a problem of ours."""
    location: Location = tuple(detail["loc"])
    where = ".".join(map(str, location))
    context = detail.get("ctx", {})
    params: dict[str, Any] = {"value": _short(detail.get("input"))}
    if detail["type"] == "extra_forbidden":
        return _unknown_key(location, root)
    if detail["type"] == "invalid_key":
        return Problem(code="config.key_not_text", field=where, params={"key": str(location[-1])[:80]})
    if isinstance(detail.get("input"), float) and math.isnan(detail["input"]):
        return Problem(code="config.number", field=where, params=params)
    if detail["type"] in ("literal_error", "unknown_choice"):
        return _bad_choice(location, detail, root)
    if detail["type"] == "string_pattern_mismatch":
        params["pattern"] = context.get("pattern", "")
    for name in _LIMITS:
        if name in context:
            limit = context[name]
            params["limit"] = int(limit) if isinstance(limit, float) and limit.is_integer() else limit
    code = _BY_TYPE.get(detail["type"], "config.invalid")
    if code == "config.text_too_short" and location[-1] == "path":
        code = "config.nothing_chosen"
    if code == "config.invalid":
        params["detail"] = detail["msg"]
    return Problem(code=code, field=where, params=params)


def _group_at(location: Location, root: type[BaseModel]) -> type[BaseModel]:
    group = root
    for step in location:
        if isinstance(step, int):
            continue
        field = group.model_fields.get(step)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            break
        group = inner
    return group


def _unknown_key(location: Location, root: type[BaseModel]) -> Problem:
    known = list(_group_at(location[:-1], root).model_fields)
    key, where = str(location[-1]), ".".join(map(str, location))
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    if near:
        return Problem(code="config.unknown_key", field=where, params={"key": key, "near": near[0]})
    return Problem(code="config.unknown_key_plain", field=where, params={"key": key, "known": ", ".join(known)})


def _bad_choice(location: Location, detail: dict[str, Any], root: type[BaseModel]) -> Problem:
    where, value = ".".join(map(str, location)), _short(detail.get("input"))
    field = _group_at(location[:-1], root).model_fields.get(str(location[-1]))
    choices = (extra(field).get("known") or [str(choice) for choice in get_args(field.annotation)]) if field else []
    params = {"value": value, "choices": ", ".join(choices)}
    near = difflib.get_close_matches(value.lower(), choices, n=1, cutoff=0.6)
    if near:
        return Problem(code="config.choice_near", field=where, params={**params, "near": near[0]})
    return Problem(code="config.choice", field=where, params=params)


def _short(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # it holds itself
        text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
