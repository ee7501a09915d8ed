"""Worker images: built and listed with this computer's engine by the room that knows it, copied by the controller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from engine.client.calls import Calls
from engine.contract.errors import ErrorBody, UserError
from engine.contract.images import BuildImage, ImageInfo, ImageProgress, Images, PushImage
from engine.contract.nodes import Transfer
from engine.contract.paths import code_root

COPY_S = 6 * 3600.0
"""Gigabytes over a slow line."""
MODULE = "engine.control.executors.docker.image_command"


class ImageCalls(Calls):
    """A part of `ControllerClient`."""

    def push_image(self, node: str, image: str = "") -> Transfer:
        """Copy an image to a node (empty: the one it uses), and wait for it; the stream tells how it gets on."""
        path = f"/nodes/{quote(node, safe='')}/image"
        return self._read(self._send("POST", path, body=PushImage(image=image), timeout=COPY_S), Transfer)


def build_image(wish: BuildImage, tell: Callable[[ImageProgress], None]) -> ImageInfo:
    """Build the worker image with this computer's engine; takes minutes."""
    return ImageInfo.model_validate(_ask("build", "image", wish.model_dump_json(), tell))


def local_images() -> Images:
    """The worker images of this computer's engine."""
    return Images.model_validate(_ask("list", "images", "", lambda _: None))


def _ask(verb: str, kind: str, order: str, tell: Callable[[ImageProgress], None]) -> Any:
    """Start the room's command and read its lines; it ends with us."""
    paths = [str(code_root()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    answer: dict[str, Any] = {}
    with subprocess.Popen(
        [sys.executable, "-m", MODULE, verb], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(order)
            process.stdin.close()
            for line in process.stdout:
                answer = json.loads(line)
                if "progress" in answer:
                    tell(ImageProgress.model_validate(answer["progress"]))
        except BaseException:
            process.terminate()
            raise
    if "error" in answer:
        raise UserError.from_body(ErrorBody.model_validate(answer["error"]))
    if kind not in answer:
        raise UserError("image.command_failed", code=process.returncode)
    return answer[kind]
