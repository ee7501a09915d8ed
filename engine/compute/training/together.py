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

if TYPE_CHECKING:
    from engine.compute.training.trainer import ForgeTrainer


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


@contextmanager
def whole(trainer: ForgeTrainer) -> Iterator[None]:
    """Between two steps the first member has the whole model, however it is parted while it learns."""
    members = trainer.members
    if members is None or not members.shards:
        yield
        return
    from engine.compute.training import sharded

    model = trainer.model
    members.ask("whole", lambda: sharded.put_together(model))
    with sharded.alone(model):
        yield


def learned(trainer: ForgeTrainer) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Weights by name, where they are parted, and the optimiser's state, whole; for a checkpoint."""
    members, optimizer = trainer.members, trainer.optimizer
    if members is None or not members.shards:
        return None, optimizer.state_dict()
    return members.ask("state", lambda: _put_together(trainer))  # type: ignore[no-any-return]


def _put_together(trainer: ForgeTrainer) -> tuple[dict[str, Any], dict[str, Any]]:
    from engine.compute.training import sharded

    sharded.put_apart(trainer.model)
    return sharded.whole_weights(trainer.model), sharded.plain(trainer.optimizer.state_dict())


def put_apart(trainer: ForgeTrainer) -> None:
    """After a pass without a backward one: an optimiser must find the parts of weights that it is to change."""
    if trainer.members is not None and trainer.members.shards:
        from engine.compute.training import sharded

        sharded.put_apart(trainer.model)


def restore(trainer: ForgeTrainer) -> None:
    """Training is over: the model is plain again."""
    members = trainer.members
    if members is not None and members.shards:
        from engine.compute.training import sharded

        members.ask("restore", lambda: sharded.restore(trainer.model))


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
        elif said["what"] == "state":
            _put_together(trainer)
        elif said["what"] == "restore":
            restore(trainer)
        elif said["what"] == "whole":
            from engine.compute.training import sharded

            sharded.put_together(trainer.model)
            sharded.put_apart(trainer.model)
        members.say({})
