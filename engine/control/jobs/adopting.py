"""Makes a run of the history again out of a container or process that it does not know."""

from __future__ import annotations

from pydantic import ValidationError

from engine.contract.durable import sync_folder, write_durably
from engine.contract.errors import Conflict, UserError
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import AttemptOrder
from engine.contract.states import RunState
from engine.contract.stream import RunEvent
from engine.control.executors.seen import Seen
from engine.control.jobs import transitions
from engine.control.store import attempts, events, runs
from engine.control.store.database import Transaction

ACTOR = "controller"
TAG = "adopted"


def order_of(data: bytes, seen: Seen, name: str) -> AttemptOrder:
    """What its worker was told; it must be the order of just this attempt."""
    if not data:
        raise Conflict("instances.no_order", id=name, detail="order.json is not there")
    try:
        order = AttemptOrder.model_validate_json(data)
    except ValidationError as error:
        detail = f"order.json has {error.error_count()} errors"
        raise Conflict("instances.no_order", id=name, detail=detail) from None
    if (order.run, order.attempt) != (seen.run, seen.attempt) or (seen.lease and order.lease != seen.lease):
        raise Conflict("instances.no_order", id=name, detail="order.json is of another attempt")
    return order


def make_folder(folder: AttemptFolder, data: bytes) -> None:
    """The attempt's folder on this computer, where its copy will lie. Waits: call it on a thread."""
    folder.control.mkdir(parents=True, exist_ok=True)
    folder.outputs.mkdir(exist_ok=True)
    if not folder.order.exists():
        write_durably(folder.order, data)
    sync_folder(folder.root.parent)


def adopt(
    transaction: Transaction, seen: Seen, order: AttemptOrder, node_id: int, node: str, executor: str, at: float
) -> int:
    """The run, with this attempt open; whoever follows it finds out how it stands. The attempt's id."""
    run_id = _run(transaction, seen, order, node, at)
    lease = order.lease
    last = transaction.execute("SELECT coalesce(max(n), 0) FROM attempt WHERE run_id = ?", (run_id,)).fetchone()[0]
    if seen.attempt <= last:
        raise Conflict("instances.older", run=order.spec.name, attempt=seen.attempt, last=last)
    row = transaction.execute(
        "INSERT INTO attempt(run_id, n, cause, lease, spec, started) VALUES (?,?,?,?,?,?)",
        (run_id, seen.attempt, "adopt", lease, order.spec.model_dump_json(), seen.started or seen.created or at),
    )
    attempt_id = int(row.lastrowid or 0)
    transaction.execute("UPDATE run SET attempt = ?, node = ? WHERE id = ?", (seen.attempt, node, run_id))
    attempts.add_member(transaction, attempt_id, executor, node_id, list(seen.devices))
    for device in seen.devices:
        _hold(transaction, node_id, device, attempt_id)
    runs.begin_work(transaction, run_id, seen.started or at, None)
    transitions.move(transaction, run_id, RunState.PREPARING, actor=ACTOR, at=at)
    body = {"level": "info", "code": "run.adopted", "params": {"node": node, "attempt": seen.attempt}}
    cursor = events.add(transaction, "note", body, at=at, run_id=run_id, attempt_id=attempt_id, actor=ACTOR)
    transaction.news.append(
        RunEvent(cursor=cursor, at=at, run=seen.run, attempt=seen.attempt, kind="note", level=events.INFO, body=body)
    )
    return attempt_id


def _run(transaction: Transaction, seen: Seen, order: AttemptOrder, node: str, at: float) -> int:
    """The run's row: of an earlier attempt, or made anew; it waits for what comes next."""
    row = transaction.one("SELECT id, name, state, deleting FROM run WHERE uid = ?", (seen.run,))
    if row is not None and row["deleting"]:
        raise UserError("instances.being_deleted", run=row["name"])
    if row is None:
        spec = order.spec
        compute = spec.compute.model_copy(update={"node": node})
        tags = list(dict.fromkeys([*spec.tags, TAG]))
        run_id = runs.insert(
            transaction, seen.run, spec.model_copy(update={"compute": compute, "tags": tags}),
            spec.owner or seen.owner, seen.created or at,
        )  # fmt: skip
        transitions.move(transaction, run_id, RunState.QUEUED, actor=ACTOR, at=at)
        return run_id
    state = RunState(row["state"])
    if state.live:
        raise Conflict("instances.run_at_work", run=row["name"])
    if state is not RunState.QUEUED:
        transitions.move(transaction, row["id"], RunState.QUEUED, actor=ACTOR, at=at, reopen=True)
    return int(row["id"])


def _hold(transaction: Transaction, node_id: int, device: str, attempt_id: int) -> None:
    """It has the device whatever others were promised."""
    rows = transaction.execute("SELECT share FROM device_lease WHERE node_id = ? AND device = ?", (node_id, device))
    held = {share for (share,) in rows}
    share = next(number for number in range(len(held) + 1) if number not in held)
    transaction.execute("INSERT INTO device_lease VALUES (?,?,?,?)", (node_id, device, share, attempt_id))
