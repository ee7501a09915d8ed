"""Docker's client as links use it."""

from __future__ import annotations

from typing import Any

import docker
import requests

from engine.control.executors.docker import trouble


class EngineClient(docker.APIClient):
    """It remembers whether it only read since somebody looked: such a question may be asked twice."""

    only_read = True

    def send(self, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        """Every request goes through here."""
        before = self.only_read
        self.only_read = before and request.method in ("GET", "HEAD")
        try:
            return super().send(request, **more)
        except requests.ConnectionError as error:
            if trouble.never_sent(error):
                self.only_read = before
            raise
