"""Several processes that train together: NCCL, and how they find each other."""

from __future__ import annotations

from engine.control.jobs.diagnosis.changes import alone
from engine.control.jobs.diagnosis.rule import Rule, signs

PROCESSES = ("compute.gpus", "compute.processes")

SEVERAL: tuple[Rule, ...] = (
    signs(
        "nccl_same_gpu",
        "nccl",
        r"Duplicate GPU detected : rank (?P<one>\d{1,5}) and rank (?P<other>\d{1,5})",
        "two processes use the same GPU",
        "https://github.com/verl-project/verl/issues/161",
        alone,
        PROCESSES,
    ),
    signs(
        "nccl_shared_memory",
        "nccl",
        r"NCCL WARN Error while creating shared memory segment",
        "NCCL finds no room in `/dev/shm`",
        "https://github.com/NVIDIA/nccl/issues/342",
        over=("disk_full",),
    ),
    signs(
        "nccl_timeout",
        "nccl",
        r"Watchdog caught collective operation timeout: WorkNCCL\([^\n]{0,80}OpType=(?P<operation>\w{1,40})",
        "processes waited for one that did not come",
        "https://github.com/XPixelGroup/BasicSR/issues/737",
    ),
    signs(
        "port_taken",
        "nccl",
        (r"port: (?P<port>\d{1,5})[^\n]{0,80}EADDRINUSE", r"EADDRINUSE"),
        "the port at which processes meet belongs to another program",
        advice=alone,
        settings=PROCESSES,
        params={"port": "?"},
    ),
    signs(
        "meeting_timeout",
        "nccl",
        r"The client socket has timed out after \w{1,20} while trying to connect to \((?P<address>[^)\n]{1,80})\)",
        "a process did not find the others",
        "https://github.com/lllyasviel/ControlNet/issues/382",
        alone,
        PROCESSES,
    ),
    signs(
        "unused_parameters",
        "nccl",
        r"Expected to have finished reduction in the prior iteration",
        "several processes wait for the gradient of weights that took no part",
        advice=alone,
        settings=PROCESSES,
    ),
)
