"""A run config as a plain document, and what can be said and changed by the path of a setting."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, get_origin
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel

from engine.contract.api import ConfigChange
from engine.contract.rollouts import RewardConfig
from engine.contract.run_spec import RunConfig

Document = dict[str, Any]


def blank_document() -> Document:
    """A config with every default and nothing chosen yet."""
    return copy.deepcopy(_blank())


@lru_cache(maxsize=1)
def _blank() -> Document:
    config = RunConfig.model_validate(
        {"name": "new-run", "model": {"path": "-"}, "data": {"train": [{"path": "-"}]}},
    )
    document = config.document()
    document["name"] = ""
    document["model"]["path"] = ""
    document["data"]["train"][0]["path"] = ""
    return document


def groups(model: type[BaseModel] = RunConfig, place: str = "") -> dict[str, type[BaseModel]]:
    """The groups of settings by their place in the document; the empty place is the config itself."""
    found: dict[str, type[BaseModel]] = {place: model}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= groups(field.annotation, f"{place}.{name}" if place else name)
    return found


@lru_cache(maxsize=1)
def _pairs() -> tuple[str, ...]:
    """Settings that are names with values, or a list that is edited as one."""
    found = (
        (f"{place}.{name}" if place else name, field.annotation)
        for place, model in groups().items()
        for name, field in model.model_fields.items()
    )
    return tuple(
        path for path, annotation in found if get_origin(annotation) is dict or annotation == list[RewardConfig]
    )


def setting_of(path: str) -> str:
    """The setting a place in the document belongs to, where it is an entry of names with values."""
    return next((setting for setting in _pairs() if path.startswith(f"{setting}.")), path)


def changed_document(document: Document, changes: Sequence[ConfigChange]) -> Document:
    """A config with some settings changed; one that this version does not know is left out."""
    made = copy.deepcopy(document)
    for change in changes:
        head, _, last = change.field.rpartition(".")
        try:
            group = at(made, head) if head else made
        except (KeyError, IndexError, ValueError, TypeError):
            continue
        if isinstance(group, dict) and last in group:
            group[last] = change.value
    return made


def address_of_copy(uid: str, changes: Sequence[ConfigChange]) -> str:
    """Where the wizard shows a draft with the changed settings marked, each with what it was."""
    was = {change.field: json.dumps(change.was) for change in changes}
    return f"new/{uid}?{urlencode(was)}" if was else f"new/{uid}"


def marks_of(query: str) -> dict[str, Any]:
    """The other way: setting to what it was."""
    try:
        return {field: json.loads(was) for field, was in parse_qsl(query)}
    except ValueError:
        return {}


def at(document: Document, path: str) -> Any:
    """The value at a path; list places are numbers in it."""
    value: Any = document
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def put(document: Document, path: str, value: Any) -> None:
    """Change the value at a path."""
    head, _, last = path.rpartition(".")
    group = at(document, head) if head else document
    if isinstance(group, list):
        group[int(last)] = value
    else:
        group[last] = value


def suggested_name(document: Document) -> str:
    """A name made of model, dataset and method."""
    model = str(document["model"]["path"]).rstrip("/").rpartition("/")[2]
    data = str(document["data"]["train"][0]["path"]).rpartition("/")[2].partition(".")[0]
    parts = [part for part in (model, data if data != model else "") if part]
    return "-".join(parts)[:100] + f"-{document['tuner']['kind']}" if parts else ""


def usable(stored: Any) -> Document | None:
    """A kept document, unless it is of another version's form."""
    if not isinstance(stored, dict):
        return None
    blank = _blank()
    same = stored.keys() == blank.keys() and all(
        not isinstance(blank[key], dict) or (isinstance(stored[key], dict) and stored[key].keys() == blank[key].keys())
        for key in blank
    )
    train = stored["data"].get("train") if same else None
    return stored if same and isinstance(train, list) and train else None
