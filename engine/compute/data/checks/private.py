"""Checks for what looks like data of persons: addresses, numbers, keys. Patterns are no proof; excerpts are masked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from engine.compute.data.checks.row import CheckedRow

BLANK = 32
Found = tuple[str, int, int]
"""What it looks like, where it begins and ends."""
EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-])")
RESERVED = ("example.com", "example.org", "example.net", ".example", ".test", ".invalid", "localhost", "domain.com")
"""Made for examples (RFC 2606); nobody's."""
DIGITS = re.compile(r"\d(?:[ .()-]{0,2}\d){6}")
PHONE = re.compile(
    r"(?<![\w.-])(?:"
    r"(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}"  # China, mobile
    r"|0\d{2,3}-\d{7,8}"  # China, landline
    r"|\+[1-9]\d{0,2}(?:[ .()-]{1,2}\d{1,8}){2,5}"  # with a country's code, in groups
    r"|\+[1-9]\d{9,13}"
    r"|(?:\+?1[ .-]?)?\(?[2-9]\d{2}\)?[ .-][2-9]\d{2}[.-]\d{4}"  # North America
    r")(?![\w-]|\.\d)"
)
CHINESE_ID = re.compile(r"(?<!\d)[1-8]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\d)")
CARD = re.compile(
    r"(?<![\d.-])(?:[3-6]\d{3}[ -]\d{4}[ -]\d{4}[ -]\d{4}|3[47]\d{2}[ -]\d{6}[ -]\d{5}|[3-6]\d{12,18})(?![\d.-])"
)
IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,7}(?![\w:])")
KEY_PREFIXES = (
    "sk-", "sk_live_", "rk_live_", "ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "AKIA", "ASIA", "AIza",
    "ya29.", "xoxb-", "xoxp-", "xoxa-", "xapp-", "hf_", "npm_", "pypi-", "LTAI", "SG.", "eyJ", "-----BEGIN", "gsk_",
)  # fmt: skip
KEY = re.compile(
    r"(?<![\w-])(?:"
    r"sk-(?:ant-|proj-|or-v1-)?[A-Za-z0-9_-]{20,}"
    r"|[sr]k_live_[A-Za-z0-9]{16,}"
    r"|gh[opsu]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)|AIza[\w-]{35}|ya29\.[\w-]{20,}"
    r"|xox[abp]-[\w-]{20,}|xapp-[\w-]{20,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{30,}"
    r"|LTAI[A-Za-z0-9]{12,24}(?!\w)|SG\.[\w-]{16,}\.[\w-]{16,}|gsk_[A-Za-z0-9]{40,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}"
    r"|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    r")"
)
MAYBE_EMAIL = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2}")
MAYBE_IPV6 = re.compile(r":[0-9a-fA-F]{1,4}:")
"""What stands in every address; found quickly, since it begins with one character that is rare."""
KEY_RUN = bytes(ord("a") if code >= 128 or chr(code).isalnum() or chr(code) in "-_" else BLANK for code in range(256))
LONG_RUN, KEY_BEGINS = b"a" * 16, tuple(prefix.encode() for prefix in KEY_PREFIXES)
"""Every key but those between lines (`-----BEGIN`) has sixteen characters of a word in a row."""
KEY_MARKS = tuple(
    (mark, tuple(begin for begin in KEY_BEGINS if mark in begin)) for mark in (b"-", b"_", b".", b"A", b"J")
)
"""Of each beginning a byte that is rare in scripts other than Latin."""
DIGIT_LEADS = b"0123456789\xd9\xdb\xdf\xe0\xe1\xea\xf0"
NO_DIGITS = bytes(code for code in range(256) if code not in DIGIT_LEADS)
"""All bytes no digit of any script begins with; the wide ones begin like Chinese signs and are looked for apart."""
WIDE_DIGITS = re.compile(rb"\xef\xbc[\x90-\x99]")
ID_WEIGHTS, ID_CHECKS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), "10X98765432"
LISTED = 20


def look_for_private(row: CheckedRow) -> None:
    """One remark a row, with everything of the kind that was found in it."""
    found = list(_first(find(row.body, row.data)))
    if not found:
        return
    found.sort(key=lambda entry: entry[1])
    kinds = sorted({kind for kind, _, _ in found})
    _, begin, end = found[0]
    row.remark(
        "private",
        "checks.private",
        column=row.column_of(row.body[begin:end]),
        excerpt=masked(row.body, found, begin, end),
        kinds=", ".join(kinds),
        count=len(found),
    )


def _first(found: Iterator[Found]) -> Iterator[Found]:
    for _, entry in zip(range(LISTED), found, strict=False):
        yield entry


def find(text: str, data: bytes | None = None) -> Iterator[Found]:
    """What looks private, each with its place; what is ruled out by its own checksum is not named.

    `data` is the text as UTF-8: most texts show by their bytes that a dear look is not needed.
    """
    data = text.encode(errors="surrogatepass") if data is None else data
    if b"@" in data and MAYBE_EMAIL.search(text):
        for match in EMAIL.finditer(text):
            if not match.group().lower().endswith(RESERVED):
                yield "email", *match.span()
    if _may_hold_key(data):
        for match in KEY.finditer(text):
            yield "key", *match.span()
    if _may_hold_number(data) and DIGITS.search(text):
        yield from _numbers(text)
    if data.count(b":") > 2 and MAYBE_IPV6.search(text):
        for match in IPV6.finditer(text):
            if _is_public(match.group()):
                yield "ip", *match.span()


def _may_hold_key(data: bytes) -> bool:
    if data.isascii() and LONG_RUN not in data.translate(KEY_RUN):
        return b"-----BEGIN" in data
    for mark, begins in KEY_MARKS:
        if mark in data:
            for begin in begins:
                if begin in data:
                    return True
    return False


def _may_hold_number(data: bytes) -> bool:
    """Seven digits, or one of another script."""
    digits = data.translate(None, NO_DIGITS)
    return len(digits) >= 7 or (bool(digits) and not digits.isdigit()) or WIDE_DIGITS.search(data) is not None


def _numbers(text: str) -> Iterator[Found]:
    taken = list[tuple[int, int]]()
    for kind, pattern, holds in (
        ("id", CHINESE_ID, is_chinese_id),
        ("card", CARD, is_card),
        ("ip", IPV4, _is_public),
        ("phone", PHONE, _is_phone),
    ):
        for match in pattern.finditer(text):
            begin, end = match.span()
            if holds(match.group()) and not any(begin < last and first < end for first, last in taken):
                taken.append((begin, end))
                yield kind, begin, end


def is_chinese_id(text: str) -> bool:
    """The last place is a checksum of the others (GB 11643)."""
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], ID_WEIGHTS, strict=True))
    return ID_CHECKS[total % 11] == text[17].upper()


def is_card(text: str) -> bool:
    """Luhn's checksum; numbers of one digit throughout are none."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    total = sum(
        digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits))
    )
    return total % 10 == 0


def _is_phone(text: str) -> bool:
    digits = [character for character in text if character.isdigit()]
    return 8 <= len(digits) <= 15 and len(set(digits)) > 2


def _is_public(text: str) -> bool:
    """An address of the internet, not of a house or an example."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global and str(address) not in ("8.8.8.8", "8.8.4.4", "1.1.1.1")


def masked(text: str, found: list[Found], begin: int, end: int) -> str:
    """The text around a place, with only the ends of everything private in it."""
    first, last = max(0, begin - 40), min(len(text), end + 40)
    pieces, at = [], first
    for _, start, stop in found:
        if stop <= at or start >= last:
            continue
        pieces += [text[at : max(at, start)], mask(text[start:stop])]
        at = stop
    return "".join([*pieces, text[at:last]]).strip()


def mask(text: str) -> str:
    """The first two and the last characters, the rest as dots."""
    return f"{text[:2]}{'•' * min(12, max(3, len(text) - 4))}{text[-2:]}" if len(text) > 6 else "•" * len(text)
