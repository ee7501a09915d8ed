"""`forge config`: write a config to start from, and check one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.contract.errors import Conflict, UserError

DEMO_PRESET = "presets/demo.yaml"
STARTER = """\
# A fine-tune. `forge config check FILE` tells what is wrong with it, `forge run FILE` starts it.
# Settings left out have their usual values; `forge config init --all` writes all of them.
name: my-first-run
model:
  path: /path/to/model        # a folder with config.json, *.safetensors and a tokenizer
data:
  train:
    - path: /path/to/train.jsonl
  validation_share: 0.05
  max_length: 1024
tuner:
  kind: lora
  rank: 16
training:
  epochs: 1
  micro_batch_size: 8
  learning_rate: 0.0002
"""
DEMO = """\
# Fine-tunes the bundled model on the bundled data.
name: demo
model:
  path: demo
  hub: bundled
data:
  train:
    - {path: demo, hub: bundled}
  validation:
    - {path: demo/validation, hub: bundled}
evaluation:
  data:
    - {path: demo/held_out, hub: bundled}
"""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    group = commands.add_parser("config", parents=[common], help="write or check a config file")
    inner = group.add_subparsers(metavar="WHAT", required=True)
    init = inner.add_parser("init", parents=[common], help="write a config to start from")
    init.add_argument("file", nargs="?", type=Path, help="where to; without it, standard output")
    init.add_argument("--demo", action="store_true", help="fine-tune the bundled model on the bundled data")
    init.add_argument("--all", action="store_true", help="write out every setting")
    init.add_argument("--force", action="store_true", help="replace a file that is there")
    init.set_defaults(work=write)
    check = inner.add_parser("check", parents=[common], help="say everything that is wrong with a config")
    check.add_argument("file", type=Path)
    check.set_defaults(work=look)


def write(options: argparse.Namespace) -> int:
    """Write a document to start from."""
    text = _demo() if options.demo else STARTER
    if options.all:
        from engine.contract.config_file import parse_config, to_yaml

        text = to_yaml(parse_config(text))
    if options.file is None:
        print(text, end="")
        return OK
    if options.file.exists() and not options.force:
        raise Conflict("config.file_exists", file=str(options.file))
    try:
        options.file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError("file.unwritable", file=str(options.file), detail=error.strerror or str(error)) from error
    if options.json:
        print_json({"file": str(options.file.absolute())})
    else:
        print(f"Wrote {options.file}. Start it with: forge run {options.file}")
    return OK


def _demo() -> str:
    from engine.contract.paths import resources_folder

    try:
        return (resources_folder() / DEMO_PRESET).read_text(encoding="utf-8")
    except FileNotFoundError:
        return DEMO


def look(options: argparse.Namespace) -> int:
    """Check schema, what this version can run, and files."""
    from engine.contract.preflight import read_checked

    read_checked(options.file)
    if options.json:
        print_json({"problems": []})
    else:
        print(f"{options.file} can be run.")
    return OK
