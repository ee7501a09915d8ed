"""The command `forge`. Sub-commands live in files of their own; what they need is imported when they run."""

from __future__ import annotations

import argparse
import sys

from engine.cli.rooms import become_controller


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    from engine.cli import (
        actions,
        adapter,
        advice,
        alerts,
        artifacts,
        chat,
        config,
        controller,
        data,
        demo,
        diagnostics,
        download,
        during,
        elsewhere,
        forecast,
        gguf,
        going,
        history,
        home,
        image,
        instances,
        keeping,
        logs,
        metrics,
        models,
        move,
        node,
        push,
        queue,
        reproduce,
        reward,
        rows,
        run,
        runs,
        scratch,
        secret,
        serve,
        settings,
        tags,
        where,
        worker,
    )
    from engine.cli.exits import EPILOG

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON only")
    top = argparse.ArgumentParser(
        prog="forge",
        description="Fine-tune language models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for group in (
        run,
        runs,
        metrics,
        logs,
        actions,
        going,
        during,
        elsewhere,
        keeping,
        tags,
        queue,
        where,
        advice,
        download,
        config,
        reward,
        worker,
        controller,
        settings,
        secret,
        models,
        scratch,
        adapter,
        gguf,
        data,
        node,
        move,
        forecast,
        rows,
        reproduce,
        push,
        serve,
        chat,
        instances,
        alerts,
        artifacts,
        history,
        home,
        image,
        diagnostics,
        demo,
    ):
        group.register(commands, common)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code says how it went."""
    arguments = sys.argv[1:] if arguments is None else arguments
    become_controller(arguments)
    from engine.cli.exits import INTERRUPTED, exit_code
    from engine.cli.output import print_error
    from engine.contract.errors import UserError

    top = parser()
    options, options_rest = top.parse_known_args(arguments)
    if options_rest and not getattr(options, "takes_rest", False):
        top.error(f"unrecognised arguments: {' '.join(options_rest)}")
    options.rest = options_rest
    as_json = getattr(options, "json", False)
    options.json = as_json
    try:
        return int(options.work(options))
    except UserError as error:
        print_error(error, as_json)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `forge runs | head`
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
