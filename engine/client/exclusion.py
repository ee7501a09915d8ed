"""Excluding rows of a run: versions without them are made, and the run's config learns from those."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from engine.contract import exclusion
from engine.contract.api import RunDetail, RunSummary
from engine.contract.datasets import DatasetDetail
from engine.contract.errors import UserError
from engine.contract.forensics_api import RowKey, RowTexts, RowTextsAnswer
from engine.contract.run_spec import RunConfig, RunSpec

LOOK_S = 0.2
PIECE = 2000
"""Rows asked for at once."""


class Client(Protocol):
    """What is asked of a controller."""

    def run(self, uid: str) -> RunDetail:
        """Everything about a run."""

    def create(self, spec: RunSpec, start: bool = True) -> RunSummary:
        """Make a run."""

    def dataset(self, named: str) -> DatasetDetail:
        """A dataset with its versions."""

    def row_texts(self, asked: RowTexts) -> RowTextsAnswer:
        """What rows say."""


def exclude(client: Client, uid: str, keys: Sequence[RowKey], going: Callable[[], bool] = lambda: True) -> RunConfig:
    """The run's config on versions without these rows. Waits for the imports; False from `going` gives up waiting."""
    detail = client.run(uid)
    config = RunConfig.from_spec(detail.spec)
    versions = dict[int, tuple[str, str]]()
    for place, lines in exclusion.by_source(keys, len(config.data.train)).items():
        source = config.data.train[place]
        hashes = list[str]()
        for begin in range(0, len(lines), PIECE):
            asked = RowTexts(source=source, lines=lines[begin : begin + PIECE], most=10)
            hashes += [row.hash for row in client.row_texts(asked).rows]
        if not hashes:
            raise UserError("rows.not_found", line=lines[0], name=source.path)
        made = client.create(exclusion.import_without(source, hashes, detail.run.name), True)
        _wait(client, made.uid, going)
        name = exclusion.dataset_name(source)
        version = next(one for one in client.dataset(name).versions if one.run == made.uid)
        versions[place] = (name, version.hash)
    return exclusion.config_without(config, versions)


def _wait(client: Client, uid: str, going: Callable[[], bool]) -> None:
    while True:
        run = client.run(uid).run
        if run.state.ended:
            break
        if not going():
            raise UserError("rows.given_up")
        time.sleep(LOOK_S)
    if run.state.value != "completed":
        raise UserError.from_body(run.error) if run.error is not None else UserError("rows.import_failed", run=run.name)
