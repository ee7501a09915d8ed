"""A folder of tiny wheels that stand in for what a worker needs: real packages to pip, nothing inside but a version."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from engine.contract.paths import code_root
from engine.control.executors.packages import requirements

CONTENT = "__version__ = '{version}'\nclass version:\n    cuda = None\n"


def make_wheels(folder: Path, without: tuple[str, ...] = (), padding: int = 0) -> Path:
    """One wheel for each requirement, in the version the checkout pins."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, version in _wanted():
        if name not in without:
            make_wheel(folder, name, version, padding)
    return folder


def make_wheel(folder: Path, name: str, version: str, padding: int = 0, content: str = CONTENT) -> Path:
    """One wheel whose module knows its version."""
    module = name.lower().replace("-", "_")
    file = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    texts = {
        f"{module}.py": content.format(version=version) + "#" * padding,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    texts[f"{info}/RECORD"] = "".join(f"{place},,\n" for place in [*texts, f"{info}/RECORD"])
    with zipfile.ZipFile(file, "w") as archive:
        for place, text in texts.items():
            archive.writestr(place, text)
    return file


def _wanted() -> list[tuple[str, str]]:
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", (code_root() / "constraints.txt").read_text(), re.MULTILINE)
    found = []
    for line in requirements():
        name, least = re.match(r"([\w.-]+?)\s*(?:[><=!~]=?\s*([\d.]+))?$", re.split("[,;]", line)[0]).groups()
        versions = [version for pin, version in pins if pin.lower() == name.lower()]
        found += [(name, version) for version in versions or [least or "1.0"]]  # one for each Python it is pinned for
    return found
