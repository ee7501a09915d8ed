"""What this worker runs on, for the journal."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import psutil

from engine.contract.processor import processor_name

PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers")


def describe(threads: int | None = None) -> dict[str, Any]:
    """Versions, processor, memory, GPUs. Imports nothing heavy."""
    found: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["processor"] = processor_name()
    found["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found["threads"] = threads or found["cores"]
    found["devices"] = _gpu_names()
    found["ram"] = psutil.virtual_memory().total
    return found


def _gpu_names() -> list[str]:
    """GPUs of the computer, as NVML names them; empty without NVML."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    except pynvml.NVMLError:
        return []
