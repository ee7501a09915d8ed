"""The file of an adapter: Arrow IPC with one slab of bytes, all first matrices, then all second ones, then the rest.

Schema metadata: `loraforge.adapter` (version), `card`, `index` (what lies where), `peft` (its config, and what its
safetensors say), `sha256` of all that, `pad` (what puts the slab at a multiple of 64 bytes in the file). Each weight
lies at a multiple of 64 bytes in the slab. A file is mapped, privately: its pages are shared with whoever maps it,
and nothing that writes into a weight reaches it.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pydantic import ValidationError

from engine.compute.lora.adapter import DTYPES, RAW, Adapter, assemble, gather, not_finite
from engine.compute.lora.keys import FACTORS, SECOND, Key, order, parse
from engine.compute.lora.quantised import compounded, error, pack, sizes, unpack
from engine.contract.durable import aside
from engine.contract.errors import Conflict, NotFound, Problem, Refused, UserError
from engine.contract.lora_card import LoRACard

VERSION = 1
ALIGNMENT = 64
MARK = b"loraforge.adapter"
_BY_NAME = DTYPES | RAW
_QUANTISED = ("int8", "int4")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a weight lies in the slab, and in which form."""

    key: Key
    form: str
    shape: tuple[int, ...]
    offset: int
    bytes: int
    scales: int = -1
    """Offset of the scales of a quantised matrix."""
    dtype: str = ""
    """What a quantised matrix was before."""

    def row(self) -> list[Any]:
        """As the index has it."""
        key = self.key
        return [key.name, key.module, key.role, key.parameter, self.form, list(self.shape), self.offset, self.bytes,
                self.scales, self.dtype]  # fmt: skip


class LoRAFormat:
    """Writing and reading files of adapters."""

    @staticmethod
    def save(adapter: Adapter, path: Path, storage: str | None = None) -> LoRACard:
        """Write a file, aside and then into place; the card as it stands there.

        `storage` is fp32, fp16, bf16, int8 or int4; each weight as it is if it is not named. int8 and int4 are for the
        two matrices; vectors and modules that were trained whole stay as they are.
        """
        if path.exists():
            raise Conflict("lora.exists", path=str(path))
        slab, places, lost = _slab(adapter, storage, str(path))
        stored = {place.form for place in places if place.key.role in FACTORS}
        card = adapter.card.model_copy(
            update={
                "dtype": stored.pop() if len(stored) == 1 else "mixed", "file_hash": "",
                "storage_error": compounded(adapter.card.storage_error, lost),
                "created": adapter.card.created or round(time.time(), 3),
            }
        )  # fmt: skip
        texts = {
            b"card": _card_text(card),
            b"index": json.dumps([place.row() for place in places], separators=(",", ":")).encode(),
            b"peft": json.dumps({"config": adapter.config_text, "metadata": adapter.file_metadata}).encode(),
        }
        digest = _digest(texts, slab)
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as beside:
            _write(beside, {MARK: str(VERSION).encode(), **texts, b"sha256": digest.encode()}, slab)
        return card.model_copy(update={"file_hash": digest})

    @staticmethod
    def load(path: Path, verify: bool = False) -> Adapter:
        """Map a file; its weights are views of the mapping, quantised ones are fp32 or what they were before.

        `verify` reads it all: the hash must agree and every value be finite.
        """
        mapped, texts, slab = _open(path)
        try:
            return _adapter(mapped, texts, slab, path, verify)
        except (UserError, MemoryError):
            raise
        except Exception as problem:
            raise _broken(path, f"what it says of itself cannot be read ({type(problem).__name__})") from problem

    @staticmethod
    def verify(path: Path) -> LoRACard:
        """Read all of it; the card if the hash agrees and every value is finite."""
        return LoRAFormat.load(path, verify=True).card

    @staticmethod
    def is_file(path: Path) -> bool:
        """Whether it begins as an Arrow file does."""
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(6) == b"ARROW1"


def _adapter(mapped: mmap.mmap, texts: Mapping[bytes, bytes], slab: torch.Tensor, path: Path, verify: bool) -> Adapter:
    """What the texts of a file say of its slab."""
    card = LoRACard.model_validate_json(texts[b"card"])
    card = card.model_copy(update={"file_hash": texts[b"sha256"].decode()})
    places = [_place(row, slab.numel(), path) for row in json.loads(texts[b"index"])]
    peft = json.loads(texts[b"peft"])
    config_text, metadata = str(peft["config"]), {str(name): str(text) for name, text in dict(peft["metadata"]).items()}
    if verify:
        _verify(texts, slab, path)
    tensors = _tensors(places, slab)
    made = sum(tensors[one.key.name].nbytes for one in places if one.form in _QUANTISED)
    if verify:
        if len(tensors) < len(places) or any(place.key != parse(place.key.name) for place in places):
            raise _broken(path, "its index does not name the weights of an adapter")
        adapter = assemble(config_text, tensors, str(path), card, metadata)
        adapter.held_bytes, adapter.owner = slab.numel() + made, mapped
        return adapter
    modules, whole = gather([place.key for place in places], tensors, card)
    for module, factors in modules.items():
        if factors.a.dim() != 2 or factors.b.dim() != 2 or factors.a.shape[0] != factors.b.shape[1]:
            raise _broken(path, f"the matrices of '{module}' do not fit together")
    return Adapter(card, config_text, tensors, modules, whole, metadata, slab.numel() + made, mapped)


def _card_text(card: LoRACard) -> bytes:
    """The card as a file holds it, and can be read again."""
    try:
        text = card.model_dump_json(exclude={"file_hash"}).encode()
        LoRACard.model_validate_json(text)
    except ValidationError as problem:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problem.errors()[:3])
        raise UserError("lora.card", detail=told) from None
    except ValueError as problem:  # texts that are none
        raise UserError("lora.card", detail=str(problem)[:200]) from None
    return text


def _slab(adapter: Adapter, storage: str | None, path: str) -> tuple[np.ndarray, list[Place], float]:
    """The bytes of all weights, what lies where, and the greatest error that storing them left."""
    keys = sorted(filter(None, map(parse, adapter.tensors)), key=order)
    places, parts, problems = list[Place](), list[tuple[int, torch.Tensor]](), list[Problem]()
    end, lost = 0, 0.0
    for key in keys:
        tensor = adapter.tensors[key.name].detach().cpu()
        made = _stored(key, tensor, storage)
        if key.role in FACTORS and storage is not None:
            again = _again(key, made, tensor.shape).to(tensor.dtype if storage in _QUANTISED else DTYPES[storage])
            if not_finite(again):
                params = {"key": key.name, "dtype": storage}
                problems.append(Problem(code="lora.overflow", field=key.name, params=params))
            else:
                lost = max(lost, error(tensor, again))
        form, pieces = made
        offsets = list[int]()
        for piece in pieces:
            offsets.append(end)
            parts.append((end, piece))
            end += -(-piece.numel() // ALIGNMENT) * ALIGNMENT
        size, scales = pieces[0].numel(), offsets[1] if len(offsets) > 1 else -1
        before = _name(tensor.dtype) if form in _QUANTISED else ""
        places.append(Place(key, form, tuple(tensor.shape), offsets[0], size, scales, before))
    if problems:
        raise Refused("lora.refused", path=path, count=len(problems), problems=problems)
    slab = np.zeros(end, dtype=np.uint8)
    for offset, piece in parts:
        slab[offset : offset + piece.numel()] = piece.numpy()
    return slab, places, lost


def _name(dtype: torch.dtype) -> str:
    return next(name for name, known in _BY_NAME.items() if known == dtype)


def _stored(key: Key, tensor: torch.Tensor, storage: str | None) -> tuple[str, list[torch.Tensor]]:
    """The form a weight is kept in, and its bytes; a quantised one has its scales behind."""
    if key.role in FACTORS and storage in _QUANTISED:
        numbers, scales = pack(tensor.T if key.role in SECOND else tensor, storage)
        return storage, [numbers, _bytes(scales)]
    if storage in DTYPES and tensor.is_floating_point() and key.role != "whole":
        tensor = tensor.to(DTYPES[storage])
    return _name(tensor.dtype), [_bytes(tensor)]


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _again(key: Key, made: tuple[str, list[torch.Tensor]], shape: torch.Size) -> torch.Tensor:
    """A weight as it will be read."""
    form, pieces = made
    if form in DTYPES:
        return pieces[0].view(DTYPES[form]).reshape(shape)
    rank, length = (shape[1], shape[0]) if key.role in SECOND else (shape[0], shape[1])
    whole = unpack(pieces[0], pieces[1].view(torch.float32), form, rank, length)
    return whole.T.contiguous() if key.role in SECOND else whole


def _digest(texts: Mapping[bytes, bytes], slab: np.ndarray) -> str:
    whole = hashlib.sha256()
    for name in (b"card", b"index", b"peft"):
        whole.update(b"%s %d\n" % (name, len(texts[name])))
        whole.update(texts[name])
    whole.update(slab.data)
    return whole.hexdigest()


def _write(path: Path, metadata: dict[bytes, bytes], slab: np.ndarray) -> None:
    """One batch of one column; what is padded with decides where the slab begins."""
    whole = pa.py_buffer(slab)
    array = pa.Array.from_buffers(pa.uint8(), len(slab), [None, whole])
    pad = 0
    for _ in range(ALIGNMENT):
        schema = pa.schema([pa.field("slab", pa.uint8(), nullable=False)], {**metadata, b"pad": b" " * pad})
        begin = _slab_begins(schema)
        if begin % ALIGNMENT == 0:
            break
        pad += ALIGNMENT - begin % ALIGNMENT
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([array], schema=schema))


def _slab_begins(schema: pa.Schema) -> int:
    """Where in the file the bytes of the first batch lie: magic, schema, head of the batch."""
    one = pa.record_batch([pa.Array.from_buffers(pa.uint8(), 1, [None, pa.py_buffer(b"\0")])], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(one)
    whole = sink.getvalue()
    found = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0).column(0).buffers()[1]
    return int(found.address - whole.address)


def _open(path: Path) -> tuple[mmap.mmap, dict[bytes, bytes], torch.Tensor]:
    """The mapping, the texts of the schema, and the slab as bytes."""
    if path.exists() and not path.is_file():
        raise _broken(path, "it is no file")  # a pipe would be waited for
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if hasattr(mmap, "MADV_WILLNEED"):
            mapped.madvise(mmap.MADV_WILLNEED)  # all of it is wanted soon: read ahead while the index is parsed
    except FileNotFoundError:
        raise NotFound("lora.missing", path=str(path)) from None
    except (ValueError, OSError) as problem:
        raise _broken(path, str(problem)[:200]) from None
    try:
        whole = pa.py_buffer(mapped)
        reader = pa.ipc.open_file(pa.BufferReader(whole))
        texts = dict(reader.schema.metadata or {})
        if MARK not in texts:
            raise _broken(path, "it is an Arrow file, but no adapter")
        if not texts[MARK].isdigit() or int(texts[MARK]) > VERSION:
            version = texts[MARK].decode(errors="replace")[:20]
            raise UserError("lora.file_version", path=str(path), version=version, known=VERSION)
        if reader.num_record_batches != 1 or reader.schema.names != ["slab"]:
            raise _broken(path, "its columns are not those of an adapter")
        column = reader.get_batch(0).column(0)
        if column.type != pa.uint8() or column.null_count:
            raise _broken(path, "its slab is no plain bytes")
        buffer = column.buffers()[1]
        begin = buffer.address - whole.address
        if not 0 <= begin <= len(mapped) - len(column) or begin % ALIGNMENT:
            raise _broken(path, "its slab does not lie at a multiple of 64 bytes")
        slab = torch.frombuffer(mapped, dtype=torch.uint8, count=len(column), offset=begin)
    except (pa.ArrowException, ValueError, KeyError, OSError) as problem:
        raise _broken(path, f"it is truncated or no Arrow file ({str(problem)[:120]})") from None
    return mapped, texts, slab


def _broken(path: Path, detail: str) -> UserError:
    return UserError("lora.file_broken", path=str(path), detail=detail)


def _place(row: list[Any], end: int, path: Path) -> Place:
    """A row of the index, within the slab and of the size its shape asks for."""
    name, module, role, parameter, form, shape, offset, size, scales, dtype = row
    if form not in _BY_NAME and form not in _QUANTISED:
        problem = Problem(code="lora.dtype", field=str(name), params={"key": name, "dtype": form})
        raise Refused("lora.refused", path=str(path), count=1, problems=[problem])
    if role in FACTORS and 0 in shape:
        problem = Problem(code="lora.rank", field=str(name), params={"module": module})
        raise Refused("lora.refused", path=str(path), count=1, problems=[problem])
    counts = math.prod(shape) * _BY_NAME[form].itemsize if form in _BY_NAME else -1
    if form in _QUANTISED:
        rank, length = (shape[1], shape[0]) if role in SECOND else (shape[0], shape[1])
        counts, many = sizes(form, rank, length)
        if scales < 0 or scales % ALIGNMENT or scales + 4 * many > end or dtype not in DTYPES:
            raise _broken(path, f"the scales of '{name}' lie outside")
    if counts != size or offset < 0 or offset + size > end or offset % ALIGNMENT or any(side < 0 for side in shape):
        raise _broken(path, f"'{name}' lies outside, or its size does not fit its shape")
    return Place(Key(name, module, role, parameter), form, tuple(shape), offset, size, scales, dtype)


def _tensors(places: list[Place], slab: torch.Tensor) -> dict[str, torch.Tensor]:
    """Views of the slab; quantised matrices are made anew."""
    typed = {form: slab.view(_BY_NAME[form]) for form in {place.form for place in places} if form in _BY_NAME}
    found = dict[str, torch.Tensor]()
    for place in places:
        if place.form in typed:
            whole, shape = typed[place.form], place.shape
            strides = (shape[1], 1) if len(shape) == 2 else _strides(shape)
            found[place.key.name] = whole.as_strided(shape, strides, place.offset // whole.element_size())
        else:
            found[place.key.name] = _unpacked(place, slab)
    return found


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[number + 1 :]) for number in range(len(shape)))


def _unpacked(place: Place, slab: torch.Tensor) -> torch.Tensor:
    second = place.key.role in SECOND
    rank, length = (place.shape[1], place.shape[0]) if second else (place.shape[0], place.shape[1])
    many = sizes(place.form, rank, length)[1]
    scales = slab[place.scales : place.scales + 4 * many].view(torch.float32)
    whole = unpack(slab[place.offset : place.offset + place.bytes], scales, place.form, rank, length)
    return (whole.T.contiguous() if second else whole).to(DTYPES[place.dtype])


def _verify(texts: Mapping[bytes, bytes], slab: torch.Tensor, path: Path) -> None:
    found, said = _digest(texts, slab.numpy()), texts[b"sha256"].decode(errors="replace")
    if found != said:
        raise UserError("lora.tampered", path=str(path), found=found[:16], said=said[:16])
