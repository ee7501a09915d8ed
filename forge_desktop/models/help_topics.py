"""The help texts: one Markdown file a topic and language, found by the page that is open or by their words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from engine.contract.paths import resources_folder
from forge_desktop.theme.language import language

TOPICS = (
    "start",
    "runs",
    "new",
    "run",
    "compare",
    "datasets",
    "playground",
    "adapters",
    "serving",
    "nodes",
    "instances",
    "settings",
    "notices",
    "trouble",
    "keys",
)
_MARKS = re.compile(r"\*+|`|\{[^}]*\}|\[([^\]]*)\]\([^)]*\)")
_STRONG = re.compile(r"\*\*.+?\*\*|^##+ .+$", re.MULTILINE)
OF_PAGE = {
    "runs": "runs",
    "new": "new",
    "run": "run",
    "compare": "compare",
    "settings": "settings",
    "welcome": "start",
    "nodes": "nodes",
    "instances": "instances",
    "datasets": "datasets",
    "dataset": "datasets",
    "playground": "playground",
    "adapters": "adapters",
    "serving": "serving",
}
"""The topic of a kind of page."""


@dataclass(frozen=True)
class Topic:
    """A help text."""

    key: str
    title: str
    text: str
    """Markdown, with its title as the first line."""


def topic(key: str) -> Topic:
    """A topic in the language in force; the first one for a key nobody knows."""
    return _load(language(), key if key in TOPICS else TOPICS[0])


def topics() -> list[Topic]:
    """All topics, in the order in which they are read."""
    return [topic(key) for key in TOPICS]


def topic_of(address: str) -> str:
    """The topic that helps with a page."""
    return OF_PAGE.get(address.partition("/")[0], TOPICS[0])


def search(words: str) -> list[tuple[Topic, str]]:
    """Topics with all these words, each with the line where one is found; those that speak most of them first."""
    wanted = words.lower().split()
    found: list[tuple[int, Topic, str]] = []
    for place, one in enumerate(topics()):
        text = one.text.lower()
        if not wanted or not all(word in text for word in wanted):
            continue
        in_title = any(word in one.title.lower() for word in wanted)
        strong = " ".join(_STRONG.findall(text))
        often = sum(text.count(word) + 3 * strong.count(word) for word in wanted)
        found.append((place - 20 * often - (1000 if in_title else 0), one, _line(one, wanted)))
    return [(one, line) for _rank, one, line in sorted(found, key=lambda hit: hit[0])]


def _line(one: Topic, wanted: list[str]) -> str:
    lines = [_MARKS.sub(r"\1", line).strip("#- ") for line in one.text.splitlines()[1:] if line.strip()]
    return max(lines, key=lambda line: sum(word in line.lower() for word in wanted), default="")


@lru_cache(maxsize=32)
def _load(code: str, key: str) -> Topic:
    folder = resources_folder() / "help"
    spoken = folder / code if (folder / code).is_dir() else folder / "en"
    text = (spoken / f"{key}.md").read_text(encoding="utf-8")
    return Topic(key, text.partition("\n")[0].lstrip("# ").strip(), text)
