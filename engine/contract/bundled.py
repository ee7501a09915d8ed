"""The model and data that ship with the program, and where a path of a config really lies."""

from pathlib import Path

from engine.contract.data import DataSource
from engine.contract.model import ModelConfig
from engine.contract.paths import Home, expanded, resources_folder

MODELS = {"demo": "demo/model"}
DATASETS = {
    "demo": "demo/data/train.jsonl",
    "demo/validation": "demo/data/validation.jsonl",
    "demo/held_out": "demo/data/held_out.jsonl",
    "demo/preferences": "demo/data/preferences.jsonl",
    "demo/preferences_held_out": "demo/data/preferences_held_out.jsonl",
    "demo/verdicts": "demo/data/verdicts.jsonl",
    "demo/months": "demo/data/months.jsonl",
    "demo/months_held_out": "demo/data/months_held_out.jsonl",
    "demo/pairs": "demo/data/pairs.jsonl",
    "demo/pairs_held_out": "demo/data/pairs_held_out.jsonl",
}


def locate(source: ModelConfig | DataSource) -> Path | None:
    """The file or folder a model or dataset setting means on this computer; None if it is no local thing."""
    if source.hub == "local":
        return expanded(source.path)
    if source.hub == "bundled":
        known = MODELS if isinstance(source, ModelConfig) else DATASETS
        name = known.get(source.path)
        return resources_folder() / name if name else None
    if isinstance(source, DataSource) and source.hub == "library" and source.version:
        return Home.find().dataset(source.version)
    return None
