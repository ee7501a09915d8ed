"""Replacing what tells who and where somebody is: the same thing always by the same word."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

TOKEN = re.compile(
    r"\b(?:hf|ms|sk|ghp|gho|ghs|glpat|github_pat|xox[abprs])[-_][A-Za-z0-9_-]{8,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*"
)
SPOKEN = re.compile(
    r"(?i)((?:authorization|token|password|passwd|secret|api[-_]?key|cookie)[\"']?\s*[:=]\s*[\"']?"
    r"(?:(?:bearer|basic)\s+)?|\b(?:bearer|basic)\s+)"
    r"([^\s\"',;&})]{6,})"
)
"""A word that announces a secret, and what follows it."""
LONG_HEX = re.compile(r"\b[0-9a-fA-F]{32,}\b")
IN_ADDRESS = re.compile(r"(?<=://)[^/\s@\"']+(?=@)")
MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
OTHER_HOME = re.compile(r"(/home/|/Users/|\\Users\\)([^/\\\s\"':]+)")
HIDDEN = "<hidden>"
SHORT = 3
"""Names below this length are replaced as whole words only, with nothing beside them."""


def without_secrets(text: str) -> str:
    """The text without anything that looks like a key; names and places stay, for it is shown to whom they belong."""
    text = IN_ADDRESS.sub(HIDDEN, TOKEN.sub(HIDDEN, text))
    return SPOKEN.sub(lambda match: match[0] if match[2].startswith("<") else match[1] + HIDDEN, text)


class Anonymous:
    """Cleans texts. `secrets` go wherever they stand, even inside other words."""

    def __init__(
        self,
        *,
        paths: Mapping[str, str] | None = None,
        user: str = "",
        host: str = "",
        secrets: Iterable[str] = (),
        names: Iterable[str] = (),
    ) -> None:
        self.replaced: Counter[str] = Counter()
        self._given: dict[tuple[str, str], str] = {}
        steps: list[tuple[str, re.Pattern[str], Callable[[str], str]]] = []
        for secret in sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True):
            steps.append(("token", re.compile(re.escape(secret)), lambda found: self._word("token", found)))
        for name in sorted({n for n in names if len(n) >= 2}, key=len, reverse=True):
            steps.append(("name", _whole(name), lambda found: self._word("name", found.lower())))
        for path, word in sorted((paths or {}).items(), key=lambda pair: len(pair[0]), reverse=True):
            if len(path) > 1:
                steps.append(("home", re.compile(re.escape(path) + r"(?![\w-])"), lambda _found, word=word: word))  # type: ignore[misc]
        for name, kind in ((host, "host"), (host.partition(".")[0], "host"), (user, "user")):
            if len(name) >= 2:
                steps.append((kind, _whole(name), lambda _found, kind=kind: f"<{kind}>"))  # type: ignore[misc]
        self._steps = steps

    def clean(self, text: str) -> str:
        """The text without any of it."""
        for kind, pattern, word in self._steps:
            text = self._put(kind, pattern, text, word)
        text = self._put("token", IN_ADDRESS, text, lambda found: self._word("token", found))
        text = self._put("token", TOKEN, text, lambda found: self._word("token", found))
        text = SPOKEN.sub(self._spoken, text)
        text = self._put("token", LONG_HEX, text, lambda found: self._word("hex", found.lower()))
        text = self._put("mail", MAIL, text, lambda found: self._word("mail", found.lower()))
        text = self._put("address", IPV4, text, self._address)
        text = self._put("address", IPV6, text, self._address)
        return OTHER_HOME.sub(self._other_home, text)

    def _put(self, kind: str, pattern: re.Pattern[str], text: str, word: Callable[[str], str]) -> str:
        def replace(match: re.Match[str]) -> str:
            new = word(match[0])
            self.replaced[kind] += new != match[0]
            return new

        return pattern.sub(replace, text)

    def _word(self, kind: str, found: str) -> str:
        """The word that stands for it, the same each time."""
        known = self._given.get((kind, found))
        if known is None:
            number = 1 + sum(1 for other, _found in self._given if other == kind)
            known = self._given[kind, found] = f"<{kind}-{number}>"
        return known

    def _spoken(self, match: re.Match[str]) -> str:
        if match[2].startswith("<") or match[2].lower() in ("bearer", "settings", "is_set", "refused"):
            return match[0]
        self.replaced["token"] += 1
        return match[1] + self._word("token", match[2])

    def _address(self, found: str) -> str:
        try:
            address = ipaddress.ip_address(found)
        except ValueError:
            return found  # a version, a time
        if address.is_loopback or address.is_unspecified:
            return found
        return self._word("ip", str(address))

    def _other_home(self, match: re.Match[str]) -> str:
        if match[2].startswith("<"):
            return match[0]
        self.replaced["home"] += 1
        return match[1] + self._word("user", match[2])


def _whole(name: str) -> re.Pattern[str]:
    """The name where it is no part of a longer word; of long names also beside underscores and digits."""
    border = r"[A-Za-z0-9_]" if len(name) <= SHORT else r"[A-Za-z]"
    return re.compile(rf"(?<!{border}){re.escape(name)}(?!{border})", re.IGNORECASE)
