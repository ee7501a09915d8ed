"""How hubs are reached: addresses, the proxy, what is a model's name there, and who may be told a token."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict

from engine.contract.errors import Problem

if TYPE_CHECKING:
    from engine.contract.api import Settings
    from engine.contract.model import ModelConfig

HUBS = ("huggingface", "modelscope")
USUAL = {"huggingface": "https://huggingface.co", "modelscope": "https://www.modelscope.cn"}
NAMED_BY = {"huggingface": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT"}
OFFLINE, KEPT_OFFLINE = "HF_HUB_OFFLINE", "FORGE_HUB_OFFLINE"
"""The first forbids asking a hub. A worker sets it itself, so that no library asks; the second has what it was."""
ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar")
ID = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?(?<![.-])", re.ASCII)
HOST = re.compile(r"(\*?\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?|\*", re.ASCII)
SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class HubAccess(BaseModel):
    """How a worker reaches hubs; nothing in it is secret."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    endpoints: dict[str, str] = {}
    proxy: str = ""
    no_proxy: str = ""
    offline: bool = False

    @classmethod
    def of(cls, settings: Settings) -> HubAccess:
        """What the controller's settings say."""
        return cls.model_validate(settings.model_dump(include=set(cls.model_fields)))

    def endpoint(self, hub: str) -> str:
        """Where a hub is asked: as the settings say, else the environment, else its own address."""
        return (self.endpoints.get(hub) or os.environ.get(NAMED_BY[hub]) or USUAL[hub]).rstrip("/")

    @property
    def is_offline(self) -> bool:
        """Whether settings or environment forbid asking."""
        named = os.environ.get(KEPT_OFFLINE) or os.environ.get(OFFLINE, "")
        return self.offline or named.upper() in ("1", "ON", "YES", "TRUE")

    def routes(self, login: str = "") -> dict[str, str | None]:
        """Proxies by pattern, as httpx's `mounts` have them; None is a direct way. Empty: as the environment says."""
        if not self.proxy:
            return {}
        parts = urlsplit(self.proxy)
        user, _, password = login.partition(":")
        before = f"{quote(user, safe='')}:{quote(password, safe='')}@" if login else ""
        routes: dict[str, str | None] = {"all://": f"{parts.scheme}://{before}{parts.netloc}"}
        for host in filter(None, (word.strip() for word in self.no_proxy.split(","))):
            routes |= dict.fromkeys(_patterns(host))
        return routes


def _patterns(host: str) -> list[str]:
    """How httpx writes a host that is reached directly, with everything below its name."""
    if host == "*":
        return ["all://"]
    bare = host.removeprefix("*").lstrip(".")
    name = urlsplit(f"//{bare}").hostname or ""
    return [f"all://{bare}"] if name == "localhost" or is_address(name) else [f"all://*{bare}"]


def is_address(name: str) -> bool:
    """An IP address, not a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def on_this_computer(name: str) -> bool:
    """A loopback address."""
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(name).is_loopback)


def may_be_told(url: str) -> bool:
    """Whether a token may be sent there: over TLS, or without leaving this computer."""
    parts = urlsplit(url)
    return parts.scheme == "https" or on_this_computer(parts.hostname or "")


def check_access(endpoints: Mapping[str, str], proxy: str, no_proxy: str) -> list[Problem]:
    """Everything wrong with the settings about hubs."""
    problems = []
    for hub, url in endpoints.items():
        field = f"endpoints.{hub}"
        if hub not in HUBS:
            params = {"value": hub, "known": ", ".join(HUBS)}
            problems.append(Problem(code="settings.hub", field=field, params=params))
        elif _wrong_url(url):
            problems.append(Problem(code="settings.endpoint", field=field, params={"value": _bare(url)}))
    if proxy and urlsplit(proxy).username is not None:
        problems.append(Problem(code="settings.proxy_login", field="proxy"))
    elif proxy and (_wrong_url(proxy) or urlsplit(proxy).path.strip("/")):
        problems.append(Problem(code="settings.proxy", field="proxy", params={"value": _bare(proxy)}))
    for word in filter(None, (word.strip() for word in no_proxy.split(","))):
        if not HOST.fullmatch(word):
            problems.append(Problem(code="settings.no_proxy", field="no_proxy", params={"value": word}))
    return problems


def _wrong_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        return True
    extra = parts.username is not None or parts.query or parts.fragment or any(letter.isspace() for letter in url)
    return parts.scheme not in ("http", "https") or not named or bool(extra)


def _bare(url: str) -> str:
    """Without what may be a password."""
    return re.sub(r"//[^/@]*@", "//…@", url)


def check_source(model: ModelConfig) -> list[Problem]:
    """What is wrong with the name of a model on a hub, or with its address, as far as it can be seen by itself."""
    params = {"value": model.path}
    if model.hub in HUBS:
        problems = []
        if not ID.fullmatch(model.path) or (model.hub == "modelscope" and "/" not in model.path):
            problems.append(Problem(code="config.hub_id", field="model.path", params=params))
        if model.revision is not None and not model.revision.strip():
            problems.append(Problem(code="config.revision_empty", field="model.revision"))
        return problems
    if model.hub == "url":
        return _check_url(model)
    if model.revision is not None:
        return [Problem(code="config.revision_of_folder", field="model.revision", params={"value": model.revision})]
    return []


def _check_url(model: ModelConfig) -> list[Problem]:
    problems, params = [], {"value": _bare(model.path)}
    try:
        parts = urlsplit(model.path)
        fits = bool(parts.hostname) and may_be_told(model.path) and parts.scheme in ("http", "https")
        if not fits or parts.username is not None:
            problems.append(Problem(code="config.url", field="model.path", params=params))
        elif not parts.path.lower().endswith(ARCHIVES):
            known = ", ".join(ARCHIVES)
            problems.append(Problem(code="config.url_archive", field="model.path", params={**params, "known": known}))
    except ValueError:
        problems.append(Problem(code="config.url", field="model.path", params=params))
    if model.revision is not None and not SHA256.fullmatch(model.revision):
        problems.append(
            Problem(code="config.url_sha256", field="model.revision", params={"value": model.revision})
        )  # fmt: skip
    return problems


def title(model: ModelConfig) -> str:
    """What a model from a hub is called: the id, or the archive's name."""
    return PurePosixPath(urlsplit(model.path).path).name if model.hub == "url" else model.path
