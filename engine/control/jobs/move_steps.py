"""The steps of a move that are written into the history, each in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from engine.contract.clock import now
from engine.contract.compute import Placement
from engine.contract.errors import Conflict, ErrorBody, UserError
from engine.contract.ids import new_id
from engine.contract.nodes import MoveView
from engine.contract.run_spec import RunSpec
from engine.contract.states import EndReason, RunState
from engine.contract.stream import RunEvent
from engine.control.jobs import move_facts, next_start, queue, retry, transitions
from engine.control.jobs.commands import existing, tell
from engine.control.jobs.ending import MOVE
from engine.control.jobs.move_facts import Facts
from engine.control.jobs.next_start import Wish
from engine.control.jobs.queue import Claim, Terms
from engine.control.jobs.scheduler import AUTO
from engine.control.store import attempts, events, moves, runs
from engine.control.store.database import Transaction
from engine.control.store.moves import Details, Move

ACTOR = "controller"


def request(transaction: Transaction, uid: str, node: str, terms: Terms, actor: str) -> Move:
    """Begin a move; refused where it makes no sense, or the target cannot take the run."""
    connection, at = transaction.connection, now()
    row = existing(connection, uid)
    state = RunState(row["state"])
    name = {"run": row["name"]}
    if row["kind"] == "import":
        raise Conflict("move.import_stays", **name)
    if moves.of_run(connection, row["id"]) is not None:
        raise Conflict("move.under_way", **name)
    if not state.live or state is RunState.FINISHING:
        raise Conflict("move.not_live" if not state.live else "move.finishing", **name, state=state)
    attempt = connection.execute(
        "SELECT n, stop_asked FROM attempt WHERE run_id = ? AND ended IS NULL", (row["id"],)
    ).fetchone()
    if attempt is None or attempt["stop_asked"] is not None:
        raise Conflict("move.ending", **name)
    source = row["node"]
    if node == source:
        raise Conflict("move.same_node", **name, node=node)
    if any(offer.name == source and offer.reach != "reachable" for offer in terms.offers):
        raise Conflict("move.source_unreachable", **name, node=source)
    target = _target(transaction, row["id"], row["name"], node, source, terms)
    spec = RunSpec.model_validate_json(row["spec"])
    view = MoveView(
        uid=new_id(), run=uid, name=row["name"], source=source, target=target, began=at, train_step=row["last_step"]
    )  # fmt: skip
    move = Move(view, row["id"], Details(placement=spec.compute, left=attempt["n"]))
    moves.insert(transaction, move)
    _note(transaction, move, "move.asked", at, source=source, target=target, actor=actor)
    return move


def _target(transaction: Transaction, run_id: int, name: str, node: str, source: str, terms: Terms) -> str:
    """The node asked for, or the scheduler's choice."""
    others = replace(terms, offers=[offer for offer in terms.offers if offer.name != source])
    choice = queue.look_for_move(transaction.connection, run_id, others, node or AUTO)
    if choice.offer is None:
        said = UserError(choice.code, **choice.params)
        if not node:
            raise Conflict("move.nowhere", run=name, detail=said.text)
        raise Conflict("move.no_room", run=name, node=node, detail=said.text)
    return choice.offer.name


def ask(transaction: Transaction, facts: Facts, _cancelled: bool, at: float) -> None:
    """Have the source save and end; a wish of a person that came before counts for more."""
    asked = transaction.execute(
        "UPDATE attempt SET stop_asked = ?, stop_save = 1, stop_verb = ? WHERE id = ? AND ended IS NULL "
        "AND stop_asked IS NULL",
        (at, MOVE, facts.left_id),
    )
    moves.save(transaction, facts.move.with_details(asked=True))
    if asked.rowcount:
        cursor = events.add(
            transaction, "pause_asked", {"move": facts.move.view.target}, at=at, run_id=facts.move.run_id, actor=ACTOR
        )
        tell(transaction, facts.move.run_id, cursor, at, ACTOR)


def claim_target(transaction: Transaction, move: Move, terms: Terms, at: float) -> Claim | None:
    """The run is the target's: its next attempt, on the devices it gets there.

    None: a person paused, stopped or deleted it while its checkpoint was on the way.
    """
    if not _is(transaction, move, RunState.QUEUED):
        return None
    checkpoint = move.details.checkpoint
    wish = Wish("move", checkpoint, from_start=checkpoint is None, required=checkpoint is not None)
    next_start.keep(transaction, move.run_id, wish)
    _place(transaction, move, move.view.target)
    claim = queue.claim_for_move(transaction, move.run_id, terms, move.view.target, at)
    if not isinstance(claim, Claim):
        said = UserError(claim.code, **claim.params)
        raise UserError("move.no_room", run=move.view.name, node=move.view.target, detail=said.text)
    moves.save(transaction, move.with_details(arrived=claim.n))
    return claim


def go_back(
    transaction: Transaction,
    facts: Facts,
    terms: Terms,
    error: ErrorBody,
    state: Literal["failed", "cancelled"],
    at: float,
) -> Claim | None:
    """The source has it again; None: the source cannot take it now, and it waits, or a person wished otherwise."""
    move = facts.move
    if not _is(transaction, move, RunState.QUEUED, RunState.FAILED):
        return None
    if facts.state is RunState.FAILED:
        transitions.move(transaction, move.run_id, RunState.QUEUED, actor=ACTOR, at=at)
    retry.reset(transaction, move.run_id)
    next_start.keep(transaction, move.run_id, Wish("resume"))
    _place(transaction, move, None)
    source = move.view.source
    offers = [replace(o, state="online", held=0.0) if o.name == source else o for o in terms.offers]
    claim = queue.claim_for_move(transaction, move.run_id, replace(terms, offers=offers), source, at)
    ended = move.with_view(state=state, ended=at, error=error if state == "failed" else None)
    moves.save(transaction, ended)
    code = "move.gone_back" if state == "failed" else "move.cancelled_back"
    detail = " ".join(filter(None, (error.what, error.why)))
    _note(transaction, ended, code, at, level=events.WARNING, node=source, target=move.view.target, detail=detail)
    return claim if isinstance(claim, Claim) else None


def give_up_target(transaction: Transaction, facts: Facts, error: ErrorBody, keep_days: float | None) -> None:
    """The target fell silent: its attempt is over, and whatever works there is ended when it answers (`Reach`)."""
    at = now()
    if facts.arrived_id is not None:
        attempts.keep_remains(transaction, facts.arrived_id, at, keep_days)
    transitions.move(
        transaction, facts.move.run_id, RunState.QUEUED, actor=ACTOR, at=at, lease=facts.arrived_lease,
        reason=EndReason.LOST, error=error,
    )  # fmt: skip
    moves.save(transaction, facts.move.with_details(error=error))


def end_untouched(transaction: Transaction, facts: Facts, cancelled: bool, at: float) -> None:
    """Nothing was asked of the source yet: it never noticed."""
    error = None if cancelled else facts.move.details.error
    state: Literal["failed", "cancelled"] = "cancelled" if cancelled else "failed"
    ended = facts.move.with_view(state=state, ended=at, error=error)
    moves.save(transaction, ended)
    detail = " ".join(filter(None, (error.what, error.why))) if error else ""
    code = "move.stayed" if error else "move.cancelled_stayed"
    view = ended.view
    _note(transaction, ended, code, at, level=events.WARNING, node=view.source, target=view.target, detail=detail)


def overtaken(transaction: Transaction, facts: Facts, _cancelled: bool, at: float) -> None:
    """The run came to another end."""
    asked = facts.reason in (EndReason.STOPPED_BY_PERSON, EndReason.PAUSED_BY_PERSON)
    error = UserError("move.overtaken", run=facts.move.view.name, state=facts.state).body()
    state: Literal["failed", "cancelled"] = "cancelled" if asked else "failed"
    moves.save(transaction, facts.move.with_view(state=state, ended=at, error=error))


def done(transaction: Transaction, move: Move, at: float) -> None:
    """It works on the target, and nothing is left at the source."""
    facts = move_facts.look(transaction.connection, move.view.uid)
    ended = move.with_view(step="done", state="done", ended=at)
    moves.save(transaction, ended)
    if facts is None:
        return
    view, differs = move.view, move_facts.agree(facts)
    seconds = round(view.downtime, 2) if view.downtime is not None else 0
    places: dict[str, Any] = {
        "source": view.source,
        "target": view.target,
        "seconds": seconds,
        "step": view.train_step or 0,
    }
    if move.details.checkpoint is None:  # one that was brought may have made room since
        _note(transaction, ended, "move.done_anew", at, **places)
    elif differs:
        _note(transaction, ended, "move.done_may_differ", at, **places, differs=", ".join(differs))
    else:
        _note(transaction, ended, "move.done", at, **places)


def _is(transaction: Transaction, move: Move, *states: RunState) -> bool:
    """How the run stands now, not when somebody looked."""
    row = transaction.one("SELECT state FROM run WHERE id = ? AND deleting = 0", (move.run_id,))
    return row is not None and RunState(row["state"]) in states


def _place(transaction: Transaction, move: Move, node: str | None) -> None:
    """Where it goes from now on when it starts by itself: a run that leaves it to the scheduler still does."""
    before: Placement = move.details.placement
    compute = before if node is None or before.node == AUTO else before.model_copy(update={"node": node})
    text = transaction.execute("SELECT spec FROM run_spec WHERE run_id = ?", (move.run_id,)).fetchone()[0]
    spec = RunSpec.model_validate_json(text)
    runs.replace_spec(transaction, move.run_id, spec.model_copy(update={"compute": compute}))


def _note(
    transaction: Transaction,
    move: Move,
    code: str,
    at: float,
    level: int = events.INFO,
    actor: str = ACTOR,
    **params: object,
) -> None:
    body = {"level": "info" if level == events.INFO else "warning", "code": code, "params": params}
    n = move.details.arrived or move.details.left
    row = transaction.one("SELECT id FROM attempt WHERE run_id = ? AND n = ?", (move.run_id, n))
    attempt_id = row["id"] if row is not None else None
    cursor = events.add(
        transaction, "note", body, at=at, run_id=move.run_id, attempt_id=attempt_id, level=level, actor=actor
    )
    transaction.news.append(
        RunEvent(cursor=cursor, at=at, run=move.view.run, attempt=n, kind="note", level=level, body=body)
    )
