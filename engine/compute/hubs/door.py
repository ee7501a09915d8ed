"""The door to a hub: one HTTP client with its proxy, its token, and the errors people can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from engine.contract import logs
from engine.contract.errors import UserError
from engine.contract.hubs import HubAccess, may_be_told
from engine.contract.secrets import GivenSecrets

CONNECT_S, READ_S = 15.0, 60.0
AGENT = "LoRAForge-Desktop"
WORDS = 200
MAX_JSON_BYTES = 64 << 20


class Door:
    """Asks one hub (or the computer an address names), and never anybody else with its token."""

    def __init__(
        self, hub: str, path: str, access: HubAccess, secrets: GivenSecrets, read_s: float = READ_S, lasting: int = 8
    ) -> None:
        self.hub, self.path, self.access = hub, path, access
        if access.is_offline:
            raise UserError("hub.offline", path=path)
        self.endpoint = access.endpoint(hub) if hub != "url" else ""
        self._token = secrets.plain(hub)
        login = secrets.plain("proxy")
        logs.hide(self._token, login, login.partition(":")[2])
        routes, context = access.routes(login), httpx2.create_ssl_context()
        limits = httpx2.Limits(max_connections=lasting)
        self._client = httpx2.Client(
            mounts={
                pattern: httpx2.HTTPTransport(proxy=to, limits=limits, verify=context) for pattern, to in routes.items()
            },
            verify=context,
            trust_env=not routes,
            timeout=httpx2.Timeout(READ_S, connect=CONNECT_S, read=read_s),
            limits=limits,
            follow_redirects=True,  # a token is not passed on to another host
            max_redirects=10,
            headers={"User-Agent": AGENT},
        )

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """A small document."""
        with self.stream(self.endpoint + path, params=params) as answer:
            data = b""
            for piece in answer.iter_bytes():
                data += piece
                if len(data) > MAX_JSON_BYTES:
                    raise UserError("hub.strange_answer", endpoint=self.endpoint, detail="It is endless.")
            try:
                return httpx2.Response(200, content=data).json()
            except ValueError:
                detail = f"{path} is no JSON."
                raise UserError("hub.strange_answer", endpoint=self.endpoint, detail=detail) from None

    @contextmanager
    def stream(
        self, url: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx2.Response]:
        """An answer to be read in pieces; whatever goes wrong on the way is a UserError."""
        sent = dict(headers or {})
        if self._token and self.endpoint and url.startswith(self.endpoint + "/") and may_be_told(url):
            sent["Authorization"] = f"Bearer {self._token}"
        try:
            with self._client.stream("GET", url, params=params, headers=sent) as answer:
                if answer.is_error:
                    answer.read()
                    raise self._refusal(answer)
                if url.startswith("https://") and answer.url.scheme != "https":
                    raise UserError("hub.strange_answer", endpoint=self.host(url), detail="It leads away from https.")
                yield answer
        except httpx2.ProxyError as error:
            raise self._proxy_error(error) from None
        except httpx2.HTTPError as error:
            raise UserError("hub.unreachable", endpoint=self.host(url), detail=describe(error)) from None
        except httpx2.InvalidURL as error:
            raise UserError("hub.strange_answer", endpoint=self.host(url), detail=describe(error)) from None

    def host(self, url: str) -> str:
        """Who was asked, for a message."""
        try:
            return self.endpoint or f"{httpx2.URL(url).scheme}://{httpx2.URL(url).netloc.decode()}"
        except httpx2.InvalidURL:
            return url[:WORDS]

    def _proxy_error(self, error: httpx2.ProxyError) -> UserError:
        proxy = self.access.proxy or "HTTPS_PROXY"
        if "407" in str(error):
            return UserError("hub.proxy_login", proxy=proxy)
        return UserError("hub.proxy_refused", proxy=proxy, detail=describe(error))

    def _refusal(self, answer: httpx2.Response) -> UserError:
        """What a status means. Hubs say 401 of what is not there, too, so that nobody learns of private models."""
        status, code = answer.status_code, answer.headers.get("X-Error-Code", "")
        named: dict[str, Any] = {"path": self.path, "hub": self.hub, "endpoint": self.host(str(answer.request.url))}
        if status == 407:
            return UserError("hub.proxy_login", proxy=self.access.proxy or "HTTPS_PROXY")
        if self.endpoint and not str(answer.url).startswith(self.endpoint):
            detail = f"{answer.url.host} answers with status {status}"  # a store the hub leads to; its links run out
            return UserError("hub.unreachable", endpoint=self.endpoint, detail=detail)
        if self.hub == "url" and status in (401, 403, 404, 410):
            return UserError("hub.nothing_there", status=status, path=self.path)
        if code == "RevisionNotFound":
            return UserError("hub.revision_unknown", **named)
        if status in (401, 403) and self._token and not may_be_told(self.endpoint):
            return UserError("hub.token_unsafe", endpoint=self.endpoint)
        if code == "GatedRepo" or status == 403:
            token = "hub.gated" if self._token else "hub.gated_no_token"
            return UserError(token, page=f"{self.endpoint}/{self.path}", **named)
        if status == 401:
            if self._token:
                rejected = "invalid" in answer.headers.get("X-Error-Message", "").lower()
                return UserError("hub.token_rejected" if rejected or code != "RepoNotFound" else "hub.unknown", **named)
            return UserError("hub.unknown_or_private", **named)
        if status in (404, 410):
            return UserError("hub.unknown", **named)
        if status == 429 or status >= 500:
            detail = f"{status} {answer.reason_phrase}".strip()
            return UserError("hub.unreachable", endpoint=named["endpoint"], detail=detail)
        return UserError("hub.strange_answer", endpoint=named["endpoint"], detail=f"Status {status}.", status=status)


def describe(error: Exception) -> str:
    """An exception in few words, without what must not be told."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:WORDS]
    return logs.scrubbed(re.sub(r"//[^/@\s]*@", "//", text))
