"""Whether the files a config names are there and of the right sort, on the computer that asks.

Looks at names and sizes only; what is inside is the worker's business.
"""

import errno
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from engine.contract import adapter_start
from engine.contract.acceleration import check_rope
from engine.contract.bundled import DATASETS, MODELS, locate
from engine.contract.config_file import anchored, examine
from engine.contract.config_text import read_text
from engine.contract.data import DataConfig, DataSource
from engine.contract.datasets import MANIFEST, ImportJob
from engine.contract.errors import Problem
from engine.contract.hubs import check_source
from engine.contract.lora_card import SUFFIX
from engine.contract.model import ModelConfig
from engine.contract.paths import expanded
from engine.contract.reward_files import check_rewards
from engine.contract.rollouts import RolloutConfig
from engine.contract.run_spec import RunConfig, RunSpec, TrainJob
from engine.contract.sampling import SampleJob, here
from engine.contract.scratch import HUB, ScratchConfig
from engine.contract.serving import ServeJob
from engine.contract.stages import stage_of
from engine.contract.teacher import TeacherConfig
from engine.contract.vocabulary import difference

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
ADAPTER_FILES = (adapter_start.CONFIG, adapter_start.WEIGHTS)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")
MOST_LOOKED_AT = 10_000
"""Files of a folder that are looked at for one with rows."""
SENTENCES_FILE = "modules.json"
"""What sentence-transformers knows a model of its own by."""
DATA_SUFFIXES = (
    ".arrow", ".bz2", ".csv", ".feather", ".gz", ".json", ".jsonl", ".md", ".ndjson", ".parquet", ".tar", ".tbz2",
    ".text", ".tgz", ".tsv", ".txt", ".txz", ".xz", ".zip", ".zst",
)  # fmt: skip
_PLACES: dict[type[BaseModel], tuple[str, ...]] = {
    ModelConfig: ("path", "hub", "revision"), DataSource: ("path", "hub"),
}  # fmt: skip
_KNOWN = ", ".join(DATA_SUFFIXES)


def check_files(spec: RunSpec) -> list[Problem]:
    """Every file or folder that is missing or cannot be used."""
    job = spec.job
    if isinstance(job, ImportJob):
        return list(_check_import(job))
    if isinstance(job, SampleJob):
        return list(_check_sampling(job))
    if isinstance(job, ServeJob):
        return list(_check_serving(job))
    if not isinstance(job, TrainJob):
        return []
    problems = list(_check_model(job.model))
    if job.from_scratch:
        problems += _check_tokenizer(job.scratch)
    for group, sources in (
        ("data.train", job.data.train),
        ("data.validation", job.data.validation),
        ("evaluation.data", job.evaluation.data),
    ):
        for index, source in enumerate(sources):
            problems += _check_data(source, f"{group}.{index}.path")
    problems += _check_rope(job.model, job.data.max_length)
    problems += _check_start(job.tuner.model_dump(mode="json"))
    if stage_of(job.stage).samples:
        problems += check_rewards(job.rollouts)
    if stage_of(job.stage).teacher:
        problems += _check_teacher(job.teacher, job.model)
    return problems


def read_checked(file: Path) -> RunConfig:
    """The config in a file, its paths made absolute; raises Refused with all that is wrong in it and with its files."""
    examined, folder = examine(read_text(file), file.name), file.parent
    return anchored(examined.checked(list(_check_places(examined.plain.document, folder))), folder)


def _check_places(document: dict[str, Any], folder: Path) -> Iterator[Problem]:
    """`check_files` for a document that may not validate: every place in it that can be understood."""
    model = _source(ModelConfig, document.get("model"), folder)
    if isinstance(model, ModelConfig):
        yield from _check_model(model)
        yield from _check_rope(*_stretching(document, folder))
    if isinstance(model, ModelConfig) and model.hub == HUB:
        form = _form(document.get("scratch", {}), folder)
        if form is not None:
            yield from _check_tokenizer(form)
    tuner = document.get("tuner")
    if isinstance(tuner, dict) and isinstance(tuner.get("adapter"), str) and tuner["adapter"]:
        place = str(folder.absolute() / expanded(tuner["adapter"]))
        yield from _check_start({**tuner, "adapter": place})
    for group, name in (("data", "train"), ("data", "validation"), ("evaluation", "data")):
        inside = document.get(group)
        listed = inside.get(name) if isinstance(inside, dict) else None
        for index, entry in enumerate(listed if isinstance(listed, list) else ()):
            source = _source(DataSource, entry, folder)
            if isinstance(source, DataSource):
                yield from _check_data(source, f"{group}.{name}.{index}.path")
    if stage_of(str(document.get("stage"))).samples:
        yield from _check_rewards(document, folder)
    if stage_of(str(document.get("stage"))).teacher:
        teacher = _teacher(document.get("teacher"), folder)
        if teacher is not None:
            yield from _check_teacher(teacher, model if isinstance(model, ModelConfig) else None)


def _form(entry: Any, folder: Path) -> ScratchConfig | None:
    try:
        form = ScratchConfig.model_validate(entry)
        if form.tokenizer != "folder" or not form.tokenizer_path:
            return form
        place = str(folder.absolute() / expanded(form.tokenizer_path))
    except ValidationError:  # the schema's problems are found elsewhere
        return None
    return form.model_copy(update={"tokenizer_path": place})


def _stretching(document: dict[str, Any], folder: Path) -> tuple[ModelConfig | None, int | None]:
    """Model and longest row of a document that may not validate as a whole."""
    data = document.get("data")
    longest = data.get("max_length", DataConfig.model_fields["max_length"].default) if isinstance(data, dict) else None
    try:
        model = ModelConfig.model_validate(document.get("model"))
        place = {"path": str(folder.absolute() / expanded(model.path))} if model.hub == "local" else {}
    except ValidationError:
        return None, None
    return model.model_copy(update=place), longest if isinstance(longest, int) and longest > 0 else None


def _check_rope(model: ModelConfig | None, longest: int | None) -> Iterator[Problem]:
    """Whether the positions of a model that lies here can be stretched as far as rows are long."""
    place = locate(model) if model is not None and model.rope != "none" else None
    if model is not None and place is not None:
        yield from check_rope(place, model.rope, model.rope_factor, model.rope_original, longest)


def _teacher(entry: Any, folder: Path) -> TeacherConfig | None:
    try:
        teacher = TeacherConfig.model_validate(entry)
        found = {"path": teacher.path if teacher.hub == "local" else "", "adapter": teacher.adapter}
        places = {name: str(folder.absolute() / expanded(path)) for name, path in found.items() if path}
    except ValidationError:  # the schema's problems are found elsewhere
        return None
    return teacher.model_copy(update=places)


def _check_teacher(teacher: TeacherConfig, model: ModelConfig | None) -> Iterator[Problem]:
    """Its files, its adapter, and whether it speaks the model's vocabulary."""
    source = teacher.source
    if source is None:
        return  # that one is needed is said elsewhere
    problems = list(_check_model(source, "teacher"))
    yield from problems
    ours, theirs = (locate(one) if one is not None else None for one in (model, source))
    if not problems and ours is not None and theirs is not None:
        detail = difference(ours, theirs)
        if detail:
            params = {"teacher": teacher.path, "detail": detail}
            yield Problem(code="teacher.vocabulary", field="teacher.path", params=params)
    if teacher.adapter:
        yield from _check_adapter(teacher.adapter, "teacher.adapter")


def _check_tokenizer(form: ScratchConfig) -> Iterator[Problem]:
    """Where a tokenizer is taken over: that it is there."""
    field, value = "scratch.tokenizer_path", form.tokenizer_path
    if form.tokenizer == "trained" or not value:
        return  # that one is needed is said elsewhere
    path, problems = _place(ModelConfig(path=value, hub="bundled" if form.tokenizer == "base" else "local"), field)
    yield from problems
    if path is not None and not problems and not any((path / name).is_file() for name in TOKENIZER_FILES):
        yield Problem(code="scratch.tokenizer_missing", field=field, params={"value": value})


def _check_adapter(value: str, field: str) -> Iterator[Problem]:
    path, problems = _place(ModelConfig(path=value), field)
    yield from problems
    missing = [name for name in ADAPTER_FILES if path is not None and not (path / name).is_file()]
    if missing:
        yield Problem(code="teacher.adapter_unfit", field=field, params={"value": value, "file": missing[0]})


def _check_start(tuner: dict[str, Any]) -> Iterator[Problem]:
    """An adapter to go on with: that it is there, and was trained with these settings."""
    value, field = tuner.get("adapter"), "tuner.adapter"
    if not value or str(tuner.get("kind", "lora")) not in adapter_start.GOES_ON:
        return
    path, problems = _place(ModelConfig(path=value), field)
    yield from problems
    if path is None or problems:
        return
    try:
        found = adapter_start.read_adapter(path)
    except (OSError, ValueError) as error:
        yield Problem(code="tuner.adapter_unfit", field=field, params={"value": value, "detail": str(error)[:200]})
        return
    yield from adapter_start.differences(found, tuner)


def _check_rewards(document: dict[str, Any], folder: Path) -> Iterator[Problem]:
    try:
        rollouts = RolloutConfig.model_validate(document.get("rollouts", {}))
        rewards = [
            one.model_copy(update={"path": str(folder.absolute() / expanded(one.path))}) if one.path else one
            for one in rollouts.rewards
        ]
    except ValidationError:  # the schema's problems are found elsewhere
        return
    yield from check_rewards(rollouts.model_copy(update={"rewards": rewards}))


def _source(kind: type[BaseModel], entry: Any, folder: Path) -> BaseModel | None:
    if not isinstance(entry, dict):
        return None
    try:
        source = kind.model_validate({key: entry[key] for key in (*_PLACES[kind],) if key in entry})
        place = {"path": str(folder.absolute() / expanded(entry["path"]))}
    except (ValidationError, KeyError):  # the schema's problems are found elsewhere
        return None
    return source.model_copy(update=place) if entry.get("hub", "local") == "local" else source


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
        path.stat()
    except FileNotFoundError:
        return None, [_missing(path, field, source.path)]
    except ValueError:  # a zero byte
        return None, [Problem(code="config.path_missing", field=field, params={"value": source.path})]
    except OSError as error:  # a folder that may not be entered, a name too long, a loop of links
        params = {"value": source.path, "detail": error.strerror or str(error)}
        return None, [Problem(code="config.path_unreadable", field=field, params=params)]
    return path, []


def _missing(path: Path, field: str, value: str) -> Problem:
    if path.is_symlink():
        return Problem(
            code="config.dangling_link", field=field, params={"value": value, "target": str(path.readlink())}
        )
    return Problem(code="config.path_missing", field=field, params={"value": value})


def _unreadable(path: Path, field: str, value: str) -> Iterator[Problem]:
    needed = os.R_OK | os.X_OK if path.is_dir() else os.R_OK
    if not os.access(path, needed):
        params = {"value": value, "detail": os.strerror(errno.EACCES)}
        yield Problem(code="config.path_unreadable", field=field, params=params)


def _check_model(model: ModelConfig, group: str = "model") -> Iterator[Problem]:
    field = f"{group}.path"
    yield from (one.model_copy(update={"field": _of_group(one.field, group)}) for one in check_source(model))
    path, problems = _place(model, field)
    if path is not None:
        problems += _unreadable(path, field, model.path)
    yield from problems
    if path is None or problems:
        return
    params = {"value": model.path}
    if not path.is_dir():
        yield Problem(code="config.model_not_a_folder", field=field, params=params)
        return
    if not (path / "config.json").is_file():
        yield Problem(code="config.model_without_config", field=field, params=params)
    if not any(path.glob("*.safetensors")):
        pickled = [found.name for pattern in PICKLED for found in path.glob(pattern)]
        if pickled:
            found = ", ".join(sorted(pickled)[:3])
            yield Problem(code="config.model_pickled", field=field, params={**params, "found": found})
        else:
            yield Problem(code="config.model_without_weights", field=field, params=params)
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        yield Problem(code="config.model_without_tokenizer", field=field, params=params)


def _of_group(field: str | None, group: str) -> str | None:
    """The field of a model setting, where it stands in another group."""
    return field.replace("model.", f"{group}.", 1) if field is not None else None


def _check_sampling(job: SampleJob) -> Iterator[Problem]:
    """Model, adapter, questions and rewards."""
    yield from _check_model(job.model)
    yield from _check_rope(job.model, job.max_length)
    yield from _check_data(job.source, "source.path")
    if job.adapter:
        path, problems = _place(ModelConfig(path=job.adapter), "adapter")
        yield from problems
        known = (ADAPTER_FILES, ("model.safetensors",))
        if path is not None and not any(all((path / name).is_file() for name in names) for names in known):
            yield Problem(code="sample.adapter_unfit", field="adapter", params={"value": job.adapter})
    yield from (here(problem) for problem in check_rewards(job.rollouts))


def _check_serving(job: ServeJob) -> Iterator[Problem]:
    """The base model and every adapter; what is in them is the worker's business."""
    yield from _check_model(job.model)
    yield from _check_rope(job.model, job.context)
    for index, adapter in enumerate(job.adapters):
        field = f"adapters.{index}.path"
        path, problems = _place(ModelConfig(path=adapter.path), field)
        yield from problems
        known = path is None or path.name.endswith(SUFFIX) or all((path / name).is_file() for name in ADAPTER_FILES)
        if not known:
            yield Problem(code="serve.adapter_unfit", field=field, params={"value": adapter.path})
    if job.route_model:
        path, problems = _place(ModelConfig(path=job.route_model), "route_model")
        yield from problems
        if path is not None and not (path / SENTENCES_FILE).is_file():
            yield Problem(code="serve.route_model_unfit", field="route_model", params={"value": job.route_model})


def _check_import(job: ImportJob) -> Iterator[Problem]:
    """Names and places; what is inside, and what a hub says, is the worker's business."""
    field, place = "source.place", job.source.place
    if job.source.kind == "url" and not place.lower().startswith("https://"):
        yield Problem(code="config.import_address", field=field, params={"value": place[:200]})
    if job.source.kind == "version":
        yield from _check_version(DataSource(path=job.dataset, hub="library", version=place), field)
    if job.source.kind == "path":
        path, problems = _place(DataSource(path=place), field)
        yield from problems
        if path is not None and not path.is_dir() and not path.is_file():  # opening a pipe would wait for ever
            yield Problem(code="config.not_a_file", field=field, params={"value": place})
        elif path is not None:
            yield from _unreadable(path, field, place)


def _check_version(source: DataSource, field: str) -> Iterator[Problem]:
    """Whether the folder of a version is there; which version is meant is settled by the controller."""
    folder = locate(source)
    if folder is not None and not (folder / MANIFEST).is_file():
        params = {"value": source.path, "version": (source.version or "")[:12]}
        yield Problem(code="config.dataset_gone", field=field, params=params)


def _check_data(source: DataSource, field: str) -> Iterator[Problem]:
    if source.hub == "library":
        yield from _check_version(source, field)
        return
    path, problems = _place(source, field)
    yield from problems
    if path is None:
        return
    params = {"value": source.path}
    unreadable = list(_unreadable(path, field, source.path))
    if unreadable:
        yield from unreadable
    elif path.is_dir():
        inside = islice(path.rglob("*"), MOST_LOOKED_AT)
        if not any(found.suffix.lower() in DATA_SUFFIXES and found.is_file() for found in inside):
            yield Problem(code="config.data_empty_folder", field=field, params={**params, "known": _KNOWN})
    elif not path.is_file():  # opening a pipe would wait for ever
        yield Problem(code="config.not_a_file", field=field, params=params)
    elif path.suffix.lower() not in DATA_SUFFIXES:
        yield Problem(code="config.data_unknown_file", field=field, params={**params, "known": _KNOWN})
    elif path.stat().st_size == 0:
        yield Problem(code="config.file_empty", field=field, params=params)
