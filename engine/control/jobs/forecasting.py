"""What an order will take and cost: where it would go now, what runs like it took, what is left of the budget."""

from __future__ import annotations

from typing import Protocol

from engine.contract import forecast as sums
from engine.contract.api import Settings
from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.forecast import AskForecast, Forecast, Shape
from engine.contract.nodes import Candidate, NodeView, PlacementAnswer
from engine.contract.run_spec import RunSpec, TrainJob
from engine.control.jobs import memory_forecast
from engine.control.jobs.need import Needs
from engine.control.store import costs, forecasts, runs
from engine.control.store.database import Database


class Desk(Protocol):
    """What is asked of the controller."""

    database: Database
    needs: Needs

    @property
    def settings(self) -> Settings:
        """As they are now."""

    async def place(self, spec: RunSpec) -> PlacementAnswer:
        """Where it would go."""

    async def node_view(self, name: str) -> NodeView:
        """How a node is."""


async def forecast(desk: Desk, asked: AskForecast) -> Forecast:
    """By the finished runs most like it."""
    spec, job = asked.spec, asked.spec.job
    if not isinstance(job, TrainJob):
        raise UserError("request.invalid", detail="Only training can be forecast.")
    settings, at = desk.settings, now()
    place = _where(spec, await desk.place(spec))
    gpus = 0 if place is None or not place.gpus or spec.compute.gpus == 0 else max(1, spec.compute.gpus or 1)
    view = await desk.node_view(place.node) if place is not None else None
    device = _device(view) if view is not None and gpus else ""
    model, _data, method = runs.described(spec)
    rows = sums.step_rows(job.training)
    planned = Shape(model, method, place.node if place is not None else "", device, gpus, rows, job.data.max_length)
    price, currency = _price(settings, spec, place, gpus)
    past = await desk.database.read(lambda c: forecasts.past(c, model))
    steps = job.training.max_steps or asked.steps
    found = sums.forecast(planned, steps, past, price, currency)
    found = found.model_copy(update={"memory": await memory_forecast.forecast(desk, asked, job, view, gpus)})
    if settings.budget is None or currency != settings.currency:
        return found
    since = at - settings.budget_days * costs.DAY_S
    spent = await desk.database.read(lambda c: costs.spent(c, since, at, settings.currency))
    return found.model_copy(update={"budget_left": settings.budget - spent})


def _where(spec: RunSpec, answer: PlacementAnswer) -> Candidate | None:
    """The node it goes to; while all are busy the one it asked for, or that looks best."""
    wanted = answer.node or spec.compute.node
    named = next((one for one in answer.candidates if one.node == wanted), None)
    return named or max(answer.candidates, key=lambda one: (one.fits, one.score, one.gpus), default=None)


def _device(node: NodeView) -> str:
    known = node.facts.gpus[0].name if node.facts.gpus else ""
    return known or node.names.get("gpu0", "")


def _price(settings: Settings, spec: RunSpec, place: Candidate | None, gpus: int) -> tuple[float | None, str]:
    """Of an hour, as it will be booked: the node's for each GPU, else the lane's."""
    if place is not None and place.price is not None:
        return runs.hourly(place.price, gpus), place.currency
    return settings.prices.get(spec.lane), settings.currency
