"""`python -m engine.control.diagnostics`: print the bundle as JSON."""

from __future__ import annotations

import argparse
import sys

from engine.contract.paths import Home
from engine.control.diagnostics.gather import gather


def main(arguments: list[str] | None = None) -> int:
    """Gather and print."""
    parser = argparse.ArgumentParser(prog="engine.control.diagnostics")
    parser.add_argument("--hide-names", action="store_true")
    options = parser.parse_args(arguments)
    sys.stdout.write(gather(Home.find(), options.hide_names).model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
