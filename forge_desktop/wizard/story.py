"""What a draft will do, in sentences."""

from __future__ import annotations

from engine.contract.run_spec import RunConfig
from engine.contract.tuners import TUNERS
from forge_desktop.models.plan import Plan
from forge_desktop.theme.language import count, tr, word
from forge_desktop.theme.measures import count_of, percent, size
from forge_desktop.wizard.fields import written


def story(config: RunConfig, plan: Plan) -> list[str]:
    """In the order things happen; what is not known is not said."""
    told = [_fetching(config, plan), _learning(config, plan), _steps(config, plan), _saving(config)]
    return [*(text for text in told if text), _measuring(config), _ending(config), _results(config)]


def _fetching(config: RunConfig, plan: Plan) -> str:
    if config.model.hub == "scratch":
        return tr("Nothing is downloaded: the model begins with fresh weights, the data is on this computer.")
    if config.model.hub in ("local", "bundled"):
        return tr("Nothing is downloaded: model and data are on this computer.")
    hub = word("choice", config.model.hub)
    if plan.download:
        return tr("Downloads the model from {hub} first, about {size} of weights; later runs use the same files.",
                  hub=hub, size=size(plan.download))  # fmt: skip
    return tr("Downloads the model from {hub} first; later runs use the same files.", hub=hub)


def _learning(config: RunConfig, plan: Plan) -> str:
    kind = word("choice", config.tuner.kind)
    if config.tuner.kind == "full":
        return tr("Trains every weight of the model.")
    if config.tuner.kind == "freeze":
        return _some_layers(config.tuner.layers)
    if "rank" not in TUNERS[config.tuner.kind].settings:
        return tr("Trains an adapter with {kind}; the model itself stays as it is.", kind=kind)
    if plan.trained and plan.parameters:
        share = percent(plan.trained / plan.parameters, 2)
        return tr("Trains {m} of {n} parameters ({share}) with {kind}, rank {rank}; the model itself stays as it is.",
                  m=count_of(plan.trained), n=count_of(plan.parameters), share=share, kind=kind,
                  rank=config.tuner.rank)  # fmt: skip
    return tr("Trains an adapter with {kind}, rank {rank}; the model itself stays as it is.", kind=kind,
              rank=config.tuner.rank)  # fmt: skip


def _some_layers(layers: int) -> str:
    if layers > 0:
        return count(
            layers,
            "Trains the last layer of the model; the rest stays as it is.",
            "Trains the last {n} layers of the model; the rest stays as it is.",
        )
    if layers < 0:
        return count(
            -layers,
            "Trains the first layer of the model; the rest stays as it is.",
            "Trains the first {n} layers of the model; the rest stays as it is.",
        )
    return tr("Trains only the modules that are named; the rest of the model stays as it is.")


def _steps(config: RunConfig, plan: Plan) -> str:
    batch = config.training.micro_batch_size * config.training.accumulation
    if plan.steps is None:
        return tr("Takes steps of {batch} rows; how many is known once the rows are read.", batch=f"{batch:,}")
    steps = count(plan.steps, "1 step", "{n} steps")
    if plan.tokens:
        tokens = count_of(plan.tokens)
        return tr("Takes {steps} of {batch} rows, about {tokens} tokens in all.", steps=steps, batch=f"{batch:,}",
                  tokens=tokens)  # fmt: skip
    return tr("Takes {steps} of {batch} rows.", steps=steps, batch=f"{batch:,}")


def _saving(config: RunConfig) -> str:
    saving = config.checkpoints
    every = []
    if saving.every_minutes is not None:
        every.append(tr("every {minutes} minutes", minutes=written(saving.every_minutes)))
    if saving.every_steps is not None:
        every.append(tr("every {steps} steps", steps=f"{saving.every_steps:,}"))
    if saving.at_end:
        every.append(tr("at the end"))
    if not every:
        return tr("Saves no checkpoints by itself.")
    return tr("Saves a checkpoint {when}; the newest {last} and the best {best} are kept.", when=tr(", ").join(every),
              last=saving.keep_last, best=saving.keep_best)  # fmt: skip


def _measuring(config: RunConfig) -> str:
    if not config.evaluation.data:
        return tr("Measures nothing at the end: no held-out rows are named.")
    if config.evaluation.before:
        return tr("Asks the held-out questions before and after, and shows both answers.")
    return tr("Asks the held-out questions after training.")


def _ending(config: RunConfig) -> str:
    limits = config.compute.limits
    if limits.max_hours is not None:
        return tr("Stops after the last step, or saves and stops after {hours} hours.", hours=written(limits.max_hours))
    again = count(limits.retries, "once", "up to {n} times")
    if limits.retries:
        return tr(
            "Stops after the last step; after a fault that is not its own it goes on by itself, {again}.", again=again
        )
    return tr("Stops after the last step.")


def _results(config: RunConfig) -> str:
    what = tr("The model") if TUNERS[config.tuner.kind].whole_model else tr("The adapter")
    return tr("{what} stays in this computer's library; the run's page has a button to save it anywhere.", what=what)
