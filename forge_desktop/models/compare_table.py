"""The figures and settings of compared runs as rows, one column a run, and which of them differ."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from engine.contract.api import RunDetail
from engine.contract.csv_cells import harmless
from engine.contract.run_spec import RunConfig, TrainJob
from forge_desktop.models.compare_model import Entry
from forge_desktop.theme.language import setting_label, tr, word
from forge_desktop.theme.measures import duration, figure, money, percent


@dataclass(frozen=True)
class Line:
    """One row: its name, a text a run, and which of them are best or unlike the first run's."""

    key: str
    title: str
    values: tuple[str, ...]
    best: frozenset[int] = frozenset()
    unlike: frozenset[int] = frozenset()

    @property
    def differs(self) -> bool:
        """Not all runs have the same."""
        return len(set(self.values)) > 1


MISSING = "—"


def results(entries: Sequence[Entry], currency: str) -> list[Line]:
    """What came of the runs, and what it took."""
    rates = [one.figures_of("tokens_per_second").mean for one in entries]
    validation = [one.figures_of("validation_loss").least for one in entries]
    runs = [one.detail.run if one.detail else None for one in entries]
    scores = {when: [_score(one.detail, when) for one in entries] for when in ("before", "after")}
    return [
        Line("state", tr("Status"), tuple(word("state", run.state) if run else MISSING for run in runs)),
        _figures("loss", tr("Final loss"), [_loss(one) for one in entries], -1, figure),
        _figures("validation", tr("Best validation loss"), validation, -1, figure),
        _figures("before", tr("Score before"), scores["before"], 0, lambda share: percent(share, 1)),
        _figures("after", tr("Score after"), scores["after"], 1, lambda share: percent(share, 1)),
        _figures("time", tr("Time"), [_seconds(one.detail) for one in entries], -1, duration),
        _figures("cost", tr("Cost"), [run.cost if run else None for run in runs], -1,
                 lambda amount: money(amount, currency)),
        _figures("steps", tr("Steps"), [run.step if run else None for run in runs], 0, lambda n: f"{n:,.0f}"),
        _figures("rate", tr("Tokens/s, mean"), rates, 1, figure),
    ]  # fmt: skip


def _figures(key: str, title: str, values: Sequence[float | None], better: int, form: Any) -> Line:
    """`better`: 1 the most is best, -1 the least, 0 neither."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    best: frozenset[int] = frozenset()
    if better and len(known) > 1 and min(known) != max(known):
        wanted = max(known) if better > 0 else min(known)
        best = frozenset(place for place, value in enumerate(values) if value == wanted)
    return Line(key, title, tuple(MISSING if value is None else form(value) for value in values), best)


def _loss(one: Entry) -> float | None:
    last = one.figures_of("loss").last
    return one.detail.run.loss if last is None and one.detail is not None else last


def _score(detail: RunDetail | None, when: str) -> float | None:
    found = [score.value for score in detail.scores if score.when == when and score.is_share] if detail else []
    return found[-1] if found else None


def _seconds(detail: RunDetail | None) -> float | None:
    if detail is None or detail.run.started is None:
        return None
    run = detail.run
    if run.seconds:
        return run.seconds
    return run.finished - run.started if run.finished is not None and run.started is not None else None


def settings(entries: Sequence[Entry]) -> list[Line]:
    """Every setting of the runs' configs; `unlike` are the runs that differ from the first one that is known."""
    documents = [_document(one.detail) for one in entries]
    paths = list(dict.fromkeys(path for document in documents for path in document))
    paths.sort(key=lambda path: (list(RunConfig.model_fields).index(path.split(".")[0]), 0))
    first = next((place for place, document in enumerate(documents) if document), 0)
    made = []
    for path in paths:
        if path in ("name", "version"):
            continue
        values = tuple(document.get(path, MISSING) if document else MISSING for document in documents)
        unlike = frozenset(
            place for place, value in enumerate(values) if documents[place] and value != values[first]
        )  # fmt: skip
        made.append(Line(path, title_of(path), values, unlike=unlike))
    return made


def _document(detail: RunDetail | None) -> dict[str, str]:
    if detail is None or not isinstance(detail.spec.job, TrainJob):
        return {}
    return dict(_flat(RunConfig.from_spec(detail.spec).document()))


def _flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """A nested document as dotted paths with texts."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{path}.{key}".strip("."))]
    if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        return [pair for place, inner in enumerate(value) for pair in _flat(inner, f"{path}.{place}")]
    if value is None:
        return [(path, "–")]
    if isinstance(value, bool):
        return [(path, tr("yes") if value else tr("no"))]
    if isinstance(value, float):
        return [(path, f"{value:.7g}")]
    return [(path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]


def title_of(path: str) -> str:
    """`Learning rate` for `training.learning_rate`; the path itself where it has no label."""
    group: Any = RunConfig
    label, parts = "", path.split(".")
    for part in parts:
        if not (isinstance(group, type) and issubclass(group, BaseModel)):
            break
        if part in group.model_fields:
            label = setting_label(group, part)
            found = group.model_fields[part].annotation
            inner = [one for one in getattr(found, "__args__", ()) if isinstance(one, type)]
            group = found if isinstance(found, type) and issubclass(found, BaseModel) else next(iter(inner), None)
    numbers = [str(int(part) + 1) for part in parts if part.isdigit()]
    return " ".join([label or path, *numbers])


def as_csv(names: Sequence[str], lines: Sequence[Line]) -> str:
    """The table for a spreadsheet; a text that a spreadsheet would take for a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["", *map(harmless, names)])
    for line in lines:
        writer.writerow([line.key, *map(harmless, line.values)])
    return out.getvalue()
