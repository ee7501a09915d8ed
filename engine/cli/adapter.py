"""`forge adapter`: LoRA adapters as one file or as peft's folder, looked at, merged, made smaller, compared; listed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from engine.cli.exits import CONFLICT, OK
from engine.cli.models import size
from engine.cli.output import moment, number, print_json, say, table
from engine.contract.adapter_library import AdapterEntry
from engine.contract.errors import UserError
from engine.contract.lora_card import STORAGES
from engine.contract.lora_tools import (
    AdapterDifference,
    AdapterView,
    CompareAdapters,
    LookAtAdapter,
    MergeAdapters,
    MergedModel,
    MergeMethod,
    WriteAdapter,
)
from engine.contract.paths import Home, expanded

ID_SHOWN, ID_LEAST = 16, 6
"""Characters of an id that are printed, and that are enough to name one."""
NAMED = "a file (.lora.arrow) or a folder of peft's"


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    group = commands.add_parser("adapter", parents=[common], help="look at, convert, merge and shrink adapters")
    inner = group.add_subparsers(metavar="WHAT", required=True)
    listed = inner.add_parser("list", parents=[common], help="the library: what runs made and what was brought in")
    listed.add_argument("--search", default="", metavar="WORDS", help="in names, runs, base models and datasets")
    listed.set_defaults(work=list_all)
    brought = _added(inner, common, "import", "read and check one, and keep it in the library", bring_in)
    _card_options(brought)
    removed = inner.add_parser("remove", parents=[common], help="forget one that was brought in; a run's goes with it")
    removed.add_argument("adapter", metavar="ADAPTER", help="its id or the beginning of it, or its name")
    removed.set_defaults(work=remove)
    shown = _added(inner, common, "inspect", "what an adapter is", inspect)
    shown.add_argument("--modules", action="store_true", help="a line a module")
    verified = _added(inner, common, "verify", "read all of it: its hash, its values, its base", verify)
    verified.add_argument("--base", type=Path, metavar="FOLDER", help="the base model it is to fit")
    for name, what in (("convert", "as a file or as a folder of peft's"), ("quantize", "in 8 or 4 bits, as a file")):
        written = _added(inner, common, name, what, write)
        written.add_argument("to", type=Path, metavar="TO", help=NAMED)
        few = ("int8", "int4") if name == "quantize" else STORAGES
        written.add_argument("--storage", choices=few, default="int8" if name == "quantize" else None)
        _card_options(written)
    smaller = _added(inner, common, "shrink", "the smallest ranks that stay within an error", write)
    smaller.add_argument("to", type=Path, metavar="TO", help=NAMED)
    smaller.add_argument("--error", type=float, default=0.05, metavar="E", help="of each module, relative (0.05)")
    smaller.add_argument("--storage", choices=STORAGES)
    _card_options(smaller)
    merged = inner.add_parser("merge", parents=[common], help="several as one, or into a base model")
    merged.add_argument("adapters", nargs="+", type=Path, metavar="ADAPTER", help=NAMED)
    merged.add_argument("--to", type=Path, required=True, metavar="PATH")
    merged.add_argument("--weights", type=float, nargs="+", metavar="W", help="one an adapter (1)")
    merged.add_argument("--method", choices=get_args(MergeMethod), default="linear")
    merged.add_argument("--density", type=float, default=0.5, metavar="D", help="share that ties and dare keep (0.5)")
    merged.add_argument("--seed", type=int, default=0, help="which values dare drops")
    merged.add_argument("--storage", choices=STORAGES)
    merged.add_argument("--into", type=Path, metavar="MODEL", help="a base model's folder; writes a whole model")
    merged.set_defaults(work=merge)
    compared = _added(inner, common, "diff", "how two differ, module by module", diff)
    compared.add_argument("other", type=Path, metavar="OTHER", help=NAMED)


def _added(inner: Any, common: argparse.ArgumentParser, name: str, what: str, work: Any) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = inner.add_parser(name, parents=[common], help=what)
    made.add_argument("adapter", type=Path, metavar="ADAPTER", help=NAMED)
    made.set_defaults(work=work)
    return made


def _card_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--base", type=Path, metavar="FOLDER", help="its base model, whose hash the card gets")
    command.add_argument("--name", default="", help="in the card")
    command.add_argument("--description", default="", help="in the card")
    command.add_argument("--licence", default="", help="in the card")


def list_all(options: argparse.Namespace) -> int:
    """What the library holds."""
    from engine.cli.session import controller

    with controller() as client:
        shelf = client.adapters()
    words = options.search.casefold().split()
    shelf.adapters = [one for one in shelf.adapters if all(word in _words(one) for word in words)]
    if options.json:
        print_json(shelf)
        return OK
    rows = [
        (_shown_id(one), one.name, _last(one.card.base_model or one.model), one.card.tuner, str(one.card.rank),
         size(one.bytes), one.run_name or "brought in", number(one.score) if one.score is not None else "–",
         moment(one.created), "missing" if one.missing else "")
        for one in shelf.adapters
    ]  # fmt: skip
    print(table(("ID", "NAME", "BASE", "METHOD", "RANK", "SIZE", "RUN", "SCORE", "CREATED", ""), rows))
    return OK


def bring_in(options: argparse.Namespace) -> int:
    """Into the library."""
    from engine.cli.session import controller
    from engine.contract.adapter_library import ImportAdapter

    asked = ImportAdapter(
        path=_path(options.adapter), name=options.name, description=options.description, licence=options.licence,
        base=_path(options.base),
    )  # fmt: skip
    with controller() as client:
        one = client.import_adapter(asked)
    print_json(one) if options.json else print(f"{_shown_id(one)}  {one.name}: in the library, {size(one.bytes)}")
    return OK


def remove(options: argparse.Namespace) -> int:
    """Out of the library."""
    from engine.cli.session import controller
    from engine.contract.errors import NotFound

    with controller() as client:
        known, wanted = client.adapters().adapters, options.adapter
        found = [one for one in known if one.id == wanted] or [
            one for one in known if one.name == wanted or (len(wanted) >= ID_LEAST and one.id.startswith(wanted))
        ]
        if not found:
            raise NotFound("adapters.unknown", id=wanted[:120])
        if len(found) > 1:
            say(f"'{wanted}' names {len(found)} adapters: {', '.join(map(_shown_id, found))}. Give one of these ids.")
            return CONFLICT
        client.remove_adapter(found[0].id)
    if options.json:
        print_json({"removed": found[0].id})
    else:
        print(f"{found[0].name}: removed")
    return OK


def _words(one: AdapterEntry) -> str:
    parts = (
        one.name,
        one.run_name,
        one.model,
        one.card.base_model,
        one.dataset,
        one.card.description,
        *one.card.datasets,
    )
    return " ".join(parts).casefold()


def _shown_id(one: AdapterEntry) -> str:
    return one.id if one.origin == "run" else one.id[:ID_SHOWN]


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def inspect(options: argparse.Namespace) -> int:
    """What it is."""
    found = _asked("inspect_adapter", LookAtAdapter(path=_path(options.adapter)), AdapterView)
    if options.json:
        print_json(found)
        return OK
    _print_view(found)
    if options.modules:
        rows = [
            (one.path, str(one.rank), number(one.scaling), f"{one.outputs} × {one.inputs}", ", ".join(one.extras))
            for one in found.modules
        ]
        print(table(("MODULE", "RANK", "SCALING", "SHAPE", ""), rows))
    return OK


def verify(options: argparse.Namespace) -> int:
    """Whether it is whole and fits."""
    asked = LookAtAdapter(path=_path(options.adapter), verify=True, base=_path(options.base))
    found = _asked("inspect_adapter", asked, AdapterView)
    if options.json:
        print_json(found)
        return OK
    print(f"{found.path}: whole" + (f", sha256 {found.card.file_hash}" if found.card.file_hash else ""))
    return OK


def write(options: argparse.Namespace) -> int:
    """In another form."""
    error = getattr(options, "error", None)
    if error is not None and not 0 <= error < 1:
        raise UserError("lora.shrink_error", error=error)
    asked = WriteAdapter(
        path=_path(options.adapter), to=_path(options.to), storage=options.storage, base=_path(options.base),
        error=error, name=options.name, description=options.description,
        licence=options.licence,
    )  # fmt: skip
    return _tell(_asked("write_adapter", asked, AdapterView), options)


def merge(options: argparse.Namespace) -> int:
    """Several as one."""
    asked = MergeAdapters(
        paths=[_path(one) for one in options.adapters], to=_path(options.to), weights=options.weights,
        method=options.method, density=options.density, seed=options.seed, storage=options.storage,
        into=_path(options.into),
    )  # fmt: skip
    if asked.into:
        model = _asked("merge_adapters", asked, MergedModel)
        print_json(model) if options.json else print(f"{model.path}: a model with {', '.join(model.adapters)} in it")
        return OK
    return _tell(_asked("merge_adapters", asked, AdapterView), options)


def diff(options: argparse.Namespace) -> int:
    """How two differ."""
    asked = CompareAdapters(one=_path(options.adapter), other=_path(options.other))
    found = _asked("compare_adapters", asked, AdapterDifference)
    if options.json:
        print_json(found)
        return OK
    rows = [
        (one.path, number(one.distance), number(one.cosine), *map(number, one.norms), " → ".join(map(str, one.ranks)))
        for one in found.modules
    ]
    print(table(("MODULE", "DISTANCE", "COSINE", "NORM", "OTHER", "RANK"), rows))
    for which, names in (("the first", found.only_one), ("the second", found.only_other)):
        if names:
            print(f"only in {which}: {', '.join(names)}")
    return OK


def _path(path: Path | None) -> str:
    return str(expanded(path).absolute()) if path is not None else ""


def _asked(kind: str, asked: Any, answer: Any) -> Any:
    """The helper's answer."""
    from engine.client.helper import ask

    return answer.model_validate(ask(Home.find(), kind, asked.model_dump(mode="json")))


def _tell(found: AdapterView, options: argparse.Namespace) -> int:
    """What was written."""
    print_json(found) if options.json else _print_view(found)
    return OK


def _print_view(found: AdapterView) -> None:
    card, ranks = found.card, sorted({one.rank for one in found.modules})
    span = str(ranks[0]) if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}" if ranks else "–"
    lines = [
        ("name", card.name),
        ("base", card.base_model),
        ("method", card.tuner + (", rsLoRA" if card.scaling == "rslora" else "")),
        ("rank", span),
        ("modules", str(len(found.modules)) + (f" and {len(found.whole)} whole" if found.whole else "")),
        ("parameters", f"{found.parameters:,}"),
        ("stored", f"{card.dtype}, {size(found.bytes)}"),
        ("error", number(card.storage_error) if card.storage_error else ""),
        ("run", card.run),
        ("licence", card.licence),
        ("about", card.description),
        ("made", moment(card.created) if card.created else ""),
        ("sha256", card.file_hash),
    ]
    print(found.path)
    for name, text in lines:
        if text:
            print(f"  {name.ljust(10)}  {text}")
