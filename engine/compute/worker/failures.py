"""What an exception means to a person: the reason a run ends for, and the error shown."""

from __future__ import annotations

import errno
from pathlib import Path

from engine.contract.errors import ErrorBody, UserError
from engine.contract.states import EndReason

REASONS = {
    "hub": EndReason.BAD_MODEL,
    "data": EndReason.BAD_DATA,
    "model": EndReason.BAD_MODEL,
    "config": EndReason.BAD_CONFIG,
    "memory": EndReason.OUT_OF_MEMORY,
    "environment": EndReason.WORKER_ENVIRONMENT,
}
CODES = {
    "worker.disk_full": EndReason.DISK_FULL,
    "hub.no_room": EndReason.DISK_FULL,
    "hub.stalled": EndReason.HANG,
    "data.no_room": EndReason.DISK_FULL,
    "data.version_damaged": EndReason.BAD_DATA,
    "hub.unreachable": EndReason.DOWNLOAD_FAILED,
    "hub.checksum": EndReason.DOWNLOAD_FAILED,
    "hub.proxy_refused": EndReason.DOWNLOAD_FAILED,
    "training.loss_not_finite": EndReason.LOSS_NOT_FINITE,
    "tracking.missing": EndReason.WORKER_ENVIRONMENT,
    "training.gradient_not_finite": EndReason.LOSS_NOT_FINITE,
    "worker.other_protocol": EndReason.WORKER_ENVIRONMENT,
    "worker.member_lost": EndReason.WORKER_KILLED,
    "worker.member_hung": EndReason.HANG,
    "worker.no_order": EndReason.BAD_CONFIG,
    "checkpoint.model_changed": EndReason.BAD_MODEL,
    "checkpoint.data_changed": EndReason.BAD_DATA,
}
OUT_OF_MEMORY_SIGNS = ("DefaultCPUAllocator: can't allocate", "not enough memory", "CUDA out of memory")

DISK_FULL_SIGNS = ("No space left on device", "enforce fail at inline_container.cc", "Disk quota exceeded")
"""What libraries make of it; torch.save does not say why a write failed, and a full disk is why."""


class MemberFailed(Exception):
    """Another member of the attempt failed, and said why."""

    def __init__(self, reason: EndReason, body: ErrorBody) -> None:
        super().__init__(body.code)
        self.reason, self.body = reason, body


def explain(
    error: BaseException, micro_batch_size: int | None = None, folder: Path | None = None
) -> tuple[EndReason, ErrorBody]:
    """Reason and error body for whatever ended a session that worked in a folder."""
    if isinstance(error, MemberFailed):
        return error.reason, error.body
    if isinstance(error, UserError):
        prefix = error.code.partition(".")[0]
        return CODES.get(error.code) or REASONS.get(prefix, EndReason.BAD_CONFIG), error.body()
    if is_out_of_memory(error):
        size = micro_batch_size or 1
        smaller = max(1, size // 2)
        return EndReason.OUT_OF_MEMORY, UserError("memory.exhausted", size=size, smaller=smaller).body()
    if is_disk_full(error):
        path = getattr(error, "filename", None) or folder or "its folder"
        return EndReason.DISK_FULL, UserError("worker.disk_full", path=str(path)).body()
    if isinstance(error, ImportError):
        return EndReason.WORKER_ENVIRONMENT, UserError("environment.import", detail=str(error)).body()
    detail = f"{type(error).__name__}: {error}"[:2000]
    return EndReason.WORKER_ERROR, UserError("worker.bug", detail=detail).body()


def is_out_of_memory(error: BaseException) -> bool:
    """Memory of the computer or of its GPU ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in OUT_OF_MEMORY_SIGNS)


def is_disk_full(error: BaseException) -> bool:
    """No room is left on the disk, or the person's share of it is used up."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(sign in str(error) for sign in DISK_FULL_SIGNS)
