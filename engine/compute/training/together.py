"""What the members of an attempt say to each other: of every step what each told, and between two steps what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.compute.training.batches import Batch, rows_between, rows_of
from engine.compute.training.checkpoint import Chance
from engine.compute.training.members import Members
from engine.contract.members import ZERO_STAGES

if TYPE_CHECKING:
    from engine.compute.training.sharded import Sharded
    from engine.compute.training.trainer import ForgeTrainer
    from engine.compute.training.zero import Zero


def exchange(trainer: ForgeTrainer, members: Members) -> None:
    """The first member takes in what the others told of the step; one that does not come is known by its number."""
    if members.leads:
        for told in members.hear_all():
            trainer.figures.merge(told["figures"])
            if trainer.rows is not None:
                trainer.rows.take_over(told["rows"])
        return
    rows = trainer.rows.hand_over() if trainer.rows is not None else []
    members.say({"figures": trainer.figures.state(), "rows": rows})
    trainer.figures.lap()


def shared_out(trainer: ForgeTrainer, members: Members, batches: list[Batch]) -> list[Batch]:
    """This member's rows of the micro batches of a step."""
    if trainer.rows is not None:
        trainer.rows.describe(batches)
    if members.shards and batches:
        members.spare = rows_between(batches[0], 0, 1)
        members.passes = [math.ceil(members.most(rows_of(batch)) / trainer.rows_at_once) for batch in batches]
    return [members.share(batch) for batch in batches]


def fill_up(members: Members, parts: list[Batch]) -> list[Batch]:
    """Parts of a micro batch, and as many rows that count nothing as other members have parts more."""
    more = (members.passes.pop(0) if members.passes else 0) - len(parts) if members.shards else 0
    return [*parts, *([members.spare] * max(0, more))]


def parted_of(trainer: ForgeTrainer) -> Sharded | Zero | None:
    """What learns, where it is parted among the members."""
    if trainer.members is None or not trainer.members.shards:
        return None
    if trainer.members.strategy in ZERO_STAGES:
        return trainer.zero
    from engine.compute.training.sharded import Sharded

    return Sharded(trainer.model, lambda: trainer.optimizer)


@contextmanager
def whole(trainer: ForgeTrainer) -> Iterator[None]:
    """Between two steps the first member has the whole model, however it is parted while it learns."""
    members, parted = trainer.members, parted_of(trainer)
    if members is None or parted is None:
        yield
        return
    members.ask("whole", parted.put_together)
    with parted.alone():
        yield


def learned(trainer: ForgeTrainer) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Weights by name, where they are parted, and the optimiser's state, whole; for a checkpoint."""
    members, parted = trainer.members, parted_of(trainer)
    if members is None or parted is None:
        return None, trainer.optimizer.state_dict()
    return members.ask("state", parted.whole)  # type: ignore[no-any-return]


def put_apart(trainer: ForgeTrainer) -> None:
    """After a pass without a backward one: an optimiser must find the parts of weights that it is to change."""
    parted = parted_of(trainer)
    if parted is not None:
        parted.put_apart()


def restore(trainer: ForgeTrainer) -> None:
    """Training is over: the model is plain again."""
    members, parted = trainer.members, parted_of(trainer)
    if members is not None and parted is not None:
        members.ask("restore", parted.restore)


def follow(trainer: ForgeTrainer, members: Members) -> None:
    """A step boundary: the first member lets the others go on, or end; these do what it asks until then."""
    over = trainer.state.global_step >= trainer.state.max_steps
    if members.leads:
        members.release(trainer.control.should_training_stop or over)
        return
    said = serve(trainer, members)
    if trainer.guards.going_back is not None:  # there was no checkpoint
        trainer.guards.went_back(None)
    if said["what"] == "end" or said["stop"]:
        trainer.control.should_training_stop = True


def serve(trainer: ForgeTrainer, members: Members) -> dict[str, Any]:
    """Do what the first member asks between two steps, until it says go or end; its last words."""
    parted = parted_of(trainer)
    while True:
        said = members.hear()
        members.heard_last = said["what"]
        if said["what"] in ("go", "end"):
            return said
        if said["what"] == "chance":
            Chance.now().save(members.chance_file(Path(said["folder"])))
        elif said["what"] == "back":
            trainer.go_back(Path(said["folder"]), said["rate"])
            trainer.guards.went_back(trainer.state.global_step)
        elif parted is not None and said["what"] == "state":
            parted.whole()
        elif parted is not None and said["what"] == "restore":
            parted.restore()
        elif parted is not None and said["what"] == "whole":
            parted.put_together()
            parted.put_apart()
        members.say({})
