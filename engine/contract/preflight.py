"""Whether the files a config names are there and of the right sort, on the computer that asks.

Looks at names and sizes only; what is inside is the worker's business.
"""

from collections.abc import Iterator
from pathlib import Path

from engine.contract.bundled import DATASETS, MODELS, locate
from engine.contract.data import DataSource
from engine.contract.errors import Problem
from engine.contract.model import ModelConfig
from engine.contract.run_spec import RunSpec, TrainJob

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")


def check_files(spec: RunSpec) -> list[Problem]:
    """Every file or folder that is missing or cannot be used."""
    job = spec.job
    if not isinstance(job, TrainJob):
        return []
    problems = list(_check_model(job.model))
    for group, sources in (
        ("data.train", job.data.train),
        ("data.validation", job.data.validation),
        ("evaluation.data", job.evaluation.data),
    ):
        for index, source in enumerate(sources):
            problems += _check_data(source, f"{group}.{index}.path")
    return problems


def _place(source: ModelConfig | DataSource, field: str) -> tuple[Path | None, list[Problem]]:
    path = locate(source)
    if path is None:
        if source.hub != "bundled":
            return None, []  # refused elsewhere, as a hub that cannot be used yet
        choices = ", ".join(MODELS if isinstance(source, ModelConfig) else DATASETS)
        return None, [
            Problem(code="config.bundled_unknown", field=field, params={"value": source.path, "choices": choices})
        ]
    if not path.is_absolute():
        return None, [Problem(code="config.absolute_path", field=field, params={"value": source.path})]
    try:
        there = path.exists()
    except OSError:  # a name too long, a loop of links
        there = False
    if not there:
        return None, [Problem(code="config.path_missing", field=field, params={"value": source.path})]
    return path, []


def _check_model(model: ModelConfig) -> Iterator[Problem]:
    path, problems = _place(model, "model.path")
    yield from problems
    if path is None:
        return
    params = {"value": model.path}
    if not (path / "config.json").is_file():
        yield Problem(code="config.model_without_config", field="model.path", params=params)
    if not any(path.glob("*.safetensors")):
        pickled = [found.name for pattern in PICKLED for found in path.glob(pattern)]
        if pickled:
            found = ", ".join(sorted(pickled)[:3])
            yield Problem(code="config.model_pickled", field="model.path", params={**params, "found": found})
        else:
            yield Problem(code="config.model_without_weights", field="model.path", params=params)
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        yield Problem(code="config.model_without_tokenizer", field="model.path", params=params)


def _check_data(source: DataSource, field: str) -> Iterator[Problem]:
    path, problems = _place(source, field)
    yield from problems
    if path is not None and path.is_file() and path.stat().st_size == 0:
        yield Problem(code="config.file_empty", field=field, params={"value": source.path})
