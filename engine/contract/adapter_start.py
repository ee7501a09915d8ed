"""A run that goes on with an adapter: what its files say, and where the settings of the run differ from them.

An adapter keeps its shape and its strength: of another rank the matrices do not fit, of another alpha it would say
something else from the first step on. So the settings are the adapter's, and what differs is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.contract.errors import Problem

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MOST_BYTES = 1 << 20
"""Of the config; a larger file is none."""
GOES_ON = ("lora", "qlora", "dora")
"""Methods that can go on with an adapter."""
_NAMES = {"rank": ("r", 16), "alpha": ("lora_alpha", 32.0), "rslora": ("use_rslora", False),
          "rank_pattern": ("rank_pattern", {}), "alpha_pattern": ("alpha_pattern", {})}  # fmt: skip


def read_adapter(folder: Path) -> dict[str, Any]:
    """peft's config of an adapter; raises ValueError with what is wrong, OSError where it cannot be read."""
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    if (folder / CONFIG).stat().st_size > MOST_BYTES:
        raise ValueError(f"{CONFIG} is too large")
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{CONFIG} is no text in JSON") from error
    if not isinstance(found, dict):
        raise ValueError(f"{CONFIG} holds no settings")
    return found


def differences(found: Mapping[str, Any], tuner: Mapping[str, Any]) -> Iterator[Problem]:
    """Every setting of `tuner`, which may not be valid as a whole, that is another one in the adapter's config."""
    kind = str(tuner.get("kind", "lora"))
    if kind not in GOES_ON:
        return
    made_by = str(found.get("peft_type", "")).upper()
    if made_by != "LORA":
        yield _other("kind", kind, made_by.lower() or "—")
        return
    dora = bool(found.get("use_dora"))
    if dora != (kind == "dora"):
        yield _other("kind", kind, "dora" if dora else "lora")
    for name, (theirs, usual) in _NAMES.items():
        ours, has = tuner.get(name, usual), found.get(theirs, usual) or usual
        if _plain(ours) != _plain(has):
            yield _other(name, ours, has)
    targets, has = tuner.get("targets", ["all-linear"]), found.get("target_modules")
    listed = isinstance(targets, list) and isinstance(has, list)
    if listed and targets != ["all-linear"] and sorted(map(str, targets)) != sorted(map(str, has or [])):
        yield _other("targets", ", ".join(map(str, targets)), ", ".join(sorted(map(str, has or []))))
    ours, has = tuner.get("modules_to_save") or [], found.get("modules_to_save") or []
    if isinstance(ours, list) and isinstance(has, list) and sorted(map(str, ours)) != sorted(map(str, has)):
        yield _other("modules_to_save", ", ".join(map(str, ours)) or "—", ", ".join(map(str, has)) or "—")


def settings_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `tuner` a run needs to go on with this adapter."""
    made = {name: found.get(theirs, usual) or usual for name, (theirs, usual) in _NAMES.items()}
    targets = found.get("target_modules")
    more = {"targets": sorted(map(str, targets))} if isinstance(targets, list) and targets else {}
    saved = {"modules_to_save": [str(one) for one in found.get("modules_to_save") or []]}
    return {"kind": "dora" if found.get("use_dora") else "lora", "init": "default", **made, **more, **saved}


def contradictions(tuner: Mapping[str, Any]) -> Iterator[Problem]:
    """What does not go with an adapter to go on with."""
    if not tuner.get("adapter"):
        return
    kind, init = str(tuner.get("kind", "lora")), tuner.get("init", "default")
    if kind not in GOES_ON:
        params = {"tuner": kind, "able": ", ".join(GOES_ON)}
        yield Problem(code="tuner.adapter_kind", field="tuner.adapter", params=params)
    elif init != "default":
        yield Problem(code="tuner.adapter_init", field="tuner.init", params={"init": str(init)})
    elif tuner.get("new_tokens"):
        yield Problem(code="tuner.adapter_new_tokens", field="tuner.new_tokens")


def _other(name: str, ours: Any, theirs: Any) -> Problem:
    params = {"setting": f"tuner.{name}", "ours": str(ours)[:200], "theirs": str(theirs)[:200]}
    return Problem(code="tuner.adapter_differs", field=f"tuner.{name}", params=params)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
