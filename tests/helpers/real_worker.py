"""The worker's environment that tests train in, and what they are skipped by where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.contract.paths import code_root

WORKER = Path(os.environ.get("FORGE_WORKER_PYTHON") or code_root() / ".venv-worker" / "bin" / "python")
needs_worker = pytest.mark.skipif(not WORKER.exists(), reason="there is no worker environment")
