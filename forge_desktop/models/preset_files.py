"""Recipes as files, to hand on and to keep: YAML with the groups of a run config, only what differs from the defaults.

template: Legal LoRA
tuner: {rank: 32}
training: {epochs: 5.0}
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from engine.contract.config_file import check_document
from engine.contract.config_text import load, read_text
from engine.contract.durable import write_durably
from engine.contract.errors import Problem, Refused, UserError
from engine.contract.run_spec import RunConfig
from forge_desktop.models.draft_document import Document, at, blank_document
from forge_desktop.models.presets import Preset, scope

NAME = "template"
LONGEST_NAME = 80
STANDS_IN = {"path": "demo", "hub": "bundled"}
"""A model and rows, since a recipe has neither and is checked as a part of a whole config."""


def to_yaml(preset: Preset, name: str) -> str:
    """A recipe as people read it."""
    document: Document = {NAME: name}
    for path, value in preset.settings.items():
        group, _, setting = path.partition(".")
        document.setdefault(group, {})[setting] = copy.deepcopy(value)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def write_preset(preset: Preset, name: str, path: Path) -> None:
    """The recipe into a file, whole or not at all; raises UserError where it cannot be written."""
    try:
        write_durably(path, to_yaml(preset, name).encode())
    except OSError as error:
        raise UserError("desktop.file_unwritable", file=str(path), detail=error.strerror or str(error)) from error


def read_preset(path: Path) -> tuple[str, dict[str, Any]]:
    """Name and settings of the recipe in a file; raises Refused with every problem, in the order of the file."""
    plain = load(read_text(path), path.name)
    if not isinstance(plain.document, dict):
        raise Refused("config.refused", count=1, problems=[Problem(code="config.not_a_mapping")])
    groups = {key: value for key, value in plain.document.items() if key != NAME}
    problems = [*plain.problems, *_of_name(plain.document), *_foreign(groups)]
    known = {problem.field for problem in problems}
    problems += [one for one in _checked(groups) if one.field not in known and one.field.partition(".")[0] in groups]
    if problems:
        placed = [one.model_copy(update={"line": one.line or plain.line_of(one.field)}) for one in problems]
        raise Refused("config.refused", count=len(placed), problems=sorted(placed, key=lambda one: one.line or 0))
    return str(plain.document[NAME]).strip(), _as_read(_settings(groups))


def _of_name(document: Document) -> list[Problem]:
    name = document.get(NAME)
    if not isinstance(name, str) or not name.strip() or len(name.strip()) > LONGEST_NAME:
        return [Problem(code="preset.nameless", field=NAME, params={"longest": LONGEST_NAME})]
    return []


def _foreign(groups: Document) -> list[Problem]:
    """Settings that belong to a run, not to a recipe; names nobody knows are left to the check of the config."""
    known, found = blank_document(), []
    for group, held in groups.items():
        if not any(path.startswith(f"{group}.") for path in scope()):
            found += [group] if group in known else []
        elif isinstance(held, dict):
            found += [f"{group}.{name}" for name in held if name in known[group] and f"{group}.{name}" not in scope()]
    return [Problem(code="preset.foreign", field=path) for path in found]


def _settings(groups: Document) -> dict[str, Any]:
    """By path, those that a recipe decides."""
    return {
        f"{group}.{name}": value
        for group, held in groups.items()
        if isinstance(held, dict)
        for name, value in held.items()
        if f"{group}.{name}" in scope()
    }


def _checked(groups: Document) -> list[Problem]:
    """What is wrong with the settings, as a part of a config whose model and rows are in order."""
    rest = {group: held for group, held in groups.items() if group not in ("model", "version", "kind", "name")}
    data = rest.get("data")
    document = {
        **rest,
        "name": NAME,
        "model": STANDS_IN,
        "data": {**(data if isinstance(data, dict) else {}), "train": [STANDS_IN]},
    }
    return check_document(document)[1]


def _as_read(settings: dict[str, Any]) -> dict[str, Any]:
    """Each value in the form the wizard holds it: a number that was written without its point, and the like."""
    document: Document = {"name": NAME, "model": STANDS_IN, "data": {"train": [STANDS_IN]}}
    for path, value in settings.items():
        group, _, setting = path.partition(".")
        document.setdefault(group, {})[setting] = value
    made = RunConfig.model_validate(document).document()
    return {path: at(made, path) for path in settings}
