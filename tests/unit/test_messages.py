"""Texts: every code that is used has one, and every text says something a person can act on."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from string import Formatter

import pytest

from engine.contract import messages
from engine.contract.messages import MESSAGES
from engine.contract.messages.controller import CONTROLLER

ROOT = Path(__file__).parents[2]
USE = re.compile(
    r"""(?:Error|NotFound|Conflict|Refused|Unreachable|code=|_remark\(flush,|_note\(t,|_failed\([\w.]+,)\(?\s*"([a-z_]+\.[a-z_]+)\""""
)


def used_codes() -> dict[str, str]:
    """Code to a file that uses it."""
    files = [file for room in ("engine", "forge_desktop") for file in (ROOT / room).rglob("*.py")]
    return {code: str(file) for file in files for code in USE.findall(file.read_text())}


def test_that_every_code_that_is_used_has_a_text():
    used = used_codes()
    assert len(used) > 40
    assert {code: file for code, file in used.items() if code not in MESSAGES} == {}


def test_that_no_code_has_two_texts():
    rooms = [room.name for room in pkgutil.iter_modules(messages.__path__) if room.name != "base"]
    texts = [getattr(import_module(f"{messages.__name__}.{room}"), room.upper()) for room in rooms]
    assert len(MESSAGES) == sum(map(len, texts))


@pytest.mark.parametrize("code", sorted(CONTROLLER))
def test_that_a_text_is_whole(code):
    message = CONTROLLER[code]
    assert message.what or message.why
    for part in (message.what, message.why, message.fix):
        names = [name for _, name, _, _ in Formatter().parse(part) if name is not None]
        assert all(name.isidentifier() for name in names)
        assert not part or part[-1] in ".}?"
