"""What guards say, and what is said of the course of a training: early stop, limits, trackers."""

from engine.contract.messages.base import Message

GUARDS: dict[str, Message] = {
    "guard.loss_not_finite": Message(
        "The loss became {loss} at step {step}.",
        "An update with it would take the weights out of the range of numbers.",
    ),
    "guard.gradient_not_finite": Message(
        "The gradient became {norm} at step {step}.",
        "An update with it would take the weights out of the range of numbers.",
    ),
    "guard.loss_spike": Message(
        "The loss jumped to {loss} at step {step}; lately it was {usual}.",
        "A bad batch or too high a learning rate can undo what was learned.",
        "Look at the rows of this step, or lower learning_rate.",
    ),
    "guard.exploding_gradient": Message(
        "The gradient has length {norm} at step {step}; lately it was {usual}.",
        "One update with such a gradient can undo many.",
        "Keep max_grad_norm at 1, lower learning_rate, or lengthen the warm-up.",
    ),
    "guard.vanishing_gradient": Message(
        "The gradient has been next to nothing ({norm}) for {steps} steps, up to step {step}.",
        "Nothing is learned any more.",
        "Raise learning_rate, look at what is trained of the rows, or end the run.",
    ),
    "guard.no_trained_tokens": Message(
        "Step {step} holds nothing to learn.",
        "Every token of its rows is masked, so that only decay and momentum would move the weights.",
        "Look at max_length and at what is learned of each row.",
    ),
    "guard.stalled_data": Message(
        "The data of step {step} has not come for {seconds} s.",
        "The worker waits for rows to be read and tokenised; a disk or a network may hang.",
        "Look at where the dataset lies.",
    ),
    "guard.slow_step": Message(
        "Step {step} took {seconds} s; this run's steps take {usual} s.",
        "Something else uses the device or the processor, or it is slowed down for heat.",
        "Look at the readings of the device.",
    ),
    "guard.disk_filling": Message(
        "The disk has {free} GB left at step {step}, less than the {limit} GB wanted.",
        "Without room no checkpoint and no result can be saved.",
        "Make room, or keep fewer checkpoints.",
    ),
    "guard.done.warned": Message("Training goes on."),
    "guard.done.skipped": Message("The step was skipped: the weights are as before it."),
    "guard.done.skipped_enough": Message("It was the {most}th in a row and more: the run stops and saves."),
    "guard.done.rolled_back": Message("The weights went back to the checkpoint at step {back}; the data goes on."),
    "guard.done.nothing_to_go_back_to": Message("There is no good checkpoint yet: the step was skipped instead."),
    "guard.done.rolled_back_enough": Message("It went back {most} times already: the run stops and saves."),
    "guard.done.stopped": Message("The run stops and saves."),
    "guard.done.failed": Message("The run ends at this step."),
    "guards.nothing_to_go_back_to": Message(
        "Going back needs checkpoints, and none are made while the run trains.",
        "",
        "Set checkpoints.every_steps or checkpoints.every_minutes, or choose another action.",
    ),
    "stopping.nothing_measured": Message(
        "Nothing is measured that could get better.",
        "There are no validation rows.",
        "Name validation data, or set data.validation_share.",
    ),
    "stopping.measured_once": Message(
        "The validation rows are measured only at the end.", "", "Set training.validate_every for early stop."
    ),
    "stopping.no_score": Message("There are no held-out rows to score.", "", "Name some in evaluation.data."),
    "stopping.best_not_kept": Message(
        "The best checkpoint is to be the result, and none is kept for being best.", "", "Set keep_best to 1 or more."
    ),
    "training.early_stop": Message(
        "{metric} has not become better in {patience} measurements; the best was {best}.",
        "",
        "Training ends at step {step}.",
    ),
    "training.cost_limit": Message(
        "The cost limit of {limit} is reached: {cost}.", "", "The run stops at this step and saves its result."
    ),
    "training.best_result": Message("The result is the best state, of step {step}; training came to step {last}."),
    "training.no_best": Message("No checkpoint was measured, so the result is the last state, of step {step}."),
    "training.log_every": Message("Points of the curve now come every {steps} steps."),
    "tracking.unknown": Message("There is no tracker '{value}'.", "", "Choose from {choices}."),
    "tracking.missing": Message(
        "The tracker {tracker} is not installed where the run works.",
        "",
        "Install it in the worker's environment: pip install {package}. Or leave it out.",
    ),
    "tracking.failed": Message("The tracker {tracker} failed: {detail}", "Training goes on without it."),
    "tracking.dropped": Message("The tracker {tracker} was too slow: {points} points are missing there."),
    "tracking.left_behind": Message(
        "The tracker {tracker} did not finish in time; {points} points are missing there.",
        "The run did not wait for it.",
    ),
}
