"""Take the free texts the demo model reads out of two Debian packages, once; the result is kept beside this file.

    python -m resources.demo.recipe.gather_texts FOLDER

FOLDER holds the unpacked packages (`apt-get download sqlite3-doc unicode-cldr-core`, then `dpkg-deb -x FILE FOLDER`).
Pretraining reads the kept files and needs neither package.
"""

import gzip
import html
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

TEXTS = Path(__file__).parent / "texts"
PROSE = TEXTS / "sqlite-doc.txt.gz"
NAMES = TEXTS / "cldr-names.tsv.gz"
PAGES = [
    "about",
    "affcase1",
    "appfileformat",
    "atomiccommit",
    "autoinc",
    "backup",
    "cintro",
    "datatype3",
    "different",
    "faq",
    "fasterthanfs",
    "flextypegood",
    "foreignkeys",
    "howtocorrupt",
    "inmemorydb",
    "json1",
    "lockingv3",
    "malloc",
    "mostdeployed",
    "optoverview",
    "privatebranch",
    "queryplanner",
    "queryplanner-ng",
    "quirks",
    "rtree",
    "selfcontained",
    "serverless",
    "sharedcache",
    "tempfiles",
    "testing",
    "undoredo",
    "wal",
    "walformat",
    "whentouse",
    "whynotgit",
    "zeroconf",
]
MAX_PROSE = 450_000
_BLOCK = re.compile(r"<(p|li)\b[^>]*>(.*?)(?=<(?:p|li|/p|/li|ul|ol|h\d|table|div|pre|blockquote|/div)\b)", re.S | re.I)


def prose(folder: Path) -> str:
    """Paragraphs of the chosen SQLite pages, one a line."""
    lines: list[str] = []
    for page in PAGES:
        found = sorted(folder.rglob(f"{page}.html"))
        for _, block in _BLOCK.findall(found[0].read_text(encoding="utf-8", errors="replace")) if found else []:
            line = " ".join(html.unescape(re.sub(r"<[^>]*>", "", block)).split())
            if len(line) > 80 and line.isascii():
                lines.append(line)
    return "\n".join(dict.fromkeys(lines))[:MAX_PROSE].rpartition("\n")[0] + "\n"


def names(folder: Path) -> str:
    """English and Chinese names of territories, languages and symbols, as `kind, English, Chinese`; and characters."""
    common = next(folder.rglob("cldr/common"))
    rows: list[str] = []
    for kind, file, path in (
        ("territory", "main", ".//territories/territory"),
        ("language", "main", ".//languages/language"),
        ("symbol", "annotations", ".//annotation[@type='tts']"),
    ):
        key = "cp" if kind == "symbol" else "type"
        both = []
        for code in ("en", "zh"):
            nodes = ElementTree.parse(common / file / f"{code}.xml").iterfind(path)
            both.append({n.get(key): n.text or "" for n in nodes if not n.get("alt")})
        english, chinese = both
        rows += [f"{kind}\t{english[k]}\t{chinese[k]}" for k in english if k in chinese and chinese[k] != "↑↑↑"]
    rows += [f"character\t{one}\t{one}" for one in _characters(common / "main" / "zh.xml")]
    return "\n".join(row for row in rows if len(row) < 60) + "\n"


def _characters(file: Path) -> list[str]:
    """The characters CLDR says Simplified Chinese is commonly written with."""
    node = next(n for n in ElementTree.parse(file).iter("exemplarCharacters") if not n.get("type"))
    ranges = [part.partition("-") for part in (node.text or "").strip("[]").split()]
    return [chr(code) for a, _, b in ranges for code in range(ord(a), ord(b or a) + 1)]


def main() -> None:
    """Write both files, the same bytes each time."""
    folder = Path(sys.argv[1])
    TEXTS.mkdir(exist_ok=True)
    for target, text in ((PROSE, prose(folder)), (NAMES, names(folder))):
        target.write_bytes(gzip.compress(text.encode(), mtime=0))
        print(f"{target.name}: {len(text)} characters, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
