"""How the hub on loopback takes what is pushed: as Hugging Face does it, large files apart from the commit."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE_ON_PUSH = 1 << 12


class Pushes:
    """A part of the handler of `Hub`."""

    hub: Any
    headers: Any
    path: str
    rfile: Any
    connection: Any
    close_connection: bool

    def do_POST(self) -> None:
        """A new repository, how files are to come, where large ones go, and a commit."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.hub.posted.append(path)
        if self.hub.failing > 0:
            self.hub.failing -= 1
            self._json(503, {"error": "Service Unavailable"})
        elif path == "/api/validate-yaml":
            self._json(200, {"errors": [], "warnings": []})
        elif not self.account:
            self._json(401, {"error": "Invalid credentials in Authorization header"})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif match := re.fullmatch(r"/api/models/(.+?)/preupload/main", path):
            self._preupload(json.loads(body))
        elif match := re.fullmatch(r"/(.+?)\.git/info/lfs/objects/batch", path):
            self._batch(json.loads(body))
        elif match := re.fullmatch(r"/api/models/(.+?)/commit/main", path):
            self._take_commit(match[1], body)
        elif path == "/api/v1/models":
            self._create_there(json.loads(body))
        elif match := re.fullmatch(r"/api/v1/repos/models/(.+?)/info/lfs/objects/batch", path):
            self._batch(json.loads(body), within="Data")
        elif match := re.fullmatch(r"/api/v1/repos/models/(.+?)/commit/master", path):
            self._take_actions(match[1], json.loads(body))
        else:
            self._json(404, {"error": "Not Found"})

    def do_PUT(self) -> None:
        """A large file."""
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        oid = self.path.rpartition("/")[2]
        if self.hub.cut_puts > 0:  # the link breaks in the middle of the answer
            self.hub.cut_puts -= 1
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.hub.refused_puts > 0:
            self.hub.refused_puts -= 1
            self._json(400, {"error": "Broken"})
            return
        assert hashlib.sha256(data).hexdigest() == oid
        self.hub.large[oid] = data
        self.hub.put.append(oid)
        self._json(200, {})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        if name in self.hub.models:
            self._json(409, {"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"})
            return
        model = self.hub.add(name, {})
        model.private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self._json(200, {"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def _preupload(self, asked: dict[str, Any]) -> None:
        files = [
            {"path": one["path"], "uploadMode": "lfs" if one["size"] >= LARGE_ON_PUSH else "regular",
             "shouldIgnore": False, "oid": None}
            for one in asked["files"]
        ]  # fmt: skip
        self._json(200, {"files": files})

    def _batch(self, asked: dict[str, Any], within: str = "") -> None:
        objects = []
        for one in asked["objects"]:
            there = one["oid"] in self.hub.large
            upload = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}", "header": {}}}
            objects.append({**one, **({} if there else {"actions": upload})})
        found = {"transfer": "basic", "objects": objects}
        self._json(200, {within: found, "Success": True} if within else found)

    def _facts(self, _query: dict[str, str], id: str) -> None:  # noqa: A002
        """Of a model, as ModelScope tells them."""
        model = self.hub.models.get(id)
        if model is None or (model.private and not self.account):
            self._json(404, {"Code": 10010205001, "Success": False, "Message": "Model not found"})
        else:
            owner, _, name = id.partition("/")
            facts = {"Path": owner, "Name": name, "Visibility": 1 if model.private else 5}
            self._json(200, {"Code": 200, "Success": True, "Data": facts})

    def _create_there(self, asked: dict[str, Any]) -> None:
        """A new model, as ModelScope makes it: 1 is private."""
        name = f"{asked['Path']}/{asked['Name']}"
        if name in self.hub.models:
            self._json(400, {"Code": 10020101001, "Success": False, "Message": f"{name} exists"})
            return
        self.hub.add(name, {}).private = asked["Visibility"] == 1
        self._json(200, {"Code": 200, "Success": True, "Data": {"Path": asked["Path"], "Name": asked["Name"]}})

    def _take_actions(self, name: str, asked: dict[str, Any]) -> None:
        """A commit in ModelScope's form."""
        model = self.hub.models[name]
        for one in asked["actions"]:
            assert one["action"] in ("create", "update")
            large = one["type"] == "lfs"
            model.files[one["path"]] = self.hub.large[one["sha256"]] if large else base64.b64decode(one["content"])
        for branch in ("main", "master"):
            model.revisions[branch] = model.commit
        self._json(200, {"Code": 200, "Success": True, "Data": {"oid": model.commit}})

    def _take_commit(self, name: str, body: bytes) -> None:
        model = self.hub.models[name]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                assert value["encoding"] == "base64"
                model.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                model.files[value["path"]] = self.hub.large[value["oid"]]
        for branch in ("main", "master"):
            model.revisions[branch] = model.commit
        url = f"{self.hub.url}/{name}/commit/{model.commit}"
        self._json(200, {"commitUrl": url, "commitOid": model.commit, "success": True})

    def _json(self, status: int, content: Any) -> None:
        raise NotImplementedError

    @property
    def account(self) -> str | None:
        """Whose token was sent."""
        raise NotImplementedError
