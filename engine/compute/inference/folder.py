"""What is wrong with a model folder, found in its files without loading any of it (and without torch)."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from engine.contract.errors import Problem, UserError
from engine.contract.preflight import PICKLED, TOKENIZER_FILES

MAX_HEADER_BYTES = 100 << 20
MAX_JSON_BYTES = 256 << 20
INDEX = "model.safetensors.index.json"
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16}
BITS |= {"I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64}
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight", "tok_embeddings.weight")
Tensor = tuple[str, tuple[int, ...], str]
"""Name, shape, dtype."""


def check_folder(folder: Path) -> None:
    """Refuse a model folder that cannot be loaded, with everything that is wrong with it."""
    if not folder.is_dir():
        raise UserError("model.missing", path=str(folder))
    if not (folder / "config.json").is_file():
        raise UserError("model.no_config", path=str(folder))
    if not any(folder.glob("*.safetensors")):
        pickled = pickled_weights(folder)
        if pickled:
            raise UserError("model.pickled", path=str(folder), found=", ".join(pickled[:3]))
        raise UserError("model.no_weights", path=str(folder))
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):  # transformers would make an empty one
        raise UserError("model.no_tokenizer", path=str(folder))
    config = read_json(folder / "config.json", "model.no_config")
    tensors, problems = read_tensors(folder)
    problems += problems_of_content(folder, config, tensors)
    if problems:
        raise UserError("model.refused", path=str(folder), count=len(problems), problems=problems)


def pickled_weights(folder: Path) -> list[str]:
    """Files that hold weights as pickles, which can run code: named, never opened."""
    return sorted(found.name for pattern in PICKLED for found in folder.glob(pattern))


def problems_of_parts(folder: Path) -> Iterator[Problem]:
    """What a folder lacks."""
    params = {"value": str(folder)}
    if not any(folder.glob("*.safetensors")):
        pickled = pickled_weights(folder)
        if pickled:
            params["found"] = ", ".join(pickled[:3])
        code = "config.model_pickled" if pickled else "config.model_without_weights"
        yield Problem(code=code, field="model.path", params=params)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        yield Problem(code="config.model_without_tokenizer", field="model.path", params={"value": str(folder)})


def problems_of_content(folder: Path, config: dict[str, Any], tensors: list[Tensor]) -> Iterator[Problem]:
    """What does not fit together in the files that are there."""
    yield from _problems_of_shards(folder)
    named = config.get("architectures")
    architectures = [str(name) for name in named] if isinstance(named, list) else []
    if architectures and not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures):
        known = ", ".join(architectures)
        yield Problem(code="model.not_causal", field="model.path", params={"architecture": known})
    yield from _problems_of_vocabulary(folder, tensors)


def read_json(path: Path, missing: str) -> dict[str, Any]:
    """A JSON object; a file that is missing or broken is a coded error."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError("model.bad_json", path=str(path), detail=f"It is larger than {MAX_JSON_BYTES >> 20} MB.")
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(missing, path=str(path.parent)) from None
    except RecursionError:
        raise UserError("model.bad_json", path=str(path), detail="It is nested too deeply.") from None
    except (ValueError, OSError) as error:
        raise UserError("model.bad_json", path=str(path), detail=str(error)[:300]) from error
    if not isinstance(content, dict):
        raise UserError("model.bad_json", path=str(path), detail="It is no JSON object.")
    return content


def read_tensors(folder: Path) -> tuple[list[Tensor], list[Problem]]:
    """Names and shapes of all weights, and the files that cannot be read."""
    tensors, problems = list[Tensor](), list[Problem]()
    for path in sorted(folder.glob("*.safetensors")):
        try:
            tensors += _header(path)
        except _Damaged as error:
            detail = str(error)
        except OSError as error:
            detail = error.strerror or str(error)
        except (ValueError, struct.error, TypeError, LookupError, AttributeError, RecursionError):
            detail = "its header cannot be read"
        else:
            continue
        params = {"file": path.name, "detail": detail}
        problems.append(Problem(code="model.bad_safetensors", field="model.path", params=params))
    return tensors, problems


class _Damaged(Exception):
    """What is wrong with a file of weights."""


def _header(path: Path) -> list[Tensor]:
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_HEADER_BYTES:
            raise _Damaged("its header is too long")
        if length > size - 8:
            raise _Damaged("it ends too early")
        header = json.loads(file.read(length))
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    size -= 8 + length
    if any(entry["data_offsets"][1] > size for entry in entries.values()):
        raise _Damaged("it ends too early")
    return [_tensor(name, entry) for name, entry in entries.items()]


def _tensor(name: str, entry: dict[str, Any]) -> Tensor:
    """One entry of a header; its bytes must be as many as its shape and dtype ask for."""
    shape, dtype = tuple(int(side) for side in entry["shape"]), str(entry["dtype"])
    begin, end = entry["data_offsets"]
    bits = BITS.get(dtype)
    if begin < 0 or (bits is not None and math.prod(shape) * bits != (end - begin) * 8):
        raise _Damaged(f"the size of '{name[:80]}' does not fit its shape")
    return name, shape, dtype


def _problems_of_shards(folder: Path) -> Iterator[Problem]:
    """Files with weights that the index names and that are not there, or lie elsewhere."""
    if not (folder / INDEX).is_file():
        return
    places = read_json(folder / INDEX, "model.no_config").get("weight_map")
    if not isinstance(places, dict):
        yield Problem(code="model.bad_index", field="model.path", params={"file": INDEX})
        return
    named = sorted({str(name) for name in places.values()})
    outside = [name for name in named if PurePosixPath(name).name != name or "\\" in name]
    missing = [name for name in named if name not in outside and not (folder / name).is_file()]
    for code, names in (("model.shards_outside", outside), ("model.missing_shards", missing)):
        if names:
            params = {"count": len(names), "names": ", ".join(names[:3])}
            yield Problem(code=code, field="model.path", params=params)


def _problems_of_vocabulary(folder: Path, tensors: list[Tensor]) -> Iterator[Problem]:
    """Tokens for which the model has no row: training would end at the first of them."""
    rows = [shape[0] for name, shape, _ in tensors if name.endswith(EMBEDDINGS) and len(shape) == 2]
    path = folder / "tokenizer.json"
    if not rows or not path.is_file():
        return
    try:
        tokens = _tokens(read_json(path, "model.no_config"))
    except UserError as error:
        params = {"file": path.name, "detail": str(error.params.get("detail", ""))}
        yield Problem(code="model.bad_tokenizer_file", field="model.path", params=params)
        return
    if tokens > max(rows):
        sizes = {"tokens": tokens, "rows": max(rows)}
        yield Problem(code="model.vocabulary_too_large", field="model.path", params=sizes)


def _tokens(content: dict[str, Any]) -> int:
    """One more than the highest number a tokenizer gives."""
    model = content.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, list):
        highest = len(vocabulary) - 1
    else:
        numbers = vocabulary.values() if isinstance(vocabulary, dict) else ()
        highest = max((number for number in numbers if isinstance(number, int)), default=-1)
    added = content.get("added_tokens")
    for token in added if isinstance(added, list) else ():
        number = token.get("id") if isinstance(token, dict) else None
        highest = max(highest, number if isinstance(number, int) else -1)
    return highest + 1
