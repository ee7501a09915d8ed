"""What the API may ask of the controller: checked, written down in one transaction, then passed on to who does it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from engine.contract import logs
from engine.contract.api import EditRun, LogEvery, ResumeRun, RunSummary, SampleNow, Settings
from engine.contract.commands import WorkerCommand
from engine.contract.errors import Conflict, Problem
from engine.contract.faults import fault
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.contract.stream import SettingsChanged
from engine.control.jobs import commands, dataset_pins, environments, live, resuming, retention, settings, storage
from engine.control.jobs.dataset_desk import DatasetDesk
from engine.control.jobs.package_check import absent, problems_of_packages
from engine.control.jobs.requests import Request, answered, once, once_only
from engine.control.jobs.safekeeping import Safekeeping
from engine.control.jobs.secrets import SecretStore
from engine.control.jobs.upload_desk import UploadDesk
from engine.control.jobs.watch import Watch
from engine.control.jobs.wishes import verb_of
from engine.control.store import artifacts, runs
from engine.control.store.database import Database, Transaction


class Desk:
    """Takes requests. The loop behind it is `controller.Controller`."""

    safekeeping: Safekeeping

    def __init__(self, home: Home, database: Database) -> None:
        self.home = home
        self.database = database
        self.settings = settings.load(home)
        self.secrets = SecretStore(home)
        self.retention = retention.Retention(home, database)
        self.environments = environments.Keeper(home)
        self.storage = storage.Counter(home)
        self.datasets = DatasetDesk(home, database)
        self.uploads = UploadDesk(home, database)
        self._watches: dict[int, Watch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._wake_retention = asyncio.Event()
        self._file_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def worker_python(self) -> str | None:
        """The interpreter local workers would use."""
        return settings.worker_python(self.home, self.settings)

    async def create(self, spec: RunSpec, start_now: bool, request: Request) -> RunSummary:
        """Make a run; a run that is to start is checked whole before."""
        spec = self.beside_training(spec)
        if start_now:
            await self._refuse_unless_startable(spec)
        person = owner()
        return await self._command(request, lambda t: commands.create(t, spec, start_now, person, request.actor))

    async def edit(self, uid: str, change: EditRun, request: Request) -> RunSummary:
        """Change a draft, a priority, a name, tags, the pin."""
        summary = await self._command(request, lambda t: commands.edit(t, uid, change, request.actor))
        self._wake_retention.set()
        return summary

    async def start(self, uid: str, request: Request) -> RunSummary:
        """Queue a draft, or once more a run that is paused, failed or was stopped."""
        row = await self.database.read(lambda c: commands.existing(c, uid))
        await self._refuse_unless_startable(RunSpec.model_validate_json(row["spec"]))
        async with self._files_of(uid):
            return await self._command(request, lambda t: commands.start(t, uid, request.actor))

    async def resume(self, uid: str, body: ResumeRun, request: Request) -> RunSummary:
        """Go on with a run that is paused or has ended."""
        row = await self.database.read(lambda c: commands.existing(c, uid))
        await self._refuse_unless_startable(RunSpec.model_validate_json(row["spec"]))
        async with self._files_of(uid):
            return await self._command(request, lambda t: resuming.resume(t, uid, body, request.actor))

    async def stop(self, uid: str, save: bool, request: Request) -> RunSummary:
        """End a run; a worker is asked first."""
        summary = await self._command(request, lambda t: commands.stop(t, uid, save, request.actor))
        self._pass_on(uid, verb_of(save))
        return summary

    async def pause(self, uid: str, request: Request) -> RunSummary:
        """Save, end, and wait until somebody goes on with it."""
        summary = await self._command(request, lambda t: commands.pause(t, uid, request.actor))
        self._pass_on(uid, "pause")
        return summary

    async def save_now(self, uid: str, request: Request) -> RunSummary:
        """A checkpoint at the next step."""
        return await self._ask(uid, "save", {}, request)

    async def sample_now(self, uid: str, body: SampleNow, request: Request) -> RunSummary:
        """Answers of the model that is being trained, at the next step."""
        return await self._ask(uid, "sample", body.model_dump(), request)

    async def log_every(self, uid: str, body: LogEvery, request: Request) -> RunSummary:
        """Another interval between two points of the curve."""
        return await self._ask(uid, "log_every", body.model_dump(), request)

    async def copy(self, uid: str, request: Request, goes_on: bool = False) -> RunSummary:
        """A draft with the same spec; `goes_on`: one that begins with the adapter the run has made."""
        person = owner()
        adapter: Path | None = None
        if goes_on:
            row = await self.database.read(lambda c: commands.existing(c, uid))
            found = await self.database.read(lambda c: artifacts.latest(c, row["id"], "adapter"))
            adapter = Path(*found.place(self.home, uid)) if found is not None else Path()
        return await self._command(request, lambda t: commands.copy(t, uid, person, request.actor, adapter))

    async def delete(self, uid: str, request: Request) -> None:
        """Remove a run with everything that belongs to it."""
        async with self._files_of(uid):
            await self.database.write(lambda t: commands.delete_once(t, request, uid), durable=True)
            await asyncio.shield(self._go(self._finish_deleting(uid)))

    async def delete_files(self, uid: str, request: Request) -> RunSummary:
        """Let the working files of an ended run go now; results are in the library first."""
        known = await self.database.read(lambda c: answered(c, request))
        if known is not None:
            return known
        async with self._files_of(uid):
            summary = await asyncio.to_thread(self.retention.clean, uid, True)
            self._go(self.drop_remains(uid))
            return await self._command(request, lambda _: summary)

    async def keep_checkpoint(self, uid: str, checkpoint: int, kept: bool, request: Request) -> RunSummary:
        """Keep a checkpoint for good, or no longer. The worker's mark is there before anybody is told."""
        async with self._files_of(uid):
            row = await self.database.read(lambda c: commands.existing(c, uid))
            found = await self.database.read(lambda c: artifacts.find(c, row["id"], checkpoint))
            if found is not None and found.kind == artifacts.CHECKPOINT:
                mark = self.home.kept(uid) / found.path.rpartition("/")[2]
                await asyncio.to_thread(live.mark_kept, mark, kept)
            return await self._command(
                request, lambda t: live.keep_checkpoint(t, uid, checkpoint, kept, request.actor)
            )  # fmt: skip

    async def delete_checkpoint(self, uid: str, checkpoint: int, request: Request) -> RunSummary:
        """Remove one checkpoint of a run that is not at work."""
        async with self._files_of(uid):
            row = await self.database.read(lambda c: commands.existing(c, uid))
            found = await self.database.read(lambda c: artifacts.find(c, row["id"], checkpoint))
            summary = await self._command(
                request, lambda t: live.delete_checkpoint(t, uid, checkpoint, request.actor)
            )  # fmt: skip
            if found is not None:
                root, relative = found.place(self.home, uid)
                await asyncio.to_thread(retention.remove, root / relative)
                await asyncio.to_thread(live.mark_kept, self.home.kept(uid) / Path(relative).name, False)
            return summary

    async def change_settings(self, change: Settings, request: Request) -> Settings:
        """Keep changed settings; fields that were not sent stay. A repeated request changes nothing any more."""
        changed = self.settings.model_copy(update=change.model_dump(exclude_unset=True))

        def save(transaction: Transaction) -> None:  # refused settings leave no row, a row is never without its change
            settings.save(self.home, changed)
            runs.set_prices(transaction, changed.prices, changed.currency)
            transaction.news.append(SettingsChanged(settings=changed))

        if not await self.database.write(lambda t: once_only(t, request, save), durable=True):
            return self.settings
        if changed.keep_days != self.settings.keep_days:
            await asyncio.to_thread(self.retention.forget_dates)
        self.settings = changed
        logs.apply(changed.log_level, changed.log_json)
        self.keep_spares()
        self.safekeeping.wake()
        self._wake.set()
        self._wake_retention.set()
        return changed

    async def _finish_deleting(self, uid: str) -> None:
        raise NotImplementedError

    def keep_spares(self) -> None:
        """Have spare workers ready, as the settings say."""
        raise NotImplementedError

    def _go(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do it in the background; ended with the controller."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _command(self, request: Request, work: Callable[[Transaction], RunSummary]) -> RunSummary:
        answer: RunSummary = await self.database.write(lambda t: once(t, request, work), durable=True)
        fault("command.after_commit")
        self._wake.set()
        return answer

    async def _ask(self, uid: str, verb: str, params: dict[str, Any], request: Request) -> RunSummary:
        """A command that ends nothing. Its file has the same name when the request is repeated, and is obeyed once."""
        summary = await self._command(request, lambda t: live.ask(t, uid, verb, request.actor))
        command = WorkerCommand.model_validate({"id": request.name, "verb": verb, "params": params})
        await asyncio.gather(*(watch.send(command) for watch in self._watching(uid)))
        return summary

    def _pass_on(self, uid: str, verb: str) -> None:
        for watch in self._watching(uid):
            watch.ask(verb)

    def _watching(self, uid: str) -> list[Watch]:
        return [watch for watch in self._watches.values() if watch.source.uid == uid]

    def _files_of(self, uid: str) -> asyncio.Lock:
        """Held while a run's folder goes or a run that ended is taken up again: never both."""
        return self._file_locks.setdefault(uid, asyncio.Lock())

    async def _refuse_unless_startable(self, spec: RunSpec) -> None:
        spec, problems = await self.settled(spec)
        await asyncio.to_thread(
            commands.refuse_unless_runnable, spec, [*self.placement_problems(spec), *problems]
        )  # fmt: skip
        if self.needs_python(spec):
            python = await asyncio.to_thread(lambda: self.worker_python)
            if not python:
                raise Conflict("worker.no_environment")
            await asyncio.to_thread(commands.refuse_unless_runnable, spec, await self.package_problems(spec))
        await self.learn_need(spec)

    async def package_problems(self, spec: RunSpec) -> list[Problem]:
        """Packages an order wants that are missing where it would have to work: on this computer."""
        if not self.needs_python(spec):
            return []
        return await asyncio.to_thread(lambda: problems_of_packages(spec, self.worker_python))

    async def packages_absent(self, spec: RunSpec) -> list[str]:
        """Modules that some choices need and that are missing where an order would have to work."""
        return await asyncio.to_thread(lambda: absent(self.worker_python)) if self.needs_python(spec) else []

    async def settled(self, spec: RunSpec) -> tuple[RunSpec, list[Problem]]:
        """The order with the versions of datasets it means, and what is wrong with those it names."""
        return await self.database.read(lambda c: dataset_pins.settled(c, spec))

    async def drop_remains(self, uid: str, names: Sequence[str] | None = None) -> None:
        """What a run has left on nodes goes too."""
        raise NotImplementedError

    def beside_training(self, spec: RunSpec) -> RunSpec:
        """An instance that can only work on the processor does not take the place of a run that trains."""
        raise NotImplementedError

    def placement_problems(self, spec: RunSpec) -> list[Problem]:
        """What an order asks of nodes that none can ever give."""
        raise NotImplementedError

    def needs_python(self, spec: RunSpec) -> bool:
        """Whether a run could only work as a process of this computer."""
        raise NotImplementedError

    async def learn_need(self, spec: RunSpec) -> None:
        """Look at what its model needs, before a node is chosen for it."""
        raise NotImplementedError


def owner() -> str:
    """The person who sits at this computer."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
