"""Reading and writing run configs as YAML or JSON, with every problem named by line and field."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from engine.contract.errors import Problem, Refused
from engine.contract.run_spec import CONFIG_VERSION, RunConfig, RunSpec
from engine.contract.setting import extra

Location = tuple[str | int, ...]
MAX_CONFIG_BYTES = 1_000_000


def to_yaml(config: RunConfig) -> str:
    """The config as people read it, every setting written out."""
    return yaml.safe_dump(config.document(), sort_keys=False, allow_unicode=True, width=120)


def to_json(config: RunConfig) -> str:
    """The same as JSON."""
    return json.dumps(config.document(), ensure_ascii=False, indent=2)


def read_config(path: Path) -> RunConfig:
    """The config in a file; raises Refused with every problem, in the order of the file."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise Refused("config.missing_file", file=str(path)) from None
    except OSError as error:
        raise Refused("config.unreadable", file=str(path), detail=error.strerror or str(error)) from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise Refused("config.unreadable", file=str(path), detail=f"It is larger than {MAX_CONFIG_BYTES} bytes.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("config.not_utf8", file=str(path)) from None
    return parse_config(text, name=path.name)


def anchored(config: RunConfig, folder: Path) -> RunConfig:
    """The config with local paths made absolute: relative ones are meant from the folder of the config file."""
    document = config.document()
    sources = [document["model"], *document["data"]["train"], *document["data"]["validation"]]
    for source in [*sources, *document["evaluation"]["data"]]:
        if source["hub"] == "local":
            source["path"] = str(folder.absolute() / Path(source["path"]).expanduser())
    return RunConfig.model_validate(document)


def parse_config(text: str, name: str = "config") -> RunConfig:
    """The config in a text (YAML; JSON is YAML too); raises Refused with every problem."""
    document, lines, problems = _load(text, name)
    if not isinstance(document, dict):
        raise Refused("config.refused", count=1, problems=[Problem(code="config.not_a_mapping")])
    config, found = check_document(document)
    problems += [p.model_copy(update={"line": _line_of(p.field, lines)}) for p in found]
    if problems or config is None:
        problems.sort(key=lambda problem: problem.line or 0)
        raise Refused("config.refused", count=len(problems), problems=problems)
    return config


def check_document(document: dict[str, Any]) -> tuple[RunConfig | None, list[Problem]]:
    """The config in plain data and what is wrong with it: schema first, then what cannot be executed yet."""
    version = document.get("version", CONFIG_VERSION)
    if version != CONFIG_VERSION:
        params = {"value": version, "known": CONFIG_VERSION}
        return None, [Problem(code="config.version", field="version", params=params)]
    if document.get("kind", "train") != "train":
        return None, [Problem(code="config.kind_not_yet", field="kind", params={"value": str(document["kind"])})]
    try:
        config = RunConfig.model_validate(document)
    except ValidationError as error:
        problems = [_problem(dict(detail), RunConfig) for detail in error.errors()]
        problems += [
            p for p in _not_executable_raw(RunConfig, document, ()) if p.field not in {q.field for q in problems}
        ]
        return None, problems
    problems = list(not_executable(config))
    if config.training.epochs == 0 and config.training.max_steps is None:
        problems.append(Problem(code="config.no_steps", field="training.epochs"))
    return config, problems


def check_spec(spec: RunSpec) -> list[Problem]:
    """What this version cannot execute of an order that came over the wire."""
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
    for name, field in model.model_fields.items():
        if name not in document:
            continue
        value, where = document[name], (*at, name)
        inner = _model_in(field.annotation)
        if inner is not None:
            items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for index, item in items:
                yield from _not_executable_raw(inner, item, where if index is None else (*where, index))
            continue
        runnable = extra(field).get("executable")
        if runnable is not None and isinstance(value, str | bool) and _valid(model, name, value):
            yield from _refusal(extra(field), value, ".".join(map(str, where)))


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
    "model_type": "config.group",
    "model_attributes_type": "config.group",
    "too_short": "config.too_short",
    "string_too_short": "config.text_too_short",
    "string_too_long": "config.text_too_long",
    "too_long": "config.too_large",
    "string_pattern_mismatch": "config.pattern",
}
_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length")


def _problem(detail: dict[str, Any], root: type[BaseModel]) -> Problem:
    location: Location = tuple(detail["loc"])
    where = ".".join(map(str, location))
    context = detail.get("ctx", {})
    params: dict[str, Any] = {"value": _short(detail.get("input"))}
    if detail["type"] == "extra_forbidden":
        return _unknown_key(location, root)
    if detail["type"] == "literal_error":
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
    choices = [str(choice) for choice in get_args(field.annotation)] if field else []
    params = {"value": value, "choices": ", ".join(choices)}
    near = difflib.get_close_matches(value.lower(), choices, n=1, cutoff=0.6)
    if near:
        return Problem(code="config.choice_near", field=where, params={**params, "near": near[0]})
    return Problem(code="config.choice", field=where, params=params)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"


def _load(text: str, name: str) -> tuple[Any, dict[str, int], list[Problem]]:
    """Plain data, the line of each field, and keys that stand twice."""
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            lines: dict[str, int] = {}
            problems: list[Problem] = []
            _walk(node, (), lines, problems)
            document = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        detail = where + str(getattr(error, "problem", None) or error).strip().rstrip(".") + "."
        raise Refused("config.unreadable", file=name, detail=detail) from None
    return document, lines, problems


def _walk(
    node: yaml.Node | None,
    at: Location,
    lines: dict[str, int],
    problems: list[Problem],
    above: Sequence[yaml.Node] = (),
) -> None:
    if node is None or any(node is one for one in above):
        return
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            where = (*at, str(key.value))
            name, line = ".".join(map(str, where)), key.start_mark.line + 1
            if str(key.value) in seen:
                params = {"value": str(key.value), "detail": "it stands twice."}
                problems.append(Problem(code="config.invalid", field=name, line=line, params=params))
            seen.add(str(key.value))
            lines[name] = line
            _walk(value, where, lines, problems, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[".".join(map(str, (*at, index)))] = item.start_mark.line + 1
            _walk(item, (*at, index), lines, problems, above)


def _line_of(field: str, lines: dict[str, int]) -> int | None:
    """The line of a field, or of the group that should hold it."""
    while field:
        if field in lines:
            return lines[field]
        field = field.rpartition(".")[0]
    return None
