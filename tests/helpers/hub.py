"""A hub on loopback that speaks as Hugging Face and ModelScope do, and misbehaves as told. Standard library only."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.helpers.hub_push import Pushes

LARGE = 1 << 16
"""Files from this size on are in large file storage: they have a sha256 and come from another host."""
PIECE = 1 << 14


@dataclass
class Model:
    """A model at one commit, under as many names as are given."""

    id: str
    files: dict[str, bytes]
    revisions: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    licence: str = "apache-2.0"
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        """Made of the content, as git's is."""
        parts = [f"{name} {hashlib.sha256(data).hexdigest()}" for name, data in sorted(self.files.items())]
        return hashlib.sha1("\n".join(parts).encode(), usedforsecurity=False).hexdigest()


@dataclass
class Asked:
    """One request."""

    path: str
    offset: int
    authorised: bool
    host: str


class Hub:
    """Serves models, and datasets under names like `datasets/owner/name`; `url` is its endpoint.

    What `asked` holds came in, in order.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.scheme = "https" if certificate else "http"
        self.models: dict[str, Model] = {}
        self.archives: dict[str, bytes] = {}
        self.tokens: dict[str, str] = {}
        """Token to account."""
        self.admitted: set[str] = set()
        """Accounts that accepted the licence of gated models."""
        self.asked: list[Asked] = []
        self.cuts: dict[str, list[int]] = {}
        """File to the bytes after which its next answers break off."""
        self.corrupt: dict[str, int] = {}
        """File to how many answers will be damaged."""
        self.silent: dict[str, int] = {}
        """File to the bytes after which its answers stand still until `speak` is set."""
        self.speak = threading.Event()
        self.no_ranges = False
        self.large: dict[str, bytes] = {}
        """Large files that were pushed, by their sha256."""
        self.put: list[str] = []
        self.posted: list[str] = []
        self.cut_puts = 0
        """So many large files come over a link that breaks."""
        self.refused_puts = 0
        """So many large files are not taken."""
        self.failing = 0
        """So many requests are answered with 503."""
        self.gate: Callable[[str], object] = lambda _path: None
        """Called before a file is sent."""
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="hub")
        self._thread.start()

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def close(self) -> None:
        """End it and whoever it keeps waiting."""
        self.speak.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, name: str, folder: Path | dict[str, bytes], **more: Any) -> Model:
        """Offer a folder's files (or these) as a model."""
        files = folder if isinstance(folder, dict) else {path.name: path.read_bytes() for path in folder.iterdir()}
        model = Model(name, dict(files), **more)
        for branch in ("main", "master"):
            model.revisions.setdefault(branch, model.commit)
        self.models[name] = model
        return model

    def weights(self) -> list[Asked]:
        """Requests for files of weights, not counting redirections."""
        return [one for one in self.asked if ".safetensors" in one.path and "/resolve/" not in one.path]

    def settings(self) -> dict[str, str]:
        """Endpoints that lead here."""
        return {"huggingface": self.url, "modelscope": self.url}

    def note(self, one: Asked) -> None:
        """A request came in."""
        with self._lock:
            self.asked.append(one)

    def take(self, kind: dict[str, int], name: str) -> bool:
        """Whether one more answer is to be spoilt."""
        with self._lock:
            left = kind.get(name, 0)
            kind[name] = left - 1
            return left > 0

    def next_cut(self, name: str) -> int | None:
        """Where the next answer breaks off."""
        with self._lock:
            waiting = self.cuts.get(name)
            return waiting.pop(0) if waiting else None


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Bound(_Handler):
        pass

    Bound.hub = hub
    return Bound


class _Handler(BaseHTTPRequestHandler, Pushes):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence."""

    def handle(self) -> None:
        """A client that goes away is no news."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), {key: values[0] for key, values in parse_qs(parts.query).items()}
        found = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        given = self.headers.get("Authorization")
        host = self.headers.get("Host", "").partition(":")[0]
        self.hub.note(Asked(self.path, int(found.group(1)) if found else 0, given is not None, host))
        if self.hub.failing > 0:
            self.hub.failing -= 1
            self._json(503, {"error": "Service Unavailable"})
            return
        for pattern, answer in (
            (r"/api/whoami-v2", self._whoami),
            (r"/openapi/v1/users/me", self._users_me),
            (r"/api/models/?", self._search),
            (r"/api/(?P<id>datasets/.+?)/tree/(?P<revision>.+)", self._tree),
            (r"/api/(?P<id>datasets/.+?)(?:/revision/(?P<revision>.+))?", self._info),
            (r"/api/v1/(?P<id>datasets/.+?)/repo/tree", self._list),
            (r"/api/v1/(?P<id>datasets/.+?)/repo", self._repo_file),
            (r"/api/models/(?P<id>.+?)/tree/(?P<revision>.+)", self._tree),
            (r"/api/models/(?P<id>.+?)(?:/revision/(?P<revision>.+))?", self._info),
            (r"/api/v1/models/(?P<id>.+?)/repo/files", self._list),
            (r"/api/v1/models/(?P<id>.+?)/repo", self._repo_file),
            (r"/api/v1/models/(?P<id>[^/]+/[^/]+)", self._facts),
            (r"/cdn/(?P<id>datasets/[^/]+/[^/]+)/(?P<name>.+)", self._cdn),
            (r"/cdn/(?P<id>.+)/(?P<name>[^/]+)", self._cdn),
            (r"/archives/(?P<name>[^/]+)", self._archive),
            (r"/(?P<id>.+?)/resolve/(?P<revision>[^/]+)/(?P<name>.+)", self._resolve),
        ):
            match = re.fullmatch(pattern, path)
            if match:
                answer(query, **match.groupdict())
                return
        self._json(404, {"error": "Not Found"})

    @property
    def account(self) -> str | None:
        """Whose token was sent; None without one, empty for one that is not known."""
        given = self.headers.get("Authorization", "")
        return self.hub.tokens.get(given.removeprefix("Bearer "), "") if given else None

    def _model(self, name: str) -> Model | None:
        """The model, if the asker may know of it; else the refusal is sent as the real one would."""
        account, model = self.account, self.hub.models.get(name)
        if account == "":
            self._json(401, {"error": "Invalid credentials in Authorization header"}, message="Invalid credentials in "
                       "Authorization header")  # fmt: skip
        elif model is None or (model.private and account is None):
            text = {"error": "Repository not found"}
            self._json(401 if account is None else 404, text, code="RepoNotFound")
        else:
            return model
        return None

    def _open_to(self, model: Model) -> bool:
        if model.gated and self.account not in self.hub.admitted:
            self._json(401 if self.account is None else 403, {"error": "Access restricted"}, code="GatedRepo")
            return False
        return True

    def _whoami(self, _query: dict[str, str]) -> None:
        if self.account:
            self._json(200, {"type": "user", "name": self.account})
        else:
            self._json(401, {"error": "Invalid username or password."})

    def _users_me(self, _query: dict[str, str]) -> None:
        if self.account:
            self._json(200, {"success": True, "data": {"username": self.account}})
        else:
            self._json(401, {"success": False, "message": "Unauthorized"})

    def _search(self, query: dict[str, str]) -> None:
        word = query.get("search", "").lower()
        near = [name for name, model in self.hub.models.items() if word in name.lower() and not model.private]
        self._json(200, [{"id": name, "modelId": name} for name in near[: int(query.get("limit", "10"))]])

    def _info(self, _query: dict[str, str], id: str, revision: str | None) -> None:  # noqa: A002
        model = self._model(id)
        if model is None:
            return
        commit = self._commit(model, revision or "main")
        if commit is None:
            self._json(404, {"error": f"Invalid rev id: {revision}"}, code="RevisionNotFound")
            return
        siblings = []
        for name, data in sorted(model.files.items()):
            git = hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git}
            if len(data) >= LARGE:
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        card = {"license": model.licence, **model.card}
        gated = "manual" if model.gated else False
        self._json(200, {"id": id, "modelId": id, "sha": commit, "siblings": siblings, "cardData": card,
                         "gated": gated, "private": model.private, "tags": [], "downloads": 0})  # fmt: skip

    def _tree(self, _query: dict[str, str], id: str, revision: str) -> None:  # noqa: A002
        model = self._model(id)
        if model is None:
            return
        entries = []
        for name, data in sorted(model.files.items()):
            git = hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
            entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": git}
            if len(data) >= LARGE:
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            entries.append(entry)
        self._json(200, entries)

    def _commit(self, model: Model, revision: str) -> str | None:
        return revision if revision in model.revisions.values() else model.revisions.get(revision)

    def _resolve(self, _query: dict[str, str], id: str, revision: str, name: str) -> None:  # noqa: A002
        model = self._model(id)
        if model is None or not self._open_to(model):
            return
        commit, data = self._commit(model, revision), model.files.get(name)
        if commit is None or data is None:
            self._json(
                404, {"error": "Entry not found"}, code="RevisionNotFound" if commit is None else "EntryNotFound"
            )
            return
        sha256 = hashlib.sha256(data).hexdigest()
        git = hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git}"'}
        if len(data) < LARGE:
            self._file(name, data, headers)
            return
        headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data))}
        self._redirect(f"{self.hub.scheme}://localhost:{self.hub.port}/cdn/{id}/{name}", headers)

    def _cdn(self, _query: dict[str, str], id: str, name: str) -> None:  # noqa: A002
        data = self.hub.models[id].files[name]
        self._file(name, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"'})

    def _list(self, query: dict[str, str], id: str) -> None:  # noqa: A002
        model = self._model(id)
        if model is None:
            return
        commit = self._commit(model, query.get("Revision", "master"))
        if commit is None:
            self._json(
                404, {"Code": 10010205001, "Message": "revision not found", "Success": False}, code="RevisionNotFound"
            )
            return
        files = [
            {"Path": name, "Name": name, "Type": "blob", "Size": len(data), "Revision": commit,
             "Sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(model.files.items())
        ]  # fmt: skip
        self._json(200, {"Code": 200, "Success": True, "Data": {"Files": files, "LatestCommitter": {"Id": commit}}})

    def _repo_file(self, query: dict[str, str], id: str) -> None:  # noqa: A002
        model = self._model(id)
        if model is None or not self._open_to(model):
            return
        data = model.files.get(query.get("FilePath", ""))
        if data is None:
            self._json(404, {"Code": 404, "Message": "file not found"})
        else:
            self._file(query["FilePath"], data, {})

    def _archive(self, _query: dict[str, str], name: str) -> None:
        data = self.hub.archives.get(name)
        if data is None:
            self._json(404, {"error": "Not Found"})
        else:
            self._file(name, data, {"ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'})

    def _file(self, name: str, data: bytes, headers: dict[str, str]) -> None:
        """Send it, or the part that was asked for, as well or badly as is wished."""
        self.hub.gate(name)
        status, first, last = 200, 0, len(data)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and not self.hub.no_ranges:
            first, last = int(asked[1]), min(len(data), int(asked[2]) + 1 if asked[2] else len(data))
            if first >= len(data):
                self._json(416, {"error": "Range Not Satisfiable"})
                return
            status, headers = 206, {**headers, "Content-Range": f"bytes {first}-{last - 1}/{len(data)}"}
        sent = data[first:last]
        if len(sent) > LARGE // 2 and self.hub.take(self.hub.corrupt, name):
            sent = sent[:-1] + bytes([sent[-1] ^ 255])
        self.send_response(status)
        for key, value in {**headers, "Accept-Ranges": "bytes", "Content-Length": str(len(sent))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self._send(name, sent)

    def _send(self, name: str, data: bytes) -> None:
        cut, still = self.hub.next_cut(name), self.hub.silent.get(name)
        if still is not None and not self.hub.speak.is_set():
            self.wfile.write(data[:still])
            self.wfile.flush()
            self.hub.speak.wait(120)
            data = data[still:]
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            if cut is not None and start + len(piece) > cut:
                self.wfile.write(piece[: cut - start])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(piece)

    def _json(self, status: int, content: Any, *, code: str = "", message: str = "") -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for key, value in {"X-Error-Code": code, "X-Error-Message": message}.items():
            if value:
                self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _redirect(self, to: str, headers: dict[str, str]) -> None:
        self.send_response(302)
        for key, value in {**headers, "Location": to, "Content-Length": "0"}.items():
            self.send_header(key, value)
        self.end_headers()


def archive_of(folder: Path, target: Path, form: str) -> bytes:
    """The folder packed, itself the only thing at the top."""
    made = shutil.make_archive(str(target / "packed"), form, folder.parent, folder.name)
    return Path(made).read_bytes()
