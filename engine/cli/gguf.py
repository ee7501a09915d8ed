"""`forge gguf`: a base model or an adapter as a file of llama.cpp."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from engine.cli.exits import OK
from engine.cli.output import print_json, say
from engine.contract.paths import expanded


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    from engine.contract.gguf import GgufStorage

    command = commands.add_parser("gguf", parents=[common], help="a model or an adapter as a file of llama.cpp")
    command.add_argument("source", metavar="SOURCE", help="a model's folder, 'demo', or an adapter (then with --base)")
    command.add_argument("to", type=Path, metavar="TO.gguf")
    command.add_argument("--base", metavar="MODEL", help="the adapter's base model: its folder, or 'demo'")
    command.add_argument("--storage", choices=get_args(GgufStorage), default="f16", help="of a model (f16)")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Write it."""
    from engine.client.helper import ask
    from engine.contract.gguf import GgufWritten, WriteGguf
    from engine.contract.paths import Home

    asked = WriteGguf(
        path=_folder(options.source), to=str(expanded(options.to).absolute()), storage=options.storage,
        base=_folder(options.base) if options.base else "",
    )  # fmt: skip
    found = GgufWritten.model_validate(ask(Home.find(), "write_gguf", asked.model_dump()))
    if options.json:
        print_json(found)
        return OK
    print(f"{found.path}: {found.tensors} tensors, {found.bytes:,} bytes")
    if found.splits == "default":
        say("llama.cpp does not know how this tokenizer splits texts: give it tokens, not texts.")
    return OK


def _folder(text: str) -> str:
    from engine.cli.data_check import model_of
    from engine.contract.bundled import locate

    return str(locate(model_of(text)) or text)
