"""Containers and the nodes they work on."""

from __future__ import annotations

from engine.control.jobs.diagnosis.changes import setting
from engine.control.jobs.diagnosis.rule import Rule, signs

WITHOUT_GPU = setting(("compute.gpus", 0))
GPUS = ("compute.gpus",)

NODES: tuple[Rule, ...] = (
    signs(
        "docker_without_gpus",
        "docker",
        r"could not select device driver \"\w{0,20}\" with capabilities: \[\[gpu\]\]",
        "the node's Docker cannot give GPUs to containers",
        "https://github.com/OpenBMB/XAgent/issues/273",
        WITHOUT_GPU,
        GPUS,
    ),
    signs(
        "docker_driver_old",
        "docker",
        r"requirement error: unsatisfied condition: (?P<condition>cuda ?>= ?[\d.]{1,10})",
        "the image needs a newer driver than the node has",
        "https://github.com/MauriceNino/dashdot/issues/1226",
    ),
    signs(
        "docker_without_driver",
        "docker",
        r"load library failed: libnvidia-ml\.so\.1",
        "the node has no NVIDIA driver",
        "https://github.com/NVIDIA/libnvidia-container/issues/231",
        WITHOUT_GPU,
        GPUS,
    ),
    signs(
        "docker_gpu_taken",
        "docker",
        r"Failed to initialize NVML: Unknown Error",
        "a container lost its GPUs while it worked",
        "https://github.com/NVIDIA/nvidia-container-toolkit/issues/1227",
    ),
    signs(
        "docker_pull_limit",
        "docker",
        r"toomanyrequests: (?P<detail>[^\n]{1,160})",
        "a registry gives no more images for now",
        "https://github.com/docker/hub-feedback/issues/2429",
    ),
    signs(
        "other_processor",
        "docker",
        r"(?i:exec format error)",
        "a program, or an image, made for another kind of processor",
        at_end=True,
    ),
)
