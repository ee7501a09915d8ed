"""Memory of the GPU, of the computer, and what processes share."""

from __future__ import annotations

import re

from engine.contract.states import EndReason
from engine.control.jobs.diagnosis.changes import BATCH, alone, changed, setting, smaller_batch
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.rule import Finding, Rule, signs

FULL_SHARE = 90.0
"""Per cent of memory in use at the last reading from which a kill is laid to it."""
PIECES_SHARE = 0.1
"""Share of what torch holds that is free but in pieces, from which that is why no more could be had."""
GB = {"GiB": 1.0, "MiB": 1 / 1024}
HELD = re.compile(r"(?P<used>[\d.]{1,12}) (?P<used_unit>[GM]iB) already allocated")
RESERVED = re.compile(r"(?P<held>[\d.]{1,12}) (?P<held_unit>[GM]iB) reserved in total")
UNALLOCATED = re.compile(r"(?P<free>[\d.]{1,12}) (?P<free_unit>[GM]iB) is reserved by PyTorch but unallocated")
ALLOCATED = re.compile(r"(?P<used>[\d.]{1,12}) (?P<used_unit>[GM]iB) is allocated by PyTorch")


def in_pieces(evidence: Evidence) -> Finding | None:
    """torch tells how much it holds and how much of it is in use."""
    if "out of memory" not in evidence.text:
        return None
    used, free = _held(evidence.text)
    if used <= 0 or free < PIECES_SHARE * (used + free):
        return None
    return Finding({"free": f"{free:.1f}", "used": f"{used:.1f}"}, smaller_batch(evidence))


def _held(text: str) -> tuple[float, float]:
    """GB in use, and GB that torch keeps without a use for them."""
    old, whole = HELD.search(text), RESERVED.search(text)
    if old and whole:
        used = _gb(old["used"], old["used_unit"])
        return used, _gb(whole["held"], whole["held_unit"]) - used
    new, kept = ALLOCATED.search(text), UNALLOCATED.search(text)
    if new and kept:
        return _gb(new["used"], new["used_unit"]), _gb(kept["free"], kept["free_unit"])
    return 0.0, 0.0


def _gb(number: str, unit: str) -> float:
    try:
        return float(number) * GB[unit]
    except ValueError:
        return 0.0


def out_of_memory(evidence: Evidence) -> Finding | None:
    """torch, or the system's allocator, said that it has no more, with several rows at once."""
    if evidence.reason is not EndReason.OUT_OF_MEMORY or evidence.job is None:
        return None
    return _too_much(evidence) if evidence.job.training.micro_batch_size > 1 else None


def out_of_memory_smallest(evidence: Evidence) -> Finding | None:
    """The same with one row at a time."""
    return _too_much(evidence) if evidence.reason is EndReason.OUT_OF_MEMORY and evidence.job is not None else None


def _too_much(evidence: Evidence) -> Finding:
    assert evidence.job is not None
    size, length = evidence.job.training.micro_batch_size, evidence.job.data.max_length
    return Finding({"size": size, "length": length, "device": evidence.device or "CPU"}, smaller_batch(evidence))


def killed_memory(evidence: Evidence) -> Finding | None:
    """The system ended the worker, and memory was nearly full."""
    if evidence.reason is not EndReason.WORKER_KILLED or evidence.job is None:
        return None
    used, total = evidence.readings.get("ram.used", 0.0), evidence.readings.get("ram.total", 0.0)
    share = 100 * used / total if total else 0.0
    if share < FULL_SHARE or str(evidence.param("signal")) not in ("9", ""):
        return None
    return Finding({"share": round(share)}, smaller_batch(evidence))


def killed(evidence: Evidence) -> Finding | None:
    """The system, or somebody, ended the worker."""
    if evidence.reason is not EndReason.WORKER_KILLED or evidence.job is None:
        return None
    return Finding({"signal": evidence.param("signal")})


def hung(evidence: Evidence) -> Finding | None:
    """The worker said nothing for too long."""
    if evidence.reason is not EndReason.HANG or evidence.code != "worker.hung":
        return None
    minutes = evidence.spec.limits.hang_minutes
    return Finding(
        {"minutes": f"{minutes:g}"}, changed(evidence, ("compute.limits.hang_minutes", min(1e5, minutes * 4)))
    )


MEMORY: tuple[Rule, ...] = (
    Rule(
        "memory_in_pieces",
        "memory",
        in_pieces,
        "torch is out of memory while a tenth or more of what it holds is free, in pieces that are too small",
        "https://github.com/haotian-liu/LLaVA/issues/1152",
        BATCH,
        ("out_of_memory", "out_of_memory_smallest"),
    ),
    Rule(
        "out_of_memory",
        "memory",
        out_of_memory,
        "the worker ended for want of memory, with several rows at once",
        settings=BATCH,
        over=("out_of_memory_smallest",),
    ),
    Rule(
        "out_of_memory_smallest",
        "memory",
        out_of_memory_smallest,
        "the worker ended for want of memory with one row at a time",
        settings=BATCH,
    ),
    signs(
        "shared_memory",
        "memory",
        (
            r"killed by signal: Bus error",
            r"dataloader's workers are out of shared memory",
            r"unable to allocate shared memory",
        ),
        "processes that load data could not hand it over: `/dev/shm` is too small",
        over=("loader_killed", "disk_full"),
    ),
    signs(
        "loader_killed",
        "memory",
        (
            r"DataLoader worker \(pid [\d, ]{1,40}\) is killed by signal: (?P<signal>\w{1,20})",
            r"DataLoader worker \(pid\(s\) [\d, ]{1,80}\) exited unexpectedly",
        ),
        "a process that loads data was killed, most often for want of memory",
        params={"signal": "9"},
    ),
    signs(
        "member_killed",
        "memory",
        (r"exitcode {0,4}: -9\b", r"Signal 9 \(SIGKILL\) received by PID \d"),
        "torchrun tells that one of its processes was killed by the system",
        "https://github.com/lzhxmu/CPPO/issues/6",
        alone,
        ("compute.gpus", "compute.processes"),
    ),
    Rule(
        "killed_memory",
        "memory",
        killed_memory,
        "the worker was killed while 90 % or more of the computer's memory were in use",
        settings=BATCH,
        over=("killed",),
    ),
    Rule("killed", "processes", killed, "the worker was killed by a signal nobody here sent"),
    Rule(
        "hung",
        "processes",
        hung,
        "the worker was silent for longer than its hang limit and was ended",
        settings=("compute.limits.hang_minutes",),
    ),
    signs(
        "too_many_threads",
        "processes",
        (r"can't start new thread", r"pthread_create failed", r"Thread creation failed", r"libgomp: Thread creation"),
        "the system gives the worker no more threads",
        advice=setting(("training.threads", 1)),
        settings=("training.threads",),
        at_end=True,
    ),
    signs(
        "too_many_files",
        "processes",
        r"Too many open files",
        "the worker has as many files open as the system allows",
        at_end=True,
    ),
)
