"""Asks a hub whose token it is, or the proxy whether it takes the login."""

from __future__ import annotations

from typing import Any

import httpx

from engine.contract import logs
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.hubs import HubAccess, may_be_told
from engine.contract.secrets import SecretCheck, SecretName
from engine.control.jobs.secrets import PROXY

WHO = {"huggingface": "/api/whoami-v2", "modelscope": "/openapi/v1/users/me"}
TIMEOUT_S = 15.0
ACCOUNT_KEYS = ("name", "Username", "username", "preferred_username")


async def check(name: SecretName, value: str, login: str, access: HubAccess) -> SecretCheck:
    """Whether the secret is accepted, and whose it is."""
    if not value:
        raise NotFound("secret.not_set", name=name)
    if name == PROXY and not access.proxy:
        raise Conflict("secret.no_proxy")
    if access.is_offline:
        raise Conflict("hub.offline", path=name)
    hub = "huggingface" if name == PROXY else name
    endpoint = access.endpoint(hub)
    url = endpoint + WHO[hub]
    if name != PROXY and not may_be_told(url):
        raise Conflict("hub.token_unsafe", endpoint=endpoint)
    headers = {"Authorization": f"Bearer {value}"} if name != PROXY else {}
    routes = access.routes(value if name == PROXY else login)
    mounts = {pattern: httpx.AsyncHTTPTransport(proxy=to) if to else None for pattern, to in routes.items()}
    try:
        async with httpx.AsyncClient(mounts=mounts, trust_env=not routes, timeout=TIMEOUT_S) as client:
            answer = await client.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if "407" in str(error):
            return _proxy_refused(name, access)
        detail = logs.scrubbed(f"{type(error).__name__}: {error}".strip(": "))[:200]
        raise UserError("hub.unreachable", endpoint=endpoint, detail=detail) from None
    if answer.status_code == 407:
        return _proxy_refused(name, access)
    if name == PROXY:
        return SecretCheck(accepted=True)
    if answer.status_code in (401, 403):
        return SecretCheck(accepted=False)
    if answer.is_error:
        raise UserError("hub.strange_answer", endpoint=endpoint, detail=f"Status {answer.status_code}.")
    return SecretCheck(accepted=True, account=_account(answer))


def _proxy_refused(name: SecretName, access: HubAccess) -> SecretCheck:
    if name == PROXY:
        return SecretCheck(accepted=False)
    raise UserError("hub.proxy_login", proxy=access.proxy or "HTTPS_PROXY")


def _account(answer: httpx.Response) -> str:
    """Whose token it is, in the form of either hub."""
    try:
        found: Any = answer.json()
    except ValueError:
        return ""
    if isinstance(found, dict):
        inner = found.get("data") or found.get("Data") or found
        for key in ACCOUNT_KEYS if isinstance(inner, dict) else ():
            if inner.get(key):
                return str(inner[key])[:200]
    return ""
