"""GPUs, their driver, and how torch reaches them."""

from __future__ import annotations

from engine.control.jobs.diagnosis.changes import BATCH, other_attention, setting, smaller_batch, without_bf16
from engine.control.jobs.diagnosis.rule import Rule, signs

ON_PROCESSOR = setting(("compute.gpus", 0))
GPUS = ("compute.gpus",)

CUDA: tuple[Rule, ...] = (
    signs(
        "gpu_memory_broken",
        "cuda",
        r"uncorrectable ECC error",
        "the GPU reports that its memory is damaged",
        "https://github.com/kohya-ss/sd-scripts/issues/1434",
        over=("cuda_error",),
    ),
    signs(
        "gpu_lost",
        "cuda",
        (r"GPU is lost", r"GPU has fallen off the bus", r"fallen off the bus and is not responding"),
        "the computer has lost the GPU",
        "https://github.com/marian-nmt/marian/issues/251",
    ),
    signs(
        "gpu_driver_changed",
        "cuda",
        r"Driver/library version mismatch",
        "the driver was updated and the old one is still loaded",
        "https://github.com/mozilla/translations/issues/1167",
    ),
    signs(
        "gpu_driver_old",
        "cuda",
        r"NVIDIA driver on your system is too old \(found version (?P<version>\d{1,8})",
        "the driver is older than torch's CUDA",
        "https://github.com/serend1p1ty/SeqNet/issues/36",
    ),
    signs(
        "gpu_unsupported",
        "cuda",
        (
            r"with CUDA capability (?P<capability>sm_\w{1,8}) is not compatible",
            r"no kernel image is available for execution",
        ),
        "torch was not built for this sort of GPU",
        "https://github.com/Turoad/CLRNet/issues/83",
        over=("cuda_error",),
        params={"capability": "?"},
    ),
    signs(
        "gpu_not_ready",
        "cuda",
        (r"Error 802: system not yet initialized", r"cudaErrorSystemNotReady"),
        "GPUs joined by NVSwitch whose fabric manager is not at work",
        "https://github.com/huggingface/huggingface_hub/issues/4134",
    ),
    signs(
        "gpu_busy",
        "cuda",
        (r"CUDA-capable device\(s\) is/are busy or unavailable", r"all CUDA-capable devices are busy"),
        "another program holds the GPU for itself alone",
        "https://github.com/cositools/cosipy/issues/631",
        over=("cuda_error",),
    ),
    signs(
        "gpu_number",
        "cuda",
        r"CUDA error: invalid device ordinal",
        "a GPU is asked for by a number that the worker does not see",
        "https://github.com/pytorch/torchtitan/issues/423",
        over=("cuda_error",),
    ),
    signs(
        "gpu_unknown",
        "cuda",
        r"CUDA unknown error - this may be due to an incorrectly set up environment",
        "the driver does not answer: after a suspend, or without its kernel module",
        "https://github.com/microsoft/Bringing-Old-Photos-Back-to-Life/issues/52",
    ),
    signs(
        "gpu_absent",
        "cuda",
        (r"Torch not compiled with CUDA enabled", r"Found no NVIDIA driver on your system"),
        "a GPU is asked for, and torch has none",
        advice=ON_PROCESSOR,
        settings=GPUS,
        codes=("environment.no_gpu",),
    ),
    signs(
        "gpu_token_outside",
        "cuda",
        r"Assertion `srcIndex < srcSelectDimSize` failed",
        "a token id beyond the model's vocabulary, met on a GPU",
        "https://github.com/tloen/alpaca-lora/issues/275",
        over=("cuda_error",),
    ),
    signs(
        "gpu_cublas",
        "cuda",
        r"CUBLAS_STATUS_(?:NOT_INITIALIZED|ALLOC_FAILED)",
        "cuBLAS gets no memory for itself",
        "https://github.com/wenge-research/YAYI-UIE/issues/4",
        smaller_batch,
        BATCH,
        over=("cuda_error",),
    ),
    signs(
        "gpu_illegal_access",
        "cuda",
        (r"an illegal memory access was encountered", r"cudaErrorIllegalAddress"),
        "a kernel on the GPU reached outside its memory, most often one of attention",
        "https://github.com/ai-bond/flash-attention-v100/issues/29",
        other_attention,
        ("model.attention",),
        over=("cuda_error",),
    ),
    signs(
        "flash_attention_gpu",
        "cuda",
        r"FlashAttention only supports Ampere GPUs or newer",
        "FlashAttention on a GPU it does not know",
        "https://github.com/komikndr/raylight/issues/68",
        setting(("model.attention", "sdpa")),
        ("model.attention",),
    ),
    signs(
        "bf16_unsupported",
        "cuda",
        r"Your setup doesn't support bf16/gpu",
        "bf16 on a GPU that does not compute it",
        "https://github.com/databrickslabs/dolly/issues/11",
        without_bf16,
        ("training.precision", "model.dtype"),
    ),
    signs(
        "cuda_error",
        "cuda",
        r"CUDA error: (?P<detail>[^\n]{1,160})",
        "any other error of CUDA",
        "https://github.com/facebookresearch/DeepSDF/issues/40",
        at_end=True,
    ),
)
