"""A forecast in words: how long, what it costs, how far runs like it were apart, and what it is taken from."""

from __future__ import annotations

from collections.abc import Callable

from engine.contract.forecast import Forecast, Spread
from forge_desktop.models.node_words import title_of
from forge_desktop.theme.language import count, sentences, tr
from forge_desktop.theme.measures import count_of, duration, energy, money


def time_text(found: Forecast) -> str:
    """`about 12 min`; a dash where nothing is known."""
    return tr("about {time}", time=duration(found.seconds.middle)) if found.seconds is not None else "—"


def cost_text(found: Forecast) -> str:
    """`about ¥0.80`; empty where no price is known."""
    return tr("about {cost}", cost=money(found.cost.middle, found.currency)) if found.cost is not None else ""


def headline(found: Forecast) -> str:
    """`about 12 min · ¥0.80 (from 5 runs like it)`, or plainly why there is none."""
    if found.seconds is None:
        return why_not(found)
    cost = money(found.cost.middle, found.currency) if found.cost is not None else ""
    said = " · ".join(part for part in (time_text(found), cost) if part)
    return f"{said} ({taken_from(found)})"


def taken_from(found: Forecast) -> str:
    """How many runs it is taken from."""
    return count(found.runs, "from 1 run like it", "from {n} runs like it")


def why_not(found: Forecast) -> str:
    """Why there is no forecast."""
    if found.why_not == "no_steps":
        return tr("not known: the rows of the data are not counted")
    return tr("no run like it yet")


def spread_text(found: Forecast) -> str:
    """Quartiles of time and cost; of one run there are none."""
    if found.seconds is None or found.runs < 2:
        return ""
    times = _between(found.seconds, duration)
    if found.cost is None:
        return tr("Half of them would take {times}.", times=times)
    costs = _between(found.cost, lambda value: money(value, found.currency))
    return tr("Half of them would take {times} and cost {costs}.", times=times, costs=costs)


def amounts_text(found: Forecast) -> str:
    """Tokens that pass through the model, and what its GPUs draw."""
    said = []
    if found.tokens is not None:
        said.append(tr("About {n} tokens pass through the model.", n=count_of(round(found.tokens.middle))))
    if found.energy is not None:
        said.append(tr("Its GPUs draw about {energy}.", energy=energy(found.energy.middle)))
    return sentences(*said)


def basis_text(found: Forecast) -> str:
    """In what those runs are like it."""
    if found.likeness is None:
        return ""
    node = title_of(found.node) if found.node else ""
    said = {
        "alike": tr("The same model, method, rows a step and kind of device ({node}).", node=node),
        "device": tr("The same model on the same kind of device ({node}), with other settings.", node=node),
        "model": tr("The same model, but on other devices than {node}: it may be far off.", node=node),
    }[found.likeness]
    scaled = tr("Their steps were of another size; it is counted by rows.") if found.scaled else ""
    return sentences(said, scaled)


def price_text(found: Forecast) -> str:
    """What an hour costs there, or that no price is set."""
    if found.price is None:
        return tr("No price is set for its node: time only.")
    return tr("{price} an hour.", price=money(found.price, found.currency))


def budget_text(found: Forecast) -> str:
    """A warning where it would pass what is left of the budget."""
    if not found.exceeds or found.cost is None or found.budget_left is None:
        return ""
    left = money(max(0.0, found.budget_left), found.currency)
    if found.exceeds == "likely":
        cost = money(found.cost.middle, found.currency)
        return tr("It would cost about {cost}, and {left} of the budget is left.", cost=cost, left=left)
    cost = money(found.cost.high, found.currency)
    return tr("It may cost {cost}, and {left} of the budget is left.", cost=cost, left=left)


def _between(found: Spread, text: Callable[[float], str]) -> str:
    low, high = text(found.low), text(found.high)
    return low if low == high else tr("{low} to {high}", low=low, high=high)
