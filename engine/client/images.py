"""Worker images: built and listed with this computer's engine by the room that knows it, copied by the controller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from engine.client.calls import SLOW_S, Calls
from engine.contract.errors import ErrorBody, UserError
from engine.contract.ids import new_id
from engine.contract.images import BuildImage, EngineSource, ImageInfo, ImageProgress, Images, PushImage
from engine.contract.nodes import Transfer
from engine.contract.paths import code_root

MODULE = "engine.control.executors.docker.image_command"


class ImageCalls(Calls):
    """A part of `ControllerClient`."""

    def push_image(self, node: str, image: str = "", source: EngineSource | None = None) -> Transfer:
        """Begin to copy an image to a node (empty: the one it uses); done at once if it is there already."""
        path = f"/nodes/{quote(node, safe='')}/image"
        answer = self._send("POST", path, body=PushImage(image=image, source=source), key=new_id(), timeout=SLOW_S)
        return self._read(answer, Transfer)

    def pushed_image(self, node: str) -> Transfer:
        """How the latest copy of an image to a node gets on."""
        return self._get(f"/nodes/{quote(node, safe='')}/image", Transfer)


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
