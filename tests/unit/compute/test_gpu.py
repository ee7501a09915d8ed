"""On a GPU: the formats it has, and readings of it. Skips by itself without one."""

import pytest
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")]


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp16", "fp32"])
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_that_each_format_trains_on_the_gpu(attempt, precision, kind):
    made = attempt(
        tuner={"kind": kind},
        training={"max_steps": 8, "learning_rate": 3e-3, "warmup_share": 0, "precision": precision},
    )
    assert made.run() == 0
    losses = [line.values["loss"] for line in made.of("step")]
    assert losses[-1] < losses[0]
    assert "NVIDIA" in made.of("planned")[0].device


def test_that_the_gpu_in_use_is_read():
    from engine.compute.training.precision import nvml_names
    from engine.compute.worker.telemetry import NvidiaSampler

    sampler = NvidiaSampler(nvml_names(torch.device("cuda", 0)))
    reading = sampler.read()
    assert "NVIDIA" in sampler.names["gpu0"]
    assert 0 < reading["gpu0.memory_used"] < reading["gpu0.memory_total"]
