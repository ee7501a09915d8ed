"""An instance as it is typed: model, adapters that fit it, settings; checked as the controller checks it, and begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from PySide6.QtCore import QObject, Signal

from engine.contract.adapter_library import AdapterEntry, AdapterShelf
from engine.contract.api import CheckResult
from engine.contract.bundled import MODELS
from engine.contract.compute import ComputeConfig
from engine.contract.config_file import check_spec, problem_of
from engine.contract.errors import ErrorBody, Problem
from engine.contract.run_spec import RunSpec
from engine.contract.serving import NewKey, ServedAdapter, ServeJob, name_of
from forge_desktop.bridge.backend_instance import Begun
from forge_desktop.bridge.session import Session
from forge_desktop.models.adapter_words import base_of, last_part
from forge_desktop.theme.language import tr

NUMBERS = (
    "port", "context", "parallel", "requests_per_minute", "tokens_per_minute", "cache_mb", "idle_minutes", "restarts",
)  # fmt: skip


class ServeDraft(QObject):
    """The order in the making."""

    changed = Signal()
    listed = Signal()
    """The library's adapters are known."""
    begun = Signal(object)
    """Begun."""
    refused = Signal(object)
    """ErrorBody, with every problem that was found."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.name, self.on_processor, self.first_key = "", False, True
        self.model: dict[str, Any] = {"path": "demo", "hub": "bundled"}
        self.settings: dict[str, Any] = {}
        """Settings of the job that are not as usual, by name."""
        self.library: list[AdapterEntry] = []
        self.chosen: list[str] = []
        """Ids of adapters, paths of those that are not of the library, in the order they were chosen."""
        self.starting = False
        self.missing: frozenset[str] = frozenset()
        """Packages that some choices need and that are not where it would work."""
        self._like: list[ServedAdapter] = []
        """Adapters the order began with that are not of the library, and the model they are of."""
        self._like_model: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        """Names in requests, by id, where they are not the entry's own."""

    def fetch(self, wanted: str = "") -> None:
        """Ask which adapters there are; `wanted` is chosen at once, with its base model."""

        def got(shelf: AdapterShelf) -> None:
            self.library = list(shelf.adapters)
            self._find_in_library()
            one = next((entry for entry in self.library if entry.id == wanted), None)
            if one is not None:
                self.begin_with(one)
            self.listed.emit()

        self._session.ask(lambda backend: backend.adapters(), got, lambda _error: self.listed.emit(), owner=self)
        probe = RunSpec(name="probe", job=ServeJob.model_validate({"model": {"path": "demo", "hub": "bundled"}}))
        self._session.ask(lambda backend: backend.check(probe), self._got_missing, lambda _error: None, owner=self)

    def _got_missing(self, found: CheckResult) -> None:
        self.missing = frozenset(found.missing)
        self.changed.emit()

    def _find_in_library(self) -> None:
        """Adapters of an instance that the library has are chosen there; others, as checkpoints, stay beside it."""
        by_path = {path: entry for entry in self.library for path in (entry.path, entry.folder) if path}
        for one in self._like:
            if one.path in self.chosen and one.path in by_path:
                self.chosen[self.chosen.index(one.path)] = by_path[one.path].id
                self._names[by_path[one.path].id] = one.name
        self._like = [one for one in self._like if one.path not in by_path]

    def others(self) -> list[ServedAdapter]:
        """Adapters that are not of the library, while the model is theirs."""
        return self._like if self.model == self._like_model else []

    def begin_with(self, one: AdapterEntry) -> None:
        """Serve this adapter on its own base model."""
        base = one.card.base_model or one.model
        if one.run:
            self._session.ask(lambda backend: backend.run(one.run).spec, self._of_run, lambda _e: None, owner=self)
        if base in MODELS:
            self.model = {"path": base, "hub": "bundled"}
        else:  # a folder's name alone says nothing of where it lies
            self.model = {"path": base, "hub": "huggingface"} if "/" in base else {"path": "", "hub": "local"}
        self.chosen = [one.id]
        self.changed.emit()

    def begin_like(self, name: str, job: ServeJob) -> None:
        """The same once more, to be changed before it is started; adapters the library has are chosen again."""
        usual = {field: declared.get_default(call_default_factory=True) for field, declared in
                 ServeJob.model_fields.items() if not declared.is_required()}  # fmt: skip
        self.name, self.model = name, job.model.model_dump(mode="json")
        self.settings = {key: value for key in usual if key not in ("kind", "adapters")
                         and (value := getattr(job, key)) != usual[key]}  # fmt: skip
        self._like, self._like_model = list(job.adapters), self.model
        self.chosen = [one.path for one in self._like]
        self.changed.emit()

    def _of_run(self, spec: RunSpec) -> None:
        """The very model its run learned on."""
        model = getattr(spec.job, "model", None)
        if model is not None:
            self.model = model.model_dump(mode="json")
            self.listed.emit()
            self.changed.emit()

    def set(self, name: str, value: Any) -> None:
        """A setting of the job."""
        self.settings[name] = value
        self.changed.emit()

    def set_model(self, **values: str) -> None:
        """Another path or hub."""
        self.model = {**self.model, **values}
        fitting = {one.id for one in self.library if not self.why_not_of(one)} | {one.path for one in self._like}
        self.chosen = [one for one in self.chosen if one in fitting]
        self.changed.emit()

    def choose(self, adapter_id: str, on: bool) -> None:
        """Serve an adapter from the start, or not; by id, or by path where it is not of the library."""
        kept = [one for one in self.chosen if one != adapter_id]
        self.chosen = [*kept, adapter_id] if on else kept
        self.changed.emit()

    def why_not_of(self, one: AdapterEntry) -> str:
        """Why an adapter does not fit the model; empty where it does, as far as names tell."""
        if one.missing:
            return tr("Its file is gone.")
        base, mine = base_of(one), last_part(str(self.model["path"]))
        return tr("Made for {base}.", base=base) if base and mine and base.casefold() != mine.casefold() else ""

    def served(self) -> list[dict[str, str]]:
        """The chosen adapters with the names they are asked for by, each once."""
        known = {one.id: (self._names.get(one.id) or name_of(one.name), one.path) for one in self.library}
        known |= {one.path: (one.name, one.path) for one in self.others()}
        found: dict[str, str] = {}
        for name, path in (known[wanted] for wanted in self.chosen if wanted in known):
            plain, number = name, 2
            while name in found:
                name, number = f"{plain[:110]}-{number}", number + 1
            found[name] = path
        return [{"name": name, "path": path} for name, path in found.items()]

    def why_on_processor(self) -> str:
        """Why it can work nowhere but on the processor, as it is to compute; empty: a GPU would do."""
        if self.settings.get("backend") == "llama_cpp":
            return tr("llama.cpp computes on the processor.")
        return tr("Answers in 8 bits are computed on the processor.") if self.settings.get("int8") else ""

    def order(self) -> tuple[RunSpec | None, list[Problem]]:
        """The order, and everything that is wrong with it."""
        try:
            job = ServeJob.model_validate({"model": self.model, "adapters": self.served(), **self.settings})
        except ValidationError as error:
            return None, [problem_of(dict(detail), ServeJob) for detail in error.errors()]
        compute = ComputeConfig(gpus=0) if self.on_processor or self.why_on_processor() else ComputeConfig()
        name = (self.name or tr("Serve {name}", name=job.base_name))[:120]
        spec = RunSpec(name=name, compute=compute, job=job)
        return spec, check_spec(spec)

    def why_not(self) -> str:
        """Why it cannot be started yet; empty when it can."""
        if not self._session.is_online:
            return tr("The job controller does not answer.")
        if not self.model["path"]:
            return tr("Choose the model to serve.")
        return tr("It is being started.") if self.starting else ""

    def start(self) -> None:
        """Begin; what is wrong comes as one error."""
        spec, problems = self.order()
        if spec is None or problems:
            self._fail(problems)
            return
        self.starting = True
        self.changed.emit()
        order, is_open = spec, bool(self.settings.get("open"))
        key = NewKey(name=tr("First key")) if self.first_key and not is_open else None
        self._session.ask(lambda backend: backend.begin_instance(order, key), self._began, self._refused, owner=self)

    def _fail(self, problems: Sequence[Problem]) -> None:
        params = {"count": len(problems)}
        self.refused.emit(ErrorBody(code="config.refused", what="", params=params, problems=list(problems)))

    def _began(self, begun: Begun) -> None:
        self.starting = False
        self.begun.emit(begun)

    def _refused(self, error: ErrorBody) -> None:
        self.starting = False
        self.changed.emit()
        self.refused.emit(error)
