"""The run being put together in the wizard: a config document, its problems, and what is known of model and data."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from PySide6.QtCore import QObject, QTimer, Slot

from engine.contract.api import CheckResult
from engine.contract.config_file import check_document
from engine.contract.errors import Problem
from engine.contract.forecast import rows_of, steps_of
from engine.contract.model_shape import ModelShape
from engine.contract.recommended import learning_rate
from engine.contract.run_spec import RunConfig
from engine.contract.scratch import HUB, preset
from engine.contract.setting import extra
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_document import (
    Document,
    address_of_copy,
    at,
    blank_document,
    changed_document,
    groups,
    marks_of,
    put,
    setting_of,
    suggested_name,
)
from forge_desktop.models.draft_queries import DraftQueries
from forge_desktop.models.draft_scratch import NEW_MODEL, facts_of
from forge_desktop.models.presets import Preset, bundled_presets, scope

__all__ = ["DraftModel", "address_of_copy", "blank_document", "changed_document", "groups", "marks_of", "setting_of"]
CHECK_MS = 350
FIRST_PRESET = "balanced"


class DraftModel(DraftQueries):
    """Holds the document; fields write to it by path and show its problems."""

    def __init__(self, session: Session, document: Document | None = None, parent: QObject | None = None) -> None:
        super().__init__(session, copy.deepcopy(document) if document else blank_document(), parent)
        self.defaults = blank_document()
        self.preset: Preset = bundled_presets()[FIRST_PRESET]
        """What settings are compared with."""
        self.problems: list[Problem] = []
        self.marks: dict[str, Any] = {}
        """Settings that a diagnosis changed, and what they were."""
        self.missing: frozenset[str] = frozenset()
        """Modules that some choices need and that are not where it would work."""
        self.is_new = False
        """Begun in this wizard, from nothing: nobody has chosen a node before."""
        self.config: RunConfig | None = None
        self._suggested = suggested_name(self.document)
        self._file_problems: list[Problem] = []
        self._check_asked = 0
        self._soon = QTimer(self, singleShot=True, interval=CHECK_MS)
        self._soon.timeout.connect(self._ask_controller)
        self._check()

    @property
    def shape(self) -> ModelShape | None:
        """The model's measures, as far as a look at it found them."""
        facts = self.model_facts.get("shape")
        return ModelShape.model_validate(facts) if isinstance(facts, dict) else None

    @property
    def teacher_shape(self) -> ModelShape | None:
        """The same of the model it learns from; None where none is needed."""
        return self.teacher.shape

    def set(self, path: str, value: Any) -> None:
        """Change a value and check everything."""
        if self.get(path) == value:
            return
        put(self.document, path, value)
        self._check()
        self.changed.emit(path)

    def set_model(self, path: str, hub: str) -> None:
        """Another base model: what was read from the last one no longer holds."""
        put(self.document, "model.path", path)
        put(self.document, "model.hub", hub)
        put(self.document, "model.revision", None)
        put(self.document, "model.trust_remote_code", False)
        put(self.document, "tuner.targets", ["all-linear"])
        self._suggest_name()
        self._check()
        self.changed.emit("model.path")
        self.inspect()

    def set_scratch(self) -> None:
        """A model with fresh weights, and what else such a run cannot be without."""
        if self.get("model.hub") == HUB:
            return
        values = {"model.path": NEW_MODEL, "model.hub": HUB, "model.revision": None, "model.trust_remote_code": False}
        for path, value in {**values, "stage": "pretrain", "objective.loss": "auto", "tuner.kind": "full"}.items():
            put(self.document, path, value)
        self._suggest_name()
        self._check()
        self.changed.emit("")
        self.inspect()

    def set_size(self, size: str) -> None:
        """The form of a size, in the family that is chosen."""
        for name, value in preset(str(self.get("scratch.family")), size).items():
            put(self.document, f"scratch.{name}", value)
        self._check()
        self.changed.emit("scratch")

    def made_facts(self) -> dict[str, Any]:
        """Of a model with fresh weights: its measures, where its vocabulary is known without a look at files."""
        return facts_of(self.document)

    def set_data(self, path: str, hub: str, held_out: str = "", validation: str = "") -> None:
        """Another first dataset, with the held-out and validation data that belong to it; a person's own stay."""
        put(self.document, "data.train.0.path", path)
        put(self.document, "data.train.0.hub", hub)
        put(self.document, "data.train.0.format", "auto")
        for place, belongs in (("evaluation.data", held_out), ("data.validation", validation)):
            if belongs:
                put(self.document, place, [self._source(belongs, hub)])
            else:
                put(self.document, place, [own for own in self.get(place) if own["hub"] != "bundled"])
        self._data_changed()

    def add_data(self, paths: Sequence[str], hub: str = "local") -> None:
        """More datasets; the first takes the place of none, and none is taken twice."""
        sources = [source for source in self.get("data.train") if source["path"]]
        known = {(source["path"], source["hub"]) for source in sources}
        if sources and all(source["hub"] == "bundled" for source in sources) and hub != "bundled":
            sources = []  # the demo gives way to a person's own rows
        sources += [self._source(path, hub) for path in dict.fromkeys(paths) if (path, hub) not in known]
        put(self.document, "data.train", sources or [self._source("", "local")])
        if not any(source["hub"] == "bundled" for source in sources):
            for place in ("evaluation.data", "data.validation"):
                put(self.document, place, [own for own in self.get(place) if own["hub"] != "bundled"])
        self._data_changed()

    def add_library(self, name: str, version: str) -> None:
        """A version of a dataset of the library, by its name and fingerprint; another of the same dataset gives way."""
        sources = [one for one in self.get("data.train") if (one["path"], one["hub"]) != (name, "library")]
        put(self.document, "data.train", sources or [self._source("", "local")])
        self.add_data([name], "library")
        for place, source in enumerate(self.get("data.train")):
            if (source["path"], source["hub"]) == (name, "library"):
                self.set(f"data.train.{place}.version", version)
        self.preview()

    def remove_data(self, place: int) -> None:
        """One dataset less; the last leaves an empty place."""
        sources = list(self.get("data.train"))
        del sources[place]
        put(self.document, "data.train", sources or [self._source("", "local")])
        self._data_changed()

    def set_source(self, place: int, name: str, value: Any) -> None:
        """One setting of one dataset; another format is read anew."""
        self.set(f"data.train.{place}.{name}", value)
        if name == "format":
            self.preview()

    def set_held_out(self, path: str) -> None:
        """Rows to measure on; an empty path for none."""
        self._set_files("evaluation.data", [path] if path else [])

    def set_validation(self, paths: Sequence[str]) -> None:
        """Rows whose loss is measured; none: a share of the training rows, if any."""
        self._set_files("data.validation", paths)

    def _set_files(self, place: str, paths: Sequence[str]) -> None:
        put(self.document, place, [self._source(path, "local") for path in paths])
        self._check()
        self.changed.emit(place)

    def _source(self, path: str, hub: str) -> dict[str, Any]:
        return {**self.defaults["data"]["train"][0], "path": path, "hub": hub}

    def _data_changed(self) -> None:
        self._suggest_name()
        self._check()
        self.changed.emit("data.train.0.path")
        self.preview()

    def replace(self, document: Document) -> None:
        """Another whole config, such as an imported one."""
        self.document, self.is_new = copy.deepcopy(document), False
        self._suggested = suggested_name(self.document)
        self._check()
        self.changed.emit("")
        self.inspect()
        self.preview()

    def apply(self, preset: Preset) -> int:
        """Take the recipe of a preset; how many settings that changed."""
        self.preset = preset
        changed = 0
        for path in scope():
            value = copy.deepcopy(preset.value(path))
            if self.get(path) != value:
                put(self.document, path, value)
                changed += 1
        self._check()
        self.changed.emit("")
        return changed

    def problems_of(self, path: str) -> list[Problem]:
        """What is wrong with one setting, or with an entry of it."""
        return [problem for problem in self.problems if setting_of(problem.field) == path]

    def default(self, path: str) -> Any:
        """What a setting is when nobody touched it: as its preset has it."""
        return self.preset.value(path) if path in scope() else at(self.defaults, path)

    def differs(self) -> list[str]:
        """Settings of the recipe that are not as the preset has them."""
        return [path for path in scope() if self.get(path) != self.preset.value(path)]

    @property
    def is_blank(self) -> bool:
        """Nothing would be lost with it."""
        return self.document == self.defaults

    def unusual(self) -> list[tuple[str, float, tuple[float, float]]]:
        """Valid values outside their usual range: path, value, range; not where a recommendation says more."""
        found = []
        advised = learning_rate(str(self.get("stage")), str(self.get("tuner.kind")))
        for group, model in groups().items():
            for name, field in model.model_fields.items():
                usual = extra(field).get("usual")
                path = f"{group}.{name}" if group else name
                if advised is not None and path == "training.learning_rate":
                    continue
                value = self.get(path) if usual else None
                if usual and isinstance(value, int | float) and not usual[0] <= value <= usual[1]:
                    found.append((path, float(value), (usual[0], usual[1])))
        return found

    def rows(self) -> int | None:
        """Training rows of an epoch, as far as all datasets are known."""
        config = self.config
        if config is None or len(self.looks) < len(config.data.train):
            return None
        found = [look.facts.get("rows") for look in self.looks]
        return rows_of(config.data, [rows if isinstance(rows, int) else None for rows in found])

    def steps(self) -> int | None:
        """Optimiser steps there will be: as many as are allowed, else as far as rows are known."""
        return None if self.config is None else steps_of(self.config.training, self.rows(), self.config.iterations)

    def trained_parameters(self) -> int | None:
        """Numbers that are learned, where the model's layers are known."""
        whole, widths = self.model_facts.get("parameters"), self.model_facts.get("adapter_widths")
        if self.get("tuner.kind") == "full":
            return whole if isinstance(whole, int) else None
        rank, chosen = self.get("tuner.rank"), self.get("tuner.targets")
        if self.get("tuner.kind") not in ("lora", "qlora", "dora") or self.get("tuner.rank_pattern"):
            return None
        if not widths or not isinstance(rank, int) or not isinstance(chosen, list):
            return None
        names = widths if chosen == ["all-linear"] else [name for name in chosen if name in widths]
        return rank * sum(int(widths[name]) for name in names)

    def data_is_known(self) -> None:
        """Rows that cannot be read keep the run from starting."""
        self._check()

    def rows_are_seen(self) -> None:
        """Rows that teach nothing keep the run from starting."""
        self._gather()

    def _suggest_name(self) -> None:
        """`model-dataset`, as long as the person has not named the run."""
        made = suggested_name(self.document)
        if self.document["name"] in ("", self._suggested):
            self.document["name"] = made
        self._suggested = made

    def _check(self) -> None:
        self._gather()
        self._soon.start()

    def _gather(self) -> None:
        """All that is wrong: the form, the files, the rows; one of each for a setting."""
        self.config, found = check_document(self.document)
        made = self.made_facts()
        if made and made != self.model_facts:
            self.model_facts = made
            self.inspected.emit()
        for more in (self._file_problems, self._row_problems()):
            known = {problem.field for problem in found}
            found += [problem for problem in more if problem.field not in known]
        self.problems = found
        self.checked.emit()

    def _row_problems(self) -> list[Problem]:
        found = []
        for place, look in enumerate(self.looks):
            if look.facts.get("problems"):
                params = {"count": look.facts.get("bad_rows") or len(look.facts["problems"])}
                found.append(Problem(code="config.bad_rows", field=f"data.train.{place}.path", params=params))
        for path, error in self.refused_rows().items():
            found.append(Problem(code=error.code, field=f"{path}.path", params=error.params))
        for path in self.teaching_nothing():
            learned = path.startswith("data.train")
            code = "data.nothing_learned" if learned else "data.nothing_measured"
            params = {
                "name": PurePath(self.get(path)["path"]).name,
                "rows": len(self.seen_of(path)["lengths"]),
                "max_length": self.get("data.max_length"),
            }
            found.append(Problem(code=code, field=f"{path}.path", params=params))
        return found

    @Slot()
    def _ask_controller(self) -> None:
        config, stand_ins = (self.config, ()) if self.config is not None else self._probe()
        if config is None:
            return
        spec = config.to_spec()
        self._check_asked += 1
        number = self._check_asked
        self.session.ask(
            lambda backend: backend.check(spec),
            lambda found: self._got_check(number, stand_ins, found),
            lambda _error: None,
            owner=self,
        )

    def _probe(self) -> tuple[RunConfig | None, tuple[str, ...]]:
        """The draft with the bundled things where nothing is chosen yet, so that what is chosen can be checked."""
        document, stand_ins = copy.deepcopy(self.document), list[str]()
        document["name"] = document["name"] or "draft"
        for place in ("model", *(f"data.train.{number}" for number in range(len(document["data"]["train"])))):
            if not at(document, f"{place}.path"):
                put(document, f"{place}.path", "demo")
                put(document, f"{place}.hub", "bundled")
                stand_ins.append(place)
        return check_document(document)[0], tuple(stand_ins)

    def _got_check(self, number: int, stand_ins: tuple[str, ...], found: CheckResult) -> None:
        if number != self._check_asked:
            return
        self.missing = frozenset(found.missing)
        self._file_problems = [one for one in found.problems if not one.field.startswith(stand_ins)]
        self._gather()

    def load(self, backend: Backend, uid: str) -> Document:
        """For request threads: the document of a stored draft."""
        return RunConfig.from_spec(backend.run(uid).spec).document()
