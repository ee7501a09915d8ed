"""The run being put together in the wizard: a config document, its problems, and what is known of model and data."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.api import ConfigChange
from engine.contract.config_file import check_document
from engine.contract.errors import ErrorBody, Problem
from engine.contract.run_spec import RunConfig
from engine.contract.setting import extra
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session

Document = dict[str, Any]
CHECK_MS = 350
PREVIEW_ROWS = 5


def blank_document() -> Document:
    """A config with every default and nothing chosen yet."""
    config = RunConfig.model_validate(
        {"name": "new-run", "model": {"path": "-"}, "data": {"train": [{"path": "-"}]}},
    )
    document = config.document()
    document["name"] = ""
    document["model"]["path"] = ""
    document["data"]["train"][0]["path"] = ""
    return document


def groups(model: type[BaseModel] = RunConfig, at: str = "") -> dict[str, type[BaseModel]]:
    """The groups of settings by their place in the document; the empty place is the config itself."""
    found: dict[str, type[BaseModel]] = {at: model}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= groups(field.annotation, f"{at}.{name}" if at else name)
    return found


def changed_document(document: Document, changes: Sequence[ConfigChange]) -> Document:
    """A config with some settings changed; one that this version does not know is left out."""
    made = copy.deepcopy(document)
    for change in changes:
        head, _, last = change.field.rpartition(".")
        try:
            group = _at(made, head) if head else made
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


class DraftModel(QObject):
    """Holds the document; fields write to it by path and show its problems."""

    changed = Signal(str)
    """A value changed; its path."""
    checked = Signal()
    """Problems are news."""
    inspected = Signal()
    """What is known of the model is news."""
    previewed = Signal()
    """What is known of the dataset is news."""

    def __init__(self, session: Session, document: Document | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.document = copy.deepcopy(document) if document else blank_document()
        self.defaults = blank_document()
        self.problems: list[Problem] = []
        self.marks: dict[str, Any] = {}
        """Settings that a diagnosis changed, and what they were."""
        self.config: RunConfig | None = None
        self.model_facts: dict[str, Any] = {}
        self.model_error: ErrorBody | None = None
        self.data_facts: dict[str, Any] = {}
        self.data_error: ErrorBody | None = None
        self.inspecting = False
        self.previewing = False
        self._file_problems: list[Problem] = []
        self._inspect_asked = self._preview_asked = self._check_asked = 0
        self._soon = QTimer(self, singleShot=True, interval=CHECK_MS)
        self._soon.timeout.connect(self._ask_controller)
        self._check()
        session.online.connect(self._online)

    def get(self, path: str) -> Any:
        """A value; list places are numbers in the path."""
        return _at(self.document, path)

    def set(self, path: str, value: Any) -> None:
        """Change a value and check everything."""
        if self.get(path) == value:
            return
        self._put(path, value)
        self._check()
        self.changed.emit(path)

    def set_model(self, path: str, hub: str) -> None:
        """Another base model: what was read from the last one no longer holds."""
        self._put("model.path", path)
        self._put("model.hub", hub)
        self._put("tuner.targets", ["all-linear"])
        self._suggest_name()
        self._check()
        self.changed.emit("model.path")
        self.inspect()

    def set_data(self, path: str, hub: str, held_out: str = "", validation: str = "") -> None:
        """Another training dataset, with the held-out and validation data that belong to it; a person's own stay."""
        self._put("data.train.0.path", path)
        self._put("data.train.0.hub", hub)
        source = {**self.defaults["data"]["train"][0], "hub": hub}
        for at, belongs in (("evaluation.data", held_out), ("data.validation", validation)):
            if belongs:
                self._put(at, [{**source, "path": belongs}])
            else:
                self._put(at, [own for own in self.get(at) if own["hub"] != "bundled"])
        self._suggest_name()
        self._check()
        self.changed.emit("data.train.0.path")
        self.preview()

    def set_held_out(self, path: str) -> None:
        """Rows to measure on; an empty path for none."""
        source = {**self.defaults["data"]["train"][0], "path": path, "hub": "local"}
        self._put("evaluation.data", [source] if path else [])
        self._check()
        self.changed.emit("evaluation.data")

    def replace(self, document: Document) -> None:
        """Another whole config, such as an imported one."""
        self.document = copy.deepcopy(document)
        self._check()
        self.changed.emit("")
        self.inspect()
        self.preview()

    def problems_of(self, path: str) -> list[Problem]:
        """What is wrong with one setting."""
        return [problem for problem in self.problems if problem.field == path]

    def default(self, path: str) -> Any:
        """What a setting is when nobody touched it."""
        return _at(self.defaults, path)

    def unusual(self) -> list[tuple[str, float, tuple[float, float]]]:
        """Valid values outside their usual range: path, value, range."""
        found = []
        for group, model in groups().items():
            for name, field in model.model_fields.items():
                usual = extra(field).get("usual")
                path = f"{group}.{name}" if group else name
                value = self.get(path) if usual else None
                if usual and isinstance(value, int | float) and not usual[0] <= value <= usual[1]:
                    found.append((path, float(value), (usual[0], usual[1])))
        return found

    def steps(self) -> int | None:
        """Optimiser steps there will be, as far as rows are known."""
        rows, config = self.data_facts.get("rows"), self.config
        if config is None or not isinstance(rows, int):
            return None
        source = config.data.train[0]
        rows = min(rows, source.limit or rows)
        rows = rows * source.weight * (1 - (0 if config.data.validation else config.data.validation_share))
        recipe = config.training
        if recipe.max_steps:
            return recipe.max_steps
        per_epoch = math.ceil(math.ceil(rows / recipe.micro_batch_size) / recipe.accumulation)
        return math.ceil(per_epoch * recipe.epochs)

    @Slot()
    def inspect(self) -> None:
        """Have a helper read the model's config."""
        path, hub = self.get("model.path"), self.get("model.hub")
        self.model_facts, self.model_error = {}, None
        self._inspect_asked += 1
        number = self._inspect_asked
        self.inspecting = bool(path)
        self.inspected.emit()
        if path:
            params = {"path": path, "hub": hub}
            self.session.ask(
                lambda backend: backend.query("inspect_model", params),
                lambda facts: self._got_model(number, facts),
                lambda error: self._got_model(number, {}, error),
                owner=self,
            )

    def _got_model(self, number: int, facts: dict[str, Any], error: ErrorBody | None = None) -> None:
        if number != self._inspect_asked:
            return
        self.inspecting = False
        self.model_facts, self.model_error = facts, error
        self.inspected.emit()

    @Slot()
    def preview(self) -> None:
        """Have a helper read the dataset's first rows."""
        source = self.get("data.train.0")
        self.data_facts, self.data_error = {}, None
        self._preview_asked += 1
        number = self._preview_asked
        self.previewing = bool(source["path"])
        self.previewed.emit()
        if source["path"]:
            params = {key: source[key] for key in ("path", "hub", "format")} | {"rows": PREVIEW_ROWS}
            self.session.ask(
                lambda backend: backend.query("preview_data", params),
                lambda facts: self._got_data(number, facts),
                lambda error: self._got_data(number, {}, error),
                owner=self,
            )

    def _got_data(self, number: int, facts: dict[str, Any], error: ErrorBody | None = None) -> None:
        if number != self._preview_asked:
            return
        self.previewing = False
        self.data_facts, self.data_error = facts, error
        self._check()  # rows that cannot be read keep the run from starting
        self.previewed.emit()

    def _put(self, path: str, value: Any) -> None:
        head, _, last = path.rpartition(".")
        group = self.get(head) if head else self.document
        if isinstance(group, list):
            group[int(last)] = value
        else:
            group[last] = value

    def _suggest_name(self) -> None:
        """`model-dataset`, as long as the person has not named the run."""
        made = suggested_name(self.document)
        if self.document["name"] in ("", getattr(self, "_suggested", "")):
            self.document["name"] = made
        self._suggested = made

    def _check(self) -> None:
        self._gather()
        if self.config is not None:
            self._soon.start()

    def _gather(self) -> None:
        """All that is wrong: the form, the files, the rows; one of each for a setting."""
        self.config, found = check_document(self.document)
        for more in (self._file_problems, self._row_problems()):
            known = {problem.field for problem in found}
            found += [problem for problem in more if problem.field not in known]
        self.problems = found
        self.checked.emit()

    def _row_problems(self) -> list[Problem]:
        if not self.data_facts.get("problems"):
            return []
        params = {"count": self.data_facts.get("bad_rows") or len(self.data_facts["problems"])}
        return [Problem(code="config.bad_rows", field="data.train.0.path", params=params)]

    @Slot()
    def _ask_controller(self) -> None:
        if self.config is None:
            return
        spec = self.config.to_spec()
        self._check_asked += 1
        number = self._check_asked
        self.session.ask(
            lambda backend: backend.check(spec),
            lambda problems: self._got_check(number, problems),
            lambda _error: None,
            owner=self,
        )

    def _got_check(self, number: int, problems: list[Problem]) -> None:
        if number != self._check_asked:
            return
        self._file_problems = problems
        self._gather()

    @Slot()
    def _online(self) -> None:
        if self.get("model.path") and not self.model_facts:
            self.inspect()
        if self.get("data.train.0.path") and not self.data_facts:
            self.preview()

    def load(self, backend: Backend, uid: str) -> Document:
        """For request threads: the document of a stored draft."""
        return RunConfig.from_spec(backend.run(uid).spec).document()


def suggested_name(document: Document) -> str:
    """A name made of model and dataset."""
    model = str(document["model"]["path"]).rstrip("/").rpartition("/")[2]
    data = str(document["data"]["train"][0]["path"]).rpartition("/")[2].partition(".")[0]
    parts = [part for part in (model, data if data != model else "") if part]
    return "-".join(parts)[:100] + "-lora" if parts else ""


def _at(document: Document, path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
