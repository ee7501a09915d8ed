"""Worker code without torch: the real spare worker around a session that does what a file tells it to.

`do.py` in the attempt's folder is carried out with `root` (the folder) and `stop` (the flag); it may set `code`.
"""

import shutil
from pathlib import Path

from engine.contract.paths import code_root

REAL = ("__init__.py", "__main__.py", "warm.py", "commands.py", "leaving.py")
SESSION = """
def run_attempt(root, stop):
    names = {"root": root, "stop": stop, "code": 0}
    exec((root / "do.py").read_text(), names)
    return names["code"]
"""
PRETENDED = {
    "torch": "class cuda:\n    is_initialized = staticmethod(lambda: False)\n",
    "transformers": "", "accelerate": "", "peft": "", "tokenizers": "", "safetensors": "", "safetensors/torch": "",
}  # fmt: skip


def make_light_code(folder: Path) -> Path:
    """A folder for a worker's PYTHONPATH."""
    root, worker = code_root(), folder / "engine" / "compute" / "worker"
    shutil.copytree(root / "engine" / "contract", folder / "engine" / "contract")
    shutil.copy(root / "engine" / "__init__.py", folder / "engine")
    worker.mkdir(parents=True)
    (worker.parent / "__init__.py").touch()
    for name in REAL:
        shutil.copy(root / "engine" / "compute" / "worker" / name, worker)
    (worker / "session.py").write_text(SESSION)
    (worker / "train_job.py").touch()
    for name, text in PRETENDED.items():
        file = folder / f"{name}.py" if "/" in name else folder / name / "__init__.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return folder
