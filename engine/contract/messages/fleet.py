"""What is said about moving runs between nodes, and about containers and processes there."""

from engine.contract.messages.base import Message

_MOVES: dict[str, Message] = {
    "move.under_way": Message("Run '{run}' is being moved already.", "", "Wait for its end, or cancel it."),
    "move.unknown": Message("There is no such move.", "Its id is '{move}'.", "`forge move` lists them."),
    "move.not_live": Message(
        "Run '{run}' cannot be moved.",
        "It is {state}; only a run at work has something to move.",
        "Change its node, then start or resume it.",
    ),
    "move.finishing": Message(
        "Run '{run}' cannot be moved.", "It is nearly done: its results are being saved.", "Let it end."
    ),
    "move.ending": Message(
        "Run '{run}' cannot be moved.", "It was asked to pause or stop already.", "Resume it on another node instead."
    ),
    "move.same_node": Message("Run '{run}' works on '{node}' already.", "", "Choose another node."),
    "move.source_unreachable": Message(
        "Run '{run}' cannot be moved now.",
        "'{node}', where it works, does not answer, so it cannot save.",
        "Wait until the node answers again.",
    ),
    "move.no_room": Message(
        "Run '{run}' cannot be moved to '{node}'.",
        "{detail}",
        "Choose another node, or leave the choice to the scheduler.",
    ),
    "move.nowhere": Message(
        "No other node can take run '{run}' now.", "{detail}", "Add a node, or wait until one has room."
    ),
    "move.too_late": Message(
        "The move of run '{run}' cannot be cancelled any more.", "It works on '{node}' already.", "Move it back."
    ),
    "move.cancelled": Message("The move was cancelled.", "Somebody gave it up.", ""),
    "move.overtaken": Message(
        "Run '{run}' was not moved.", "It came to another end meanwhile: it is {state}.", "Look at its timeline."
    ),
    "move.damaged": Message(
        "The checkpoint to move is damaged.",
        "{detail}",
        "The run goes on from the newest one that is whole. Check the disk.",
    ),
    "move.differs": Message(
        "What lies on '{node}' is not what was sent.",
        "The sha256 of {file} differs.",
        "Check the disk and memory of that node, then move again.",
    ),
    "move.not_read": Message(
        "The checkpoint could not be read back on '{node}'.", "{detail}", "Let the node's doctor examine it."
    ),
    "move.not_laid": Message(
        "The checkpoint could not be brought to '{node}'.", "{detail}", "Correct what it names, then move again."
    ),
    "move.target_silent": Message(
        "'{node}' stopped answering while the run started there.",
        "Nothing is known of it now.",
        "Whatever may still work there is ended as soon as it answers.",
    ),
    "move.start_failed": Message(
        "The run did not come to work on '{node}'.", "Its worker ended before its first step.", "Look at its log."
    ),
    "move.asked": Message("The run is being moved from {source} to {target}."),
    "move.done": Message(
        "Moved from {source} to {target} at step {step}; it stood still for {seconds} s.",
        "Processor, torch and threads agree: losses continue bit for bit.",
    ),
    "move.done_may_differ": Message(
        "Moved from {source} to {target} at step {step}; it stood still for {seconds} s.",
        "From here on losses may differ in their last digits: {differs} is not the same there, or promises no bits.",
    ),
    "move.done_anew": Message(
        "Moved from {source} to {target}; it stood still for {seconds} s.", "It had saved nothing yet and began anew."
    ),
    "move.gone_back": Message("Not moved to {target}: the run goes on at {node}.", "{detail}"),
    "move.stayed": Message("Not moved to {target}: the run stays on {node}.", "{detail}"),
    "move.cancelled_back": Message("The move to {target} was cancelled: the run goes on at {node}."),
    "move.cancelled_stayed": Message("The move to {target} was cancelled: the run stays on {node}."),
}
_INSTANCES: dict[str, Message] = {
    "instances.unknown": Message("There is no instance '{id}'.", "It may have gone meanwhile.", "Look at the list."),
    "instances.foreign": Message(
        "'{id}' is left alone.", "It belongs to another controller ({controller}).", "Ask that one, or adopt it."
    ),
    "instances.other_controller": Message(
        "'{id}' cannot be adopted.", "The controller that made it ({controller}) is at work.", "Use that one."
    ),
    "instances.other_computer": Message(
        "'{id}' was not adopted.",
        "A controller of another computer ({computer}) made it, and it may be at work there: both would follow it.",
        "Make sure that controller is gone for good, then run `forge instances adopt --force {id}`.",
    ),
    "instances.spare": Message(
        "'{id}' is a spare worker.",
        "The controller keeps it ready and would start another.",
        "Set 'spare_workers' to 0 to have none.",
    ),
    "instances.not_at_work": Message("'{id}' cannot be ended.", "It does not run.", "Remove it instead."),
    "instances.not_ended": Message("'{id}' cannot be removed.", "It has not ended.", "Stop it first."),
    "instances.not_copied": Message(
        "'{id}' cannot be removed yet.",
        "What run '{run}' made there is not whole on this computer.",
        "Wait until it is copied.",
    ),
    "instances.process": Message(
        "'{id}' cannot be removed.", "It is a process; only its run's files remain.", "Delete the run instead."
    ),
    "instances.known": Message("'{id}' need not be adopted.", "It belongs to run '{run}'.", "Look at the run."),
    "instances.no_run": Message("'{id}' cannot be adopted.", "It works for no run.", "Leave it: it goes by itself."),
    "instances.no_order": Message("'{id}' cannot be adopted.", "{detail}.", "Remove it once it has ended."),
    "instances.older": Message(
        "Attempt {attempt} of run '{run}' cannot be adopted.", "Attempt {last} is in the history already.", "Remove it."
    ),
    "instances.run_at_work": Message(
        "Run '{run}' is at work.", "One attempt at a time can be adopted.", "Try again later."
    ),
    "instances.being_deleted": Message("Run '{run}' is being deleted.", "", "Wait until it is gone, then try again."),
    "instances.offline": Message("'{node}' is offline.", "Nobody asks it.", "Put it back online to see what is there."),
    "instances.slow": Message(
        "'{node}' does not say what is there.",
        "It gave no answer within {seconds} s.",
        "Try again, or let its doctor examine it.",
    ),
    "run.adopted": Message(
        "Adopted from {node}.",
        "Attempt {attempt} was found there and was not in this history. Its paths are those of that node.",
        "Choose model and data anew before it is started elsewhere.",
    ),
}
FLEET: dict[str, Message] = {**_MOVES, **_INSTANCES}
