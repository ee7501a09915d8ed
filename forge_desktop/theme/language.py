"""The language in force. Everything shown passes through here; English is the source, Chinese is looked up.

Texts of the program's own widgets are keyed by their English (`tr`), engine texts by their code (`explain`),
settings by group and field (`setting_label`), states and the like by their word (`word`).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from PySide6.QtCore import QLocale

from engine.contract.errors import ErrorBody, Problem, render
from engine.contract.messages import MESSAGES, Message
from engine.contract.paths import resources_folder
from forge_desktop.theme import pseudo
from forge_desktop.theme.words import ENGLISH

LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
_current = "en"


def set_language(code: str) -> None:
    """Speak `en` or `zh_CN`; `system` takes the computer's, `pseudo` shows what longer words would do."""
    global _current
    if code == "system":
        code = "zh_CN" if QLocale.system().language() == QLocale.Language.Chinese else "en"
    _current = code if code in (*LANGUAGES, pseudo.CODE) else "en"


def language() -> str:
    """The code of the language in force."""
    return _current


@lru_cache(maxsize=16)
def table(code: str, part: str) -> dict[str, Any]:
    """One part (widgets, messages, settings, words) of a translation; empty for English."""
    loaded: dict[str, Any] = {}
    if code != "en":
        for file in files_of(code, part):
            loaded |= json.loads(file.read_text(encoding="utf-8"))
    return loaded


def files_of(code: str, part: str) -> list[Path]:
    """The files of one part of a translation: the common one, then one for each area of the program."""
    folder = resources_folder() / "translations" / code
    common = folder / f"{part}.json"
    return [*([common] if common.is_file() else []), *sorted((folder / part).glob("*.json"))]


def tr(text: str, **params: Any) -> str:
    """A text of the program's own, with `{name}` parameters filled in."""
    return render(_spoken(table(_current, "widgets").get(text, text)), params)


def _spoken(text: str) -> str:
    return pseudo.stretched(text) if _current == pseudo.CODE else text


def count(number: int, one: str, many: str) -> str:
    """`one` or `many` (with `{n}`), whichever the language's plural asks for."""
    return tr(one if number == 1 else many, n=f"{number:,}")


def explain(body: ErrorBody | Problem) -> tuple[str, str, str]:
    """What happened, why, and what to do, in the language in force."""
    source = MESSAGES.get(body.code)
    found = table(_current, "messages").get(body.code)
    if found is not None:
        message = Message(found.get("what", ""), found.get("why", ""), found.get("fix", ""))
    elif source is not None:
        message = source
    elif isinstance(body, ErrorBody):
        return body.what, body.why, body.fix
    else:
        return body.code, "", ""
    params = dict(body.params)
    if "state" in params:
        params["state"] = word("state", str(params["state"]))
    what, why, fix = (render(_spoken(text), params) for text in (message.what, message.why, message.fix))
    return what, why, fix


def sentences(*parts: str) -> str:
    """Sentences one after another, without a gap after a full-width stop."""
    text = ""
    for part in parts:
        gap = " " if text and text[-1] not in "。！？；：" else ""
        text += gap + part if part else ""
    return text


def error_text(body: ErrorBody) -> str:
    """An error and its problems in one line, where there is no room for a card."""
    return sentences(*explain(body), *(problem_text(one) for one in body.problems))


def labelled(name: str, text: str) -> str:
    """`name: text`, with the language's own colon."""
    return f"{name}：{text}" if _current == "zh_CN" else f"{name}: {text}"


def problem_text(problem: Problem) -> str:
    """A problem in one line: reason and fix."""
    what, why, fix = explain(problem)
    return sentences(why or what, fix)


def note_text(code: str, params: dict[str, Any]) -> str:
    """A note of a worker in one line."""
    return sentences(*explain(ErrorBody(code=code, what=code, params=params)))


def setting_label(group: type[BaseModel], name: str) -> str:
    """What a form calls a setting."""
    found = table(_current, "settings").get(f"{group.__name__}.{name}", {})
    recorded = group.model_fields[name].json_schema_extra
    label = recorded.get("label", name) if isinstance(recorded, dict) else name
    return str(found.get("label") or _spoken(str(label)))


def setting_sentence(group: type[BaseModel], name: str) -> str:
    """The sentence that explains a setting."""
    found = table(_current, "settings").get(f"{group.__name__}.{name}", {})
    return str(found.get("sentence") or _spoken(group.model_fields[name].description or ""))


def word(kind: str, value: str) -> str:
    """A word of the field: a state, reason, phase, choice, unit … `kind` keeps apart words that look alike."""
    english = ENGLISH.get(f"{kind}.{value}", value.replace("_", " "))
    return str(table(_current, "words").get(f"{kind}.{value}", _spoken(english)))


def words() -> list[str]:
    """Every word that `word` knows, for the test that asks for its Chinese."""
    return sorted(ENGLISH)
