"""What the members of an attempt say to each other: of every step what each told, and between two steps what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        members.say({})
