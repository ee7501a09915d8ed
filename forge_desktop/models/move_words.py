"""What moves and placements say in words: steps, results, why a node is chosen or not."""

from __future__ import annotations

from dataclasses import dataclass

from engine.contract.errors import ErrorBody
from engine.contract.nodes import Candidate, MoveStep, MoveView, PlacementAnswer
from forge_desktop.models.moves_model import has_passed
from forge_desktop.models.node_words import title_of
from forge_desktop.theme.language import count, explain, sentences, tr, word
from forge_desktop.theme.measures import duration, money, size

SHOWN: tuple[tuple[MoveStep, ...], ...] = (("saving",), ("stopping", "copying"), ("verifying",), ("starting",))
"""What a person sees as one step. Letting go of the source is part of the last."""


@dataclass(frozen=True)
class Step:
    """One of the steps a row shows: done, now, failed, or later."""

    key: str
    state: str
    text: str


def steps_of(move: MoveView) -> list[Step]:
    """All of them, in order."""
    return [_step(move, parts) for parts in SHOWN]


def _step(move: MoveView, parts: tuple[MoveStep, ...]) -> Step:
    key = parts[-1]
    if has_passed(move, key):
        state = "done"
    elif move.step in parts:
        state = "now" if move.state == "running" else "failed"
    else:
        state = "later"
    return Step(key, state, _text(move, key, state))


def _text(move: MoveView, key: str, state: str) -> str:
    done = state == "done"
    match key:
        case "saving":
            return tr("Checkpoint saved") if done else tr("Save checkpoint")
        case "copying":
            return _copied(move, state)
        case "verifying":
            return tr("Verified") if done else tr("Verify")
    if move.train_step is None:
        return tr("Resumed") if done else tr("Resume")
    step = f"{move.train_step:,}"
    return tr("Resumed at step {step}", step=step) if done else tr("Resume at step {step}", step=step)


def _copied(move: MoveView, state: str) -> str:
    if state == "later" or not move.bytes_total:
        return tr("Copied") if state == "done" else tr("Copy")
    if state == "done":
        return tr("Copied {size}", size=size(move.bytes_total))
    return tr("Copied {done} of {total}", done=_like(move.bytes, move.bytes_total), total=size(move.bytes_total))


def _like(part: int, whole: int) -> str:
    """A part without its unit, where that is the unit of the whole."""
    one, other = size(part).split(" "), size(whole).split(" ")
    return one[0] if one[-1] == other[-1] else " ".join(one)


def way_of(move: MoveView) -> tuple[str, str]:
    """What source and target are called."""
    return title_of(move.source), title_of(move.target)


def result_of(move: MoveView) -> str:
    """How it ended, in a sentence or two; empty while it is under way."""
    source, target = way_of(move)
    match move.state:
        case "done":
            if move.downtime is None:
                return tr("It trains on {node} now.", node=target)
            return tr("It trains on {node} now; it stood still for {time}.", node=target, time=_exact(move.downtime))
        case "failed":
            what, why, _fix = explain(move.error) if move.error is not None else ("", "", "")
            return sentences(what, why, tr("It goes on at {node}; nothing is lost.", node=source))
        case "cancelled":
            return tr("Given up by a person. It goes on at {node}.", node=source)
    return ""


def _exact(seconds: float) -> str:
    return tr("{seconds} s", seconds=f"{seconds:.1f}") if seconds < 10 else duration(seconds)


def spoken(move: MoveView) -> str:
    """All of a row, for those who listen."""
    source, target = way_of(move)
    head = tr("{name} from {source} to {target}: {state}", name=move.name, source=source, target=target,
              state=word("move_state", move.state))  # fmt: skip
    if move.state != "running":
        return sentences(f"{head}.", result_of(move))
    return sentences(f"{head}.", *(f"{step.text}: {word('move_step', step.state)}." for step in steps_of(move)))


def why_of(candidate: Candidate, answer: PlacementAnswer) -> str:
    """Why the scheduler would, could or could not take a node."""
    chosen = candidate.node == answer.node and bool(answer.code)
    code, params = (answer.code, answer.params) if chosen else (candidate.code, candidate.params)
    what, why, _fix = explain(ErrorBody(code=code, what=code, params={**params, "node": title_of(candidate.node)}))
    return why or what


def facts_of(candidate: Candidate) -> str:
    """What there is to know about a node that could take a run."""
    parts = []
    if candidate.gpus:
        parts.append(tr("{free} of {n} GPUs free", free=candidate.free_gpus, n=candidate.gpus))
    if candidate.free_memory is not None:
        parts.append(tr("{size} free on a GPU", size=size(candidate.free_memory)))
    if candidate.temperature is not None:
        parts.append(f"{candidate.temperature:.0f} °C")
    if candidate.price is not None:
        parts.append(tr("{price} an hour", price=money(candidate.price, candidate.currency)))
    if candidate.data_there:
        parts.append(tr("model or data there already"))
    return " · ".join(parts)


def what_happens(runs: int) -> list[str]:
    """What a move does, step by step."""
    return [
        count(runs, "The run saves a checkpoint at its next step and stops.",
              "Each run saves a checkpoint at its next step and stops."),
        tr("The checkpoint is copied to the other node and compared with the original, file by file."),
        tr("Training resumes there at the same step; only then does this node let go of its files."),
        tr("If anything fails on the way, it goes on where it is now. Nothing is lost."),
    ]  # fmt: skip
