"""What this worker runs on, for the journal."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import psutil

from engine.contract.processor import processor_name

PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers")


def describe() -> dict[str, Any]:
    """Versions, processor, memory. Imports nothing heavy."""
    found: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["processor"] = processor_name()
    found["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found["ram"] = psutil.virtual_memory().total
    return found
