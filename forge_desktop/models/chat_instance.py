"""The instance the playground talks to: started for a model, followed until it answers, its adapters."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, QTimer, Signal, Slot
from shiboken6 import isValid

from engine.client.sampling import served_by, taught_by
from engine.contract.api import RunDetail, RunPage, RunSummary
from engine.contract.errors import Conflict, ErrorBody, NotFound
from engine.contract.model import ModelConfig
from engine.contract.paths import Home
from engine.contract.serving import AdapterState, Instance, LoadAdapter, ServeJob, ServeStatus, name_of
from engine.contract.states import RunState
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.theme.language import tr

TAG = "playground"
IDLE_MINUTES = 15.0
LOOK_MS = 500
MOST_RUNS = 50
KEPT, LAST, PATHS = "playground.instance", "playground.model", "playground.adapters"
WHOLE = "full"
"""The method that leaves a model of its own, and no adapter."""
COMING = (RunState.QUEUED, RunState.PREPARING, RunState.RUNNING)
"""States of a run that serves in the end."""
State = Literal["none", "looking", "starting", "ready", "failed", "ended"]


@dataclass(frozen=True)
class Offer:
    """A run whose adapter could be asked; `why_not` says why it cannot."""

    run: str
    name: str
    live: bool
    why_not: str = ""


class InstanceModel(QObject):
    """One instance at a time; what it holds outlives the page, so that coming back finds it ready."""

    changed = Signal()
    """State, phase, error."""
    adapters_changed = Signal()
    offers_changed = Signal()
    known = Signal()
    """What a new instance holds is known for the first time."""
    refused = Signal(str)
    """An adapter does not fit; `misfits` says why."""
    failed = Signal(object)
    """ErrorBody of an adapter that cannot be loaded, and the like."""

    def __init__(self, session: Session, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._preferences = session, preferences
        self.state: State = "none"
        self.uid = ""
        self.run: RunSummary | None = None
        self.model: ModelConfig | None = None
        self.error: ErrorBody | None = None
        self.status: ServeStatus | None = None
        self.adapters: list[AdapterState] = []
        self.misfits: dict[str, ErrorBody] = {}
        """Adapters that were refused, by name."""
        self._wish = 0
        """How often another model, or none, was wanted: what was asked for before is of no use then."""
        self.loading: set[str] = set()
        self._waiting: dict[str, list[Callable[[str], object]]] = {}
        self.offers: list[Offer] = []
        self._look = QTimer(self, singleShot=True, interval=LOOK_MS)
        self._look.timeout.connect(self._ask_instance)
        session.run_changed.connect(self._run_changed)
        session.run_deleted.connect(self._run_gone)
        session.online.connect(self._online)
        self._take_up()

    # Starting and following

    @property
    def base(self) -> str:
        """The base model's name in requests."""
        return ServeJob(model=self.model).base_name if self.model is not None else ""

    def start(self, model: ModelConfig) -> None:
        """Have a model served; the one before is ended."""
        self.end()
        job = ServeJob(model=model, idle_minutes=IDLE_MINUTES, restart=False)
        name = tr("Playground: {model}", model=job.base_name)[:120]
        self.model, self.state, self.error, self.run = model, "starting", None, None
        self._preferences.set(LAST, [model.path, model.hub])
        self.adapters, self.misfits, self.status = [], {}, None
        self.changed.emit()
        self.adapters_changed.emit()
        number, kept = self._wish, model.model_dump(mode="json")

        def began(run: RunSummary) -> None:
            if number != self._wish:  # nobody wants it any more
                self._stop(run.uid)
                return
            self._preferences.set(KEPT, {"uid": run.uid, "model": kept})
            if isValid(self):  # else the page was left; the next one takes it up
                self._began(run)

        def refused(error: ErrorBody) -> None:
            if number == self._wish and isValid(self):
                self._fail(error)

        self._session.ask(lambda backend: backend.serve(job, name, [TAG]), began, refused)

    def again(self) -> None:
        """The same model once more."""
        if self.model is not None:
            self.start(self.model)

    def end(self) -> None:
        """Nobody needs it any more."""
        uid, self.uid = self.uid, ""
        self._wish += 1
        self._look.stop()
        if uid and self.state in ("looking", "starting", "ready"):
            self._stop(uid)
        self.state, self.run = "none", None
        self._preferences.set(KEPT, None)
        self.changed.emit()

    def _stop(self, uid: str) -> None:
        """Also once the page is gone."""
        self._session.ask(lambda backend: backend.stop(uid, False), None, lambda _error: None)

    def _began(self, run: RunSummary) -> None:
        self.uid = run.uid
        self._run_changed(run)

    def _take_up(self) -> None:
        """What an earlier page began may still answer."""
        kept = self._preferences.get(KEPT)
        try:
            self.uid, self.model = str(kept["uid"]), ModelConfig.model_validate(kept["model"])
        except (TypeError, KeyError, ValueError):
            return
        self.state = "looking"
        self._ask_instance()

    @Slot()
    def _ask_instance(self) -> None:
        uid = self.uid
        if uid:
            self._session.ask(lambda backend: backend.instance(uid), self._told, self._not_told, owner=self)

    def _told(self, instance: Instance) -> None:
        if instance.run != self.uid or self.state not in ("looking", "starting"):
            return
        if instance.ready:
            self.state = "ready"
            self.changed.emit()
            self.refresh()
            self.list_runs()
        elif self.state == "starting":
            self._look.start()
        elif instance.state in COMING:  # the page was left before it answered
            self.state = "starting"
            self.changed.emit()
            self._look.start()
            uid = self.uid
            self._session.ask(lambda backend: backend.run(uid).run, self._run_changed, self._not_told, owner=self)
        else:
            self._forget()

    def _not_told(self, _error: ErrorBody) -> None:
        if self.state == "looking":
            self._forget()
        elif self.state == "starting":
            self._look.start()

    def _forget(self) -> None:
        self.uid, self.state = "", "none"
        self.changed.emit()

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        if run.uid != self.uid:
            self._offer_changed(run)
            return
        self.run = run
        if run.state.ended and self.state in ("looking", "starting", "ready"):
            self.state = "failed" if run.state is RunState.FAILED or self.state == "starting" else "ended"
            self.error = run.error
        elif self.state == "ready" and run.state in (RunState.QUEUED, RunState.PREPARING):
            self._starts_anew()
        elif self.state == "starting" and run.state is RunState.RUNNING and not self._look.isActive():
            self._look.start(0)
        self.changed.emit()

    def _starts_anew(self) -> None:
        """Its worker died and another takes its place: what was loaded there is loaded again once that answers."""
        self.state, self.status, self.adapters = "starting", None, []
        self.loading.clear()
        self._waiting.clear()
        self.adapters_changed.emit()

    @Slot(str)
    def _run_gone(self, uid: str) -> None:
        if uid == self.uid:
            self._forget()

    @Slot()
    def _online(self) -> None:
        if self.state in ("looking", "starting"):
            self._ask_instance()
        elif self.state == "ready":
            self.refresh()
        self.list_runs()

    def _fail(self, error: ErrorBody) -> None:
        self.state, self.error = "failed", error
        self.changed.emit()

    # Adapters

    def refresh(self) -> None:
        """Ask what it holds."""
        uid = self.uid

        def work(backend: Backend) -> tuple[ServeStatus, list[AdapterState]]:
            return backend.serving_status(uid), backend.served_adapters(uid)

        if self.state == "ready":
            self._session.ask(work, self._know, self.failed.emit, owner=self)

    def _know(self, found: tuple[ServeStatus, list[AdapterState]]) -> None:
        first, (self.status, self.adapters) = self.status is None, found
        self.adapters_changed.emit()
        if first:
            self.known.emit()

    def _keep_paths(self) -> None:
        """Where adapters lay, to load them again for a chat that goes on."""
        self._preferences.set(PATHS, {one.name: one.path for one in self.adapters if one.path})

    def load_again(self, name: str) -> None:
        """Load one that an earlier instance held."""
        paths = self._preferences.get(PATHS, {})
        path = paths.get(name) if isinstance(paths, dict) else None
        if isinstance(path, str) and self.find(name) is None:
            self.load(name, path)

    def find(self, name: str) -> AdapterState | None:
        """An adapter by its name in requests."""
        return next((one for one in self.adapters if one.name == name), None)

    def load(self, name: str, path: str, then: Callable[[str], object] = lambda _name: None) -> None:
        """Load a file or folder under a name; one that is there already is not loaded again."""
        uid, taken = self.uid, {one.name: one.path for one in self.adapters}
        if taken.get(name) == path:
            then(name)
            return
        if name in self.loading:  # asked for once more before it is there
            self._waiting[name].append(then)
            return
        plain, number = name, 2
        while name in taken:
            name, number = f"{plain}-{number}", number + 1
        self.loading.add(name)
        self._waiting[name] = [then]
        self.misfits.pop(name, None)
        self.adapters_changed.emit()
        wish = LoadAdapter(name=name, path=path)

        def work(backend: Backend) -> list[AdapterState]:
            backend.load_adapter(uid, wish)
            return backend.served_adapters(uid)

        def loaded(adapters: list[AdapterState]) -> None:
            self.loading.discard(name)
            self.adapters = adapters
            self._keep_paths()
            self.adapters_changed.emit()
            for one in self._waiting.pop(name, []):
                one(name)

        def unfit(error: ErrorBody) -> None:
            self.loading.discard(name)
            self._waiting.pop(name, None)
            self.misfits[name] = error
            self.adapters_changed.emit()
            self.refused.emit(name)

        self._session.ask(work, loaded, unfit, owner=self)

    def load_path(self, path: str, then: Callable[[str], object] = lambda _name: None) -> None:
        """Load a file or folder under its own name."""
        folder = Path(path)
        name = folder.name.removesuffix(".arrow").removesuffix(".lora")
        if name in ("adapter", "outputs", "model"):
            name = f"{folder.parent.name}-{name}"
        self.load(name_of(name), path, then)

    def unload(self, *names: str) -> None:
        """Let some go."""
        uid = self.uid

        def work(backend: Backend) -> list[AdapterState]:
            for name in names:
                with suppress(NotFound):  # it went while nobody looked
                    backend.unload_adapter(uid, name)
            return backend.served_adapters(uid)

        def gone(adapters: list[AdapterState]) -> None:
            self.adapters = adapters
            self.adapters_changed.emit()

        self._session.ask(work, gone, self.failed.emit, owner=self)

    def dismiss(self, name: str) -> None:
        """No longer tell of one that did not fit."""
        self.misfits.pop(name, None)
        self.adapters_changed.emit()

    # Runs whose adapters fit

    def list_runs(self) -> None:
        """Ask which runs there are."""
        states = ("completed", "stopped", "paused", "running", "failed")
        self._session.ask(
            lambda backend: backend.runs(states, "", 0, MOST_RUNS), self._listed, lambda _error: None, owner=self
        )

    def _listed(self, page: RunPage) -> None:
        self.offers = [offer for run in page.runs if (offer := self._offer(run)) is not None]
        self.offers_changed.emit()

    def _offer(self, run: RunSummary) -> Offer | None:
        if run.kind != "train" or not run.attempt:
            return None
        why = tr("Its working files were deleted.") if run.cleaned and run.state is not RunState.COMPLETED else ""
        if run.method.rpartition(" ")[2] == WHOLE:
            why = tr("This run made a whole model.")
        elif self.model is not None and run.model and run.model != self.model.path:
            why = tr("Made for {model}", model=run.model.rstrip("/").rpartition("/")[2])
        return Offer(run.uid, run.name, not run.state.ended, why)

    def _offer_changed(self, run: RunSummary) -> None:
        known = next((one for one in self.offers if one.run == run.uid), None)
        if run.kind == "train" and run.attempt and (known is None or known.live == run.state.ended):
            self.list_runs()

    def load_run(self, uid: str, step: int | None, then: Callable[[str], object]) -> None:
        """Load what a run has taught: its result, or the checkpoint of a step."""

        def work(backend: Backend) -> tuple[str, str]:
            detail = backend.run(uid)
            _model, path = served_by(detail, Home(Path(backend.health().home)), step)
            if not path:
                raise Conflict("sample.no_result", name=detail.run.name)
            return name_of(detail.run.name if step is None else f"{detail.run.name}@{step}"), path

        self._session.ask(work, lambda found: self.load(*found, then), self.failed.emit, owner=self)

    def model_of_run(self, uid: str, then: Callable[[RunDetail, ModelConfig], object]) -> None:
        """The base model of a run."""

        def work(backend: Backend) -> tuple[RunDetail, ModelConfig]:
            detail = backend.run(uid)
            job = detail.spec.job
            model: ModelConfig | None = getattr(job, "model", None)
            whole = any(one.kind == "model" for one in detail.artifacts)
            if model is None or whole or getattr(job, "from_scratch", False):
                model, _adapter = taught_by(detail, Home(Path(backend.health().home)))
            return detail, model

        self._session.ask(work, lambda found: then(*found), self._fail, owner=self)
