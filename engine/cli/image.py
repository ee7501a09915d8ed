"""`forge image`: build the image workers run in, list those of this computer's engine, copy one to a node."""

from __future__ import annotations

import argparse
import time
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json, say, table
from engine.contract.images import BuildImage, EngineSource, ImageProgress
from engine.contract.nodes import Transfer
from engine.contract.paths import expanded

LOOK_S = 0.5


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    group = commands.add_parser("image", parents=[common], help="the container image workers run in")
    inner = group.add_subparsers(metavar="WHAT", required=True)
    make = inner.add_parser("build", parents=[common], help="build it with this computer's Docker (DOCKER_HOST)")
    make.add_argument("--name", default="", help="another name than that of this version")
    make.add_argument("--base", metavar="IMAGE", default="", help="a Debian with Python 3.11 to 3.13")
    make.add_argument("--cpu", action="store_true", help="PyTorch for the processor only, a much smaller image")
    make.add_argument("--wheels", metavar="FOLDER", default="", type=_folder, help="take packages from here only")
    make.add_argument("--gather-wheels", action="store_true", help="fetch packages here first, not while building")
    make.add_argument("--network", default="", help="network of the builder: host, none, …")
    make.set_defaults(work=build)
    several = inner.add_parser("list", parents=[common], help="worker images of this computer's Docker")
    several.set_defaults(work=show)
    push = inner.add_parser("push-to", parents=[common], help="copy an image to a node, from this computer's Docker")
    push.add_argument("node", metavar="NODE")
    push.add_argument("--image", default="", help="another image than the one the node uses")
    push.set_defaults(work=copy)


def _folder(text: str) -> str:
    return str(expanded(text).absolute()) if text else ""


def build(options: argparse.Namespace) -> int:
    """Build it, saying the steps."""
    from engine.client.images import build_image

    wish = BuildImage(
        name=options.name, base=options.base, build="cpu" if options.cpu else "cuda", wheels=options.wheels,
        gather=options.gather_wheels, network=options.network,
    )  # fmt: skip
    began = time.monotonic()

    def tell(progress: ImageProgress) -> None:
        if not options.json and (progress.total or progress.step in ("packages", "gathering")):
            say(progress.step)

    made = build_image(wish, tell)
    if options.json:
        print_json({**made.model_dump(mode="json"), "seconds": time.monotonic() - began})
    else:
        print(f"{', '.join(made.names)}: {made.bytes / 1e9:.2f} GB, in {time.monotonic() - began:.0f} s.")
    return OK


def show(options: argparse.Namespace) -> int:
    """The worker images here."""
    from engine.client.images import local_images

    found = local_images()
    if options.json:
        print_json(found)
        return OK
    rows = [
        (name, one.version, one.commit[:10], "yes" if one.fits else "no", f"{one.bytes / 1e9:.2f} GB", one.id[7:19])
        for one in found.images
        for name in one.names or ["–"]
    ]
    if rows:
        print(table(("IMAGE", "VERSION", "COMMIT", "FITS", "SIZE", "ID"), rows))
    print(f"Used unless something else is chosen: {found.usual}")
    return OK


def copy(options: argparse.Namespace) -> int:
    """Have the controller copy one, saying how far it is."""
    from engine.cli.session import controller
    from engine.contract.errors import UserError

    with controller() as client:
        transfer = client.push_image(options.node, options.image, _source())
        said = ""
        while transfer.state == "running":
            text = _how_far(transfer)
            if text != said and not options.json:
                said = text
                say(text)
            time.sleep(LOOK_S)
            transfer = client.pushed_image(options.node)
    if transfer.error is not None:
        raise UserError.from_body(transfer.error)
    if options.json:
        print_json(transfer)
    else:
        print(f"{transfer.what} is on {options.node}.")
    return OK


def _source() -> EngineSource | None:
    """The engine this command's variables name; a folder of certificates is looked for from here."""
    found = EngineSource.of_environment()
    if not found.host:
        return None  # as the controller's own say
    return found.model_copy(update={"certificates": _folder(found.certificates)})


def _how_far(transfer: Transfer) -> str:
    of = f" of {transfer.total / 1e6:.0f}" if transfer.total else ""
    return f"{transfer.what}: {transfer.done / 1e6:.0f}{of} MB"
