"""`python -m engine.control.executors.docker.image_command build|list`: worker images of this computer's engine.

The command line and `make` start it. `build` reads a `BuildImage` on stdin; answers are JSON, one object a line:
`{"progress": …}` any number of times, then `{"image": …}`, `{"images": …}` or `{"error": …}`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.contract.errors import Unreachable, UserError
from engine.contract.images import BuildImage, ImageInfo, ImageProgress, Images
from engine.control.executors.docker import build
from engine.control.executors.docker.here import open_here
from engine.control.executors.docker.images import Progress, WorkerImage, worker_images
from engine.control.executors.docker.labels import default_image

Answer = TypeVar("Answer")


def main(arguments: list[str]) -> int:
    """Do it, and say how it went."""
    try:
        if arguments == ["list"]:
            found = [describe(image) for image in _asked(worker_images)]
            _say("images", Images(images=found, usual=default_image()))
        elif arguments == ["build"]:
            wish = BuildImage.model_validate_json(sys.stdin.read() or "{}")
            _say("image", describe(_asked(lambda api: _build(api, wish))))
        else:
            sys.stderr.write("usage: image_command build|list\n")
            return 2
    except UserError as error:
        _say("error", error.body())
        return 1
    return 0


def describe(image: WorkerImage) -> ImageInfo:
    """As it travels."""
    return ImageInfo(
        id=image.id, names=list(image.names), version=image.version, commit=image.commit, protocol=image.protocol,
        fits=image.fits, bytes=image.bytes, created=image.created,
    )  # fmt: skip


def _asked(work: Callable[[Any], Answer]) -> Answer:
    """Of the engine DOCKER_HOST names, else the usual one."""
    link = open_here()
    try:
        return link.stream(work)
    except Unreachable as error:
        raise UserError("image.no_engine", detail=f"{error.what} {error.why}".strip()) from error
    finally:
        link.close()


def _build(api: Any, wish: BuildImage) -> WorkerImage:
    with tempfile.TemporaryDirectory() as passing:
        wheels = Path(wish.wheels or passing).absolute() if wish.wheels or wish.gather else None
        if wish.gather and wheels is not None:
            _tell(Progress("packages"))
            build.gather_wheels(wheels, wish.build)
        plan = build.Plan(
            wish.name or default_image(), wish.base or build.BASE, wish.build, wheels, wish.network or None
        )  # fmt: skip
        return build.build(api, plan, _tell)


def _tell(progress: Progress) -> None:
    _say("progress", ImageProgress(step=progress.step, done=progress.done, total=progress.total))


def _say(kind: str, content: BaseModel) -> None:
    sys.stdout.write(json.dumps({kind: content.model_dump(mode="json")}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
