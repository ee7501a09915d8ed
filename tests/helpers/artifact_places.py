"""Places for artefacts: a folder, and a bucket on loopback; how a controller is told of them, and what lies there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.client.client import ControllerClient
from engine.control.executors.artifact_place import Place
from engine.control.executors.artifact_store import MARK
from tests.helpers.s3 import Bucket, s3_double

KEYS = "an-access-key:a secret key that nobody sees".replace(" ", "-")


class TestedPlace:
    """One place, with a way to look behind its interface."""

    __test__ = False

    def __init__(self, name: str, endpoint: str = "", bucket: Bucket | None = None) -> None:
        self.name, self.endpoint, self.bucket = name, endpoint, bucket

    def tell(self, client: ControllerClient, **more: Any) -> None:
        """Have a controller use it."""
        if self.bucket is not None:
            client.set_secret("artifacts", KEYS)
        changes = {"artifact_place": self.name, "artifact_endpoint": self.endpoint, "artifact_minutes": 0, **more}
        client.edit_settings(changes)

    def opened(self) -> Place:
        """The same place for whoever looks."""
        return Place(self.name, self.endpoint, "", KEYS)

    def checkpoints(self, uid: str) -> dict[str, str]:
        """Name to digest of what lies there, whole."""
        store, found = self.opened().store("checkpoints", uid), dict[str, str]()
        for digest in store.listed():
            with suppress(FileNotFoundError):  # it made room meanwhile
                found[store.about(digest)["name"]] = digest
        return found

    def files(self) -> list[str]:
        """Everything that lies there, also what nobody is shown."""
        if self.bucket is not None:
            return sorted(key for key in self.bucket.objects if not key.endswith("/"))
        root = Path(self.name)
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def marks(self) -> list[str]:
        """What is whole, of all runs."""
        return [name for name in self.files() if name.endswith(MARK)]


@contextmanager
def place_of(kind: str, folder: Path) -> Iterator[TestedPlace]:
    """A folder, or a bucket (`s3`)."""
    if kind == "folder":
        made = folder / "second place"
        made.mkdir()
        yield TestedPlace(str(made))
        return
    with s3_double() as (bucket, address):
        bucket.keys = {KEYS.partition(":")[0]}
        yield TestedPlace("s3://bucket/forge", f"http://{address}", bucket)


def nothing_tells(home: Path) -> None:
    """No secret stands anywhere but in the file of secrets."""
    secret = KEYS.partition(":")[2].encode()
    for path in home.rglob("*"):
        if path.is_file() and path.name != "secrets.json" and secret in path.read_bytes():
            raise AssertionError(f"{path} tells the secret")
    kept = home / "secrets.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_bytes())["artifacts"]["place"] in ("file", "keyring")
