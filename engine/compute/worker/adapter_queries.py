"""Helper queries about adapters: looking at one, writing it in another form, merging and comparing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.api import QueryRequest
from engine.contract.errors import Conflict, UserError
from engine.contract.gguf import GgufWritten, WriteGguf
from engine.contract.lora_tools import (
    AdapterDifference,
    AdapterModule,
    AdapterView,
    CompareAdapters,
    LookAtAdapter,
    MergeAdapters,
    MergedModel,
    ModuleDifference,
    WriteAdapter,
)

if TYPE_CHECKING:
    from engine.compute.lora.adapter import Adapter

FILE_ENDING = ".arrow"
SMALL = ("int8", "int4")
"""Digits that a copy keeps."""


def inspect_adapter(order: QueryRequest) -> dict[str, Any]:
    """What an adapter is; with `verify` its hash and values are looked at, with `base` whose it is."""
    asked = LookAtAdapter.model_validate(order.params)
    path = Path(asked.path)
    adapter = _read(path, asked.verify)
    if asked.base:
        _check_base(adapter, Path(asked.base))
    return _view(path, adapter, asked.verify).model_dump(mode="json")


def write_adapter(order: QueryRequest) -> dict[str, Any]:
    """An adapter in another form: a file or a folder, other digits, smaller ranks."""
    from engine.compute.lora.injection import base_hash
    from engine.compute.lora.merging import LONGEST_NAME, shrink

    asked = WriteAdapter.model_validate(order.params)
    adapter, errors = _read(Path(asked.path), verify=True), dict[str, float]()
    storage: str | None = asked.storage
    if storage is None and asked.error is None and asked.to.endswith(FILE_ENDING) and adapter.card.dtype in SMALL:
        storage = adapter.card.dtype  # another name or description is no reason to be four times as large
    if asked.error is not None:
        adapter, errors = shrink(adapter, asked.error)
    told: dict[str, Any] = {"description": asked.description, "licence": asked.licence}
    told["name"] = asked.name or adapter.card.name or Path(asked.path).name.removesuffix(".lora.arrow")[:LONGEST_NAME]
    if asked.base:
        told["base_hash"] = base_hash(_base_folder(asked.base))
    if asked.description and asked.description != adapter.card.description:
        adapter.card = adapter.card.model_copy(update={"embedding": ()})  # a router goes by what a person says
    adapter.card = adapter.card.model_copy(update={key: value for key, value in told.items() if value})
    made = _write(adapter, Path(asked.to), storage)
    return _view(Path(asked.to), made).model_copy(update={"errors": errors}).model_dump(mode="json")


def merge_adapters(order: QueryRequest) -> dict[str, Any]:
    """Several adapters as one, or in a base model."""
    from engine.compute.lora.merging import merge

    asked = MergeAdapters.model_validate(order.params)
    adapters: dict[str, Adapter] = {}
    for path in asked.paths:
        name = _name(path, asked.paths)
        number = sum(one == name or one.startswith(f"{name} (") for one in adapters)
        adapters[f"{name} ({number + 1})" if number else name] = _read(Path(path), verify=True)
    if asked.into:
        return _merged_model(asked, adapters).model_dump(mode="json")
    made = merge(adapters, asked.weights, asked.method, asked.density, asked.seed)
    written = _write(made, Path(asked.to), asked.storage)
    return _view(Path(asked.to), written).model_dump(mode="json")


def compare_adapters(order: QueryRequest) -> dict[str, Any]:
    """How the changes of two adapters differ."""
    from engine.compute.lora.merging import beside_products, diff

    asked = CompareAdapters.model_validate(order.params)
    one, other = _read(Path(asked.one)), _read(Path(asked.other))
    modules = [
        ModuleDifference(path=path, distance=it.distance, cosine=it.cosine, norms=it.norms, ranks=it.ranks)
        for path, it in diff(one, other).items()
    ]
    both = {module.path for module in modules}
    only_one, only_other = (sorted({*it.modules, *beside_products(it)} - both) for it in (one, other))
    return AdapterDifference(modules=modules, only_one=only_one, only_other=only_other).model_dump(mode="json")


def write_gguf(order: QueryRequest) -> dict[str, Any]:
    """A model's folder, or an adapter, as a file of llama.cpp."""
    from engine.compute.inference import gguf_files

    asked = WriteGguf.model_validate(order.params)
    source, to = Path(asked.path), Path(asked.to)
    if to.suffix != ".gguf":
        raise UserError("gguf.name", path=asked.to)
    if to.exists():
        raise Conflict("gguf.exists", path=asked.to)
    if source.is_file() or (source / "adapter_config.json").is_file():
        if not asked.base:
            raise UserError("gguf.no_base")
        made = gguf_files.write_adapter(_read(source, verify=True), _base_folder(asked.base), to)
    else:
        made = gguf_files.write_base(_base_folder(asked.path), to, asked.storage)
    return GgufWritten(path=asked.to, bytes=made.bytes, tensors=made.tensors, splits=made.splits).model_dump()


def _read(path: Path, verify: bool = False) -> Adapter:
    """From a file of ours or a folder of peft's."""
    from engine.compute.lora.format import LoRAFormat
    from engine.compute.lora.peft_folder import read_folder

    if path.is_dir():
        return read_folder(path)
    return LoRAFormat.load(path, verify=verify)


def _write(adapter: Adapter, path: Path, storage: str | None) -> Adapter:
    """As a file where the name ends so, else as a folder of peft's; the adapter as it lies there."""
    import tempfile

    from engine.compute.lora.format import LoRAFormat
    from engine.compute.lora.peft_folder import read_folder, write_folder

    if path.name.endswith(FILE_ENDING):
        LoRAFormat.save(adapter, path, storage)
        return LoRAFormat.load(path)
    if storage is None:
        write_folder(adapter, path)
        return read_folder(path)
    if storage in ("int8", "int4"):
        raise UserError("lora.folder_storage", storage=storage, path=str(path))
    with tempfile.TemporaryDirectory() as folder:  # rounded as a file has it
        aside = Path(folder) / "adapter.lora.arrow"
        LoRAFormat.save(adapter, aside, storage)
        write_folder(LoRAFormat.load(aside), path)
    return read_folder(path)


def _view(path: Path, adapter: Adapter, verified: bool = False) -> AdapterView:
    modules = [
        AdapterModule(
            path=name, rank=one.rank, scaling=one.scaling, inputs=int(one.a.shape[1]), outputs=int(one.b.shape[0]),
            extras=[what for what, there in (
                ("embedding", one.embedding), ("magnitude", one.magnitude is not None), ("bias", one.bias is not None)
            ) if there],
        )
        for name, one in adapter.modules.items()
    ]  # fmt: skip
    whole = [f"{module}.{name}" for module, parameters in adapter.whole.items() for name in parameters]
    files = [path] if path.is_file() else [path / "adapter_model.safetensors", path / "adapter_config.json"]
    return AdapterView(
        path=str(path), form="file" if path.is_file() else "folder", bytes=sum(one.stat().st_size for one in files),
        parameters=sum(tensor.numel() for tensor in adapter.tensors.values()), card=adapter.card, modules=modules,
        whole=whole, verified=verified,
    )  # fmt: skip


def _base_folder(path: str) -> Path:
    """A base model's folder, or what is wrong with it."""
    from engine.compute.inference.folder import check_folder

    check_folder(Path(path))
    return Path(path)


def _check_base(adapter: Adapter, folder: Path) -> None:
    """Its card's hash is that of the folder, and every module is there in the right shape."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from engine.compute.lora.injection import Host, base_hash

    found = base_hash(_base_folder(str(folder)))
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    Host(model, found).check(adapter)


def _name(path: str, paths: list[str]) -> str:
    """The last part of a path where that is enough to tell it from the others."""
    last = Path(path).name.removesuffix(".lora.arrow")
    return path if [Path(one).name.removesuffix(".lora.arrow") for one in paths].count(last) > 1 else last


def _merged_model(asked: MergeAdapters, adapters: dict[str, Adapter]) -> MergedModel:
    """The base with each of them merged in, one after another, in a folder of its own."""
    import torch
    from transformers import AutoConfig

    from engine.compute.inference.base import load_model
    from engine.compute.lora.injection import Host, base_hash
    from engine.compute.lora.merging import merge_into
    from engine.contract.preflight import TOKENIZER_FILES

    to = Path(asked.to)
    if to.exists():
        raise Conflict("lora.exists", path=str(to))
    weights = asked.weights or [1.0] * len(adapters)
    if len(weights) != len(adapters):
        raise UserError("lora.merge_counts", adapters=len(adapters), weights=len(weights))
    folder = _base_folder(asked.into)
    dtype = AutoConfig.from_pretrained(folder, trust_remote_code=False).dtype or torch.float32
    model: Any = load_model(folder, dtype, "auto", torch.device("cpu"))
    host = Host(model, base_hash(folder))
    for adapter in adapters.values():
        host.check(adapter)
    for adapter, weight in zip(adapters.values(), weights, strict=True):
        merge_into(model, adapter, weight)
    beside = to.with_name(f".{to.name}.making")
    shutil.rmtree(beside, ignore_errors=True)  # of a merge that was cut off
    try:
        model.save_pretrained(str(beside))
        for name in (*TOKENIZER_FILES, "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
            if (folder / name).is_file():
                shutil.copy2(folder / name, beside / name)
        os.replace(beside, to)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return MergedModel(path=str(to), adapters=list(adapters))
