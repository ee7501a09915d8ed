"""The helper query `inspect_data`: what a file of rows is, before anything is done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.contract.dataset_queries import InspectData

if TYPE_CHECKING:
    from engine.compute.worker.queries import QueryOrder


def inspect_data(order: QueryOrder) -> dict[str, Any]:
    """Format, columns, first rows and their problems."""
    from engine.compute.data.inspect import inspect

    return inspect(InspectData.model_validate(order.params)).model_dump(mode="json")
