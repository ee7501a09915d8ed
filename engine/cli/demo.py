"""`forge demo`: the desktop fine-tunes the bundled model on the bundled data."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command; what else is given goes to the desktop."""
    command = commands.add_parser("demo", parents=[common], help="watch the desktop fine-tune the bundled model")
    command.epilog = "Other options go to the desktop, see loraforge-desktop --help."
    command.set_defaults(work=work, takes_rest=True)


def work(options: argparse.Namespace) -> int:
    """Start the desktop as a program of its own: this one never imports it."""
    return subprocess.run([sys.executable, "-m", "forge_desktop", "--demo", *options.rest], check=False).returncode
