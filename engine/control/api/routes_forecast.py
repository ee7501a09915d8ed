"""The route about what an order will take and cost."""

from __future__ import annotations

from fastapi import APIRouter

from engine.contract.forecast import AskForecast, Forecast
from engine.control.api.context import Ctx
from engine.control.jobs import forecasting

router = APIRouter()


@router.post("/forecast")
async def forecast(context: Ctx, body: AskForecast) -> Forecast:
    """By the finished runs most like it; says so where there is none."""
    return await forecasting.forecast(context.controller, body)
