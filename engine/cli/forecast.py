"""`forge forecast`: how long a run of a config will take and what it will cost, by finished runs like it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.exits import OK
from engine.cli.output import print_json, span

if TYPE_CHECKING:  # imported by who needs it: a command's first word comes quickly
    from engine.contract.data import DataSource
    from engine.contract.forecast import Forecast, Spread
    from engine.contract.run_spec import RunConfig

LIKENESS = {
    "alike": "the same model, method, rows a step and kind of device",
    "device": "the same model on the same kind of device, with other settings",
    "model": "the same model on other devices: it may be far off",
}
FITS = {
    "fits": "it fits", "tight": "it only just fits", "busy": "it fits, but not beside what is there now",
    "too_large": "it does not fit", "unknown": "",
}  # fmt: skip
WIDTHS = {
    "limit": "as long as they may be", "rows": "as the rows that were measured", "runs": "as in earlier runs with them",
}  # fmt: skip
COUNTED_FROM = ("local", "bundled")
"""A helper counts these; those of the library are known. A hub's rows are not counted before the run fetches them."""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("forecast", parents=[common], help="how long a config's run will take, and its cost")
    command.add_argument("file", type=Path, metavar="CONFIG")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Count the rows where that is needed, and ask."""
    from engine.cli.session import controller
    from engine.contract.preflight import read_checked

    config = read_checked(options.file)
    with controller() as client:
        found = client.forecast(config.to_spec(), steps(client, config))
    if options.json:
        print_json(found)
    else:
        for text in lines(found):
            print(text)
    return OK


def steps(client: Any, config: RunConfig) -> int | None:
    """As many as are allowed; else by the rows a helper counts. None where one of them cannot be counted."""
    from engine.contract.forecast import rows_of, steps_of

    if config.training.max_steps:
        return config.training.max_steps
    counts: list[int | None] = []
    for source in config.data.train:
        rows = None
        if source.hub == "library":
            rows = _rows_of_version(client, source)
        elif source.hub in COUNTED_FROM:
            answer = client.query("preview_data", path=source.path, hub=source.hub, format=source.format, rows=1)
            rows = answer.result.get("rows")
        counts.append(rows if isinstance(rows, int) else None)
    return steps_of(config.training, rows_of(config.data, counts), config.iterations)


def _rows_of_version(client: Any, source: DataSource) -> int | None:
    """The controller knows them: of the version the config names, else of the newest."""
    versions = client.dataset(source.path).versions
    return next((one.rows for one in versions if source.version in ("", one.hash)), None)


def lines(found: Forecast) -> list[str]:
    """What is said of it."""
    return [*_time(found), *_memory(found)]


def _time(found: Forecast) -> list[str]:
    if found.seconds is None:
        return [
            "No forecast: the rows of the data cannot be counted. Set training.max_steps."
            if found.why_not == "no_steps"
            else "No forecast: no run like it has completed yet."
        ]
    of = "1 run" if found.runs == 1 else f"{found.runs} runs"
    cost = f" · {_money(found.cost.middle, found)}" if found.cost is not None else ""
    said = [f"About {span(found.seconds.middle)}{cost} (from {of} like it), {found.steps:,} steps."]
    if found.runs > 1:
        costs = f", {_money(found.cost.low, found)} to {_money(found.cost.high, found)}" if found.cost else ""
        said.append(f"Half of them would take {span(found.seconds.low)} to {span(found.seconds.high)}{costs}.")
    if found.tokens is not None:
        said.append(f"About {found.tokens.middle:,.0f} tokens pass through the model.")
    if found.energy is not None:
        said.append(f"Its GPUs draw about {found.energy.middle / 1000:.2f} kWh.")
    scaled = " Their steps were of another size; it is counted by rows." if found.scaled else ""
    said.append(f"Taken from {LIKENESS[found.likeness or 'model']} (node {found.node or 'unknown'}).{scaled}")
    if found.cost is None:
        said.append("No price is set for its node.")
    over = _over(found.cost, found)
    return [*said, over] if over else said


def _memory(found: Forecast) -> list[str]:
    """How much, of what, whether it fits, and how far such forecasts were off."""
    memory = found.memory
    if memory is None:
        return ["Memory: not known, for the model's files do not lie here."]
    place = "of the GPU" if memory.device == "cuda" else "of the worker's process"
    room = f" Of {_gb(memory.capacity)} there: {FITS[memory.fit]}." if memory.capacity else ""
    parts = ", ".join(f"{name} {_gb(size)}" for name, size in memory.parts.items() if size)
    rows = f"{memory.rows} row(s) at once of up to {memory.width:,} tokens ({WIDTHS[memory.width_from]})"
    said = [f"Memory {place}: about {_gb(memory.total)}.{room}", f"  {parts}.", f"  For {rows}."]
    if memory.error is not None:
        runs = "run" if memory.runs == 1 else f"{memory.runs} runs"
        said.append(f"  Such forecasts were off by {100 * memory.error:.0f} % (median of the last {runs}).")
    return said


def _gb(size: int | None) -> str:
    return f"{(size or 0) / 1e9:.2f} GB"


def _over(cost: Spread | None, found: Forecast) -> str:
    """Where it would pass what is left of the budget."""
    if cost is None or found.budget_left is None or not found.exceeds:
        return ""
    word, amount = ("would", cost.middle) if found.exceeds == "likely" else ("may", cost.high)
    left = _money(max(0.0, found.budget_left), found)
    return f"Warning: it {word} cost {_money(amount, found)}, and {left} of the budget is left."


def _money(amount: float, found: Forecast) -> str:
    return f"{amount:,.2f} {found.currency}"
