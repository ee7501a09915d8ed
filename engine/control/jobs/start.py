"""Makes an attempt's folder and starts its worker. All of it waits for disk, processes, nodes: call it on a thread."""

from __future__ import annotations

import logging

from engine.contract import PROTOCOL_VERSION, logs
from engine.contract.api import Settings
from engine.contract.calibration import Calibration
from engine.contract.durable import sync_folder, write_json
from engine.contract.errors import Conflict, Unreachable, UserError
from engine.contract.faults import fault
from engine.contract.held_adapters import AdapterChanges
from engine.contract.hubs import HubAccess
from engine.contract.paths import AttemptFolder, Home
from engine.contract.run_spec import AttemptOrder, TrainJob
from engine.contract.serving import SERVE_PORT, ServeJob, ServeKey
from engine.control.executors.base import Launch, SparePlan
from engine.control.executors.code import WORKER_PATH, worker_path
from engine.control.jobs import retry
from engine.control.jobs.ending import PASSING, is_of_node, node_verdict, start_verdict
from engine.control.jobs.pool import Node
from engine.control.jobs.queue import Claim
from engine.control.jobs.safekeeping import Safekeeping
from engine.control.jobs.scheduler import CPU
from engine.control.jobs.secrets import SecretStore, hand_over, needed
from engine.control.jobs.serving_keys import keys_of_start
from engine.control.store import attempts, endpoints, memory, runs
from engine.control.store.database import Database

log = logging.getLogger(__name__)


def start(
    home: Home,
    database: Database,
    node: Node,
    claim: Claim,
    python: str | None,
    chosen: Settings,
    secrets: SecretStore,
    safe: Safekeeping | None = None,
) -> bool:
    """Prepare and start; False if that failed, and the attempt with it.

    Raises Unreachable where the node fell silent meanwhile: whether the worker started is not known then.
    """
    fault("start.after_claim")
    folder = home.attempt(claim.uid, claim.n)
    try:
        if python is None and not node.docker:
            raise Conflict("worker.no_environment")
        given = needed(claim.spec, secrets)
        if safe is not None:
            safe.bring_checkpoint(claim.uid, claim.resume)
        order = prepare(
            folder, claim, HubAccess.of(chosen), _calibration(database, claim), _bill(database, claim),
            _keys(home, database, claim), _changes(database, claim),
        )  # fmt: skip
        hand_over(folder, given)
        fault("start.after_order")
        handle = node.executor.start(_launch(home, folder, order, claim, python or "", chosen, node))
    except (OSError, UserError) as error:
        if isinstance(error, Unreachable) and error.code not in PASSING:
            raise
        log.warning("run %s could not be started on %s: %s", claim.uid, node.name, error)
        folder.secrets.unlink(missing_ok=True)
        _fail(database, claim, error, chosen.retry_seconds, node)
        return False
    fault("start.after_monitor")
    database.write_now(lambda t: attempts.set_handle(t, claim.attempt_id, handle), durable=True)
    fault("start.after_handle")
    return True


def _launch(
    home: Home, folder: AttemptFolder, order: AttemptOrder, claim: Claim, python: str, chosen: Settings, node: Node
) -> Launch:
    """A process is told all of it; an executor elsewhere has its own command, home and devices."""
    return Launch(
        folder,
        [] if node.docker else [python, "-m", "engine.compute.worker", str(folder.root)],
        variables(home, claim, chosen, docker=bool(node.docker)),
        order=order,
        devices=tuple(device for device in claim.devices if device != CPU),
        owner=claim.owner,
        ports=(SERVE_PORT,) if node.docker and isinstance(claim.spec.job, ServeJob) else (),
        keep_days=chosen.keep_days,
    )


def _calibration(database: Database, claim: Claim) -> Calibration | None:
    """What earlier runs tell of its memory."""
    job = claim.spec.job
    if not isinstance(job, TrainJob):
        return None
    device = "cuda" if any(device != CPU for device in claim.devices) else "cpu"
    described, plain = runs.described(claim.spec), job.model_dump(mode="json")
    model, dataset, method = described
    return database.read_now(lambda c: memory.calibration(c, model, method, dataset, claim.node, device, plain))


def _bill(database: Database, claim: Claim) -> tuple[float | None, float]:
    """What an hour of the attempt costs, and what those before it cost."""
    if claim.spec.limits.max_cost is None:
        return None, 0.0
    row = database.read_now(
        lambda c: c.execute("SELECT run.price, run.cost FROM run WHERE uid = ?", (claim.uid,)).fetchone()
    )
    return (row["price"], row["cost"] or 0.0) if row is not None else (None, 0.0)


def _keys(home: Home, database: Database, claim: Claim) -> list[ServeKey]:
    """Who may ask an instance; of other runs nobody."""
    if not isinstance(claim.spec.job, ServeJob):
        return []
    kept = database.read_now(lambda c: endpoints.keys(c, claim.run_id))
    return keys_of_start(home.token_file.read_text(encoding="utf-8").strip(), claim.lease, kept)


def _changes(database: Database, claim: Claim) -> AdapterChanges:
    """What people made of an instance's adapters; of other runs nothing."""
    if not isinstance(claim.spec.job, ServeJob):
        return AdapterChanges()
    return database.read_now(lambda c: endpoints.changes(c, claim.run_id))


def prepare(
    folder: AttemptFolder,
    claim: Claim,
    access: HubAccess,
    known: Calibration | None = None,
    bill: tuple[float | None, float] = (None, 0.0),
    keys: list[ServeKey] | None = None,
    adapters: AdapterChanges | None = None,
) -> AttemptOrder:
    """The folder and the order in it, durably, before anything is started."""
    folder.control.mkdir(parents=True, exist_ok=True)
    folder.outputs.mkdir(exist_ok=True)
    sync_folder(folder.root.parent)
    for left in folder.control.glob("*.json"):  # of a start that was cut off: they were meant for nobody else
        left.unlink(missing_ok=True)
    fault("start.after_folder")
    order = AttemptOrder(
        protocol=PROTOCOL_VERSION, run=claim.uid, attempt=claim.n, lease=claim.lease, spec=claim.spec,
        resume=claim.resume, resume_required=claim.resume_required, hubs=access, memory=known,
        price=bill[0], cost_before=bill[1], keys=keys or [],
        adapters=adapters or AdapterChanges(),
    )  # fmt: skip
    write_json(folder.order, order.model_dump(mode="json"))
    return order


def variables(home: Home, claim: Claim, chosen: Settings, *, docker: bool) -> dict[str, str]:
    """Those the run's config asks for, and ours, which win."""
    ours = logs.environment(chosen.log_level, chosen.log_json) if docker else environment(home, claim, chosen)
    job = claim.spec.job
    return (dict(job.extra.environment) if isinstance(job, TrainJob) else {}) | ours


def environment(home: Home, claim: Claim, chosen: Settings) -> dict[str, str]:
    """Variables of the worker: its home, how it logs, and the devices it may see."""
    variables = usual_environment(home) | logs.environment(chosen.log_level, chosen.log_json)
    if claim.devices:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(device for device in claim.devices if device != CPU)
    return variables


def usual_environment(home: Home) -> dict[str, str]:
    """Variables of every worker."""
    return {"FORGE_HOME": str(home.root), "PYTHONUNBUFFERED": "1", WORKER_PATH: str(worker_path(home))}


def spare_plan(home: Home, settings: Settings, python: str | None) -> SparePlan | None:
    """The spare workers to keep; none without an environment for them."""
    if python is None or settings.spare_workers == 0:
        return None
    return SparePlan(
        python,
        usual_environment(home),
        home.root / "logs" / "spare.log",
        settings.spare_workers,
        int(settings.spare_memory_gb * (1 << 30)),
        settings.spare_method,
    )


def _fail(database: Database, claim: Claim, error: OSError | UserError, retry_seconds: float, node: Node) -> None:
    end = retry.Ending(claim.run_id, claim.attempt_id, claim.lease, retry_seconds, node=node.name)
    verdict = start_verdict(error)
    if node.docker and isinstance(error, UserError) and is_of_node(error):
        node.failed(error.body(), retry_seconds)
        verdict = node_verdict(error.body())
    database.write_now(lambda t: retry.conclude(t, end, verdict), durable=True)
