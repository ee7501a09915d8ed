"""What is wrong with settings of the controller: all of it, in plain words. The form and the controller ask here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from engine.contract.api import Settings
from engine.contract.artifact_place import check_place
from engine.contract.errors import Problem
from engine.contract.hubs import check_access
from engine.contract.states import Lane

MAX_SLOTS = 64
MOST = 1e9
"""No number of days, minutes, seconds or money is larger."""
LANES = tuple(str(lane) for lane in Lane)
NUMBERS = ("float_parsing", "int_parsing", "int_from_float", "float_type", "int_type", "finite_number")


def problems_of(values: Mapping[str, Any]) -> list[Problem]:
    """Every problem of these settings, with the dotted name of each (`slots.gpu`)."""
    try:
        settings = Settings.model_validate(dict(values))
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors()}
        rest = {name: value for name, value in values.items() if name not in wrong}
        return [_form_of(dict(detail)) for detail in error.errors()] + problems_of(rest)
    return [*_numbers(settings), *_lanes(settings), *_network(settings)]


def _form_of(detail: dict[str, Any]) -> Problem:
    """What pydantic found, by our own words."""
    field, kind, limits = ".".join(map(str, detail["loc"])), detail["type"], detail.get("ctx", {})
    if kind in NUMBERS:
        return Problem(code="settings.number", field=field, params={"value": str(detail["input"])})
    if kind == "greater_than_equal":
        return Problem(code="settings.least", field=field, params={"least": f"{limits['ge']:g}"})
    if kind == "less_than_equal":
        return Problem(code="settings.most", field=field, params={"most": f"{limits['le']:g}"})
    if field == "currency":
        return Problem(code="settings.currency", field=field, params={"value": str(detail["input"])})
    return Problem(code="settings.value", field=field, params={"detail": str(detail["msg"])})


def _numbers(settings: Settings) -> Iterator[Problem]:
    for name, value in settings.model_dump().items():
        if isinstance(value, float) and not math.isfinite(value):
            yield Problem(code="settings.number", field=name, params={"value": str(value)})
        elif isinstance(value, float) and value > MOST:
            yield Problem(code="settings.most", field=name, params={"most": f"{MOST:,.0f}"})


def _lanes(settings: Settings) -> Iterator[Problem]:
    for lane, count in (settings.slots or {}).items():
        if lane not in LANES or not 0 <= count <= MAX_SLOTS:
            params = {"lane": lane, "count": count, "most": MAX_SLOTS}
            yield Problem(code="settings.slots", field=f"slots.{lane}", params=params)
    for lane, price in settings.prices.items():
        if lane not in LANES or not math.isfinite(price) or not 0 <= price <= MOST:
            yield Problem(code="settings.price", field=f"prices.{lane}", params={"lane": lane, "price": price})


def _network(settings: Settings) -> Iterator[Problem]:
    named = {hub: address for hub, address in settings.endpoints.items() if address}
    yield from check_access(named, settings.proxy, settings.no_proxy)
    yield from check_place(settings.artifact_place, settings.artifact_endpoint)
