"""Memory: the ledger counts what the allocator does, the probe leaves no trace, a batch in parts is the same."""

from __future__ import annotations

from array import array

import pytest
import tiny
import torch
from test_training import make_loader, our_losses, ours

from engine.compute.data.tokenise import Encoded
from engine.compute.training.batches import BatchLoader
from engine.compute.training.ledger import TensorLedger
from engine.compute.training.precision import Precision
from engine.compute.training.probe import longest_batch
from engine.contract.calibration import Calibration
from engine.contract.estimate import PARTS, estimate, factor_of
from engine.contract.load import Load
from engine.contract.model_shape import read_shape, shape_of
from engine.contract.training import TrainingConfig

FP32 = Precision("fp32", "fp32", "training.precision_given")


def test_that_the_ledger_agrees_with_the_allocator():
    model = ours(tiny.make_model(), "lora")
    ids = torch.randint(0, 200, (4, 64))

    def step():
        model(input_ids=ids, labels=ids).loss.backward()
        for parameter in model.parameters():
            parameter.grad = None

    step()  # what is made once
    held = [*model.parameters(), *model.buffers()]
    known = sum(tensor.numel() * tensor.element_size() for tensor in held)
    with TensorLedger(held) as ledger:
        step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as told:
        step()
    now = peak = 0
    for event in told.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    assert ledger.peak - known == pytest.approx(peak, rel=0.02)
    assert ledger.now == known  # all that was made is gone


def test_that_tensors_that_share_their_storage_count_once():
    with TensorLedger() as ledger:
        whole = torch.zeros(1000)
        half, turned = whole[:500], whole.view(10, 100).t()
        assert ledger.now == 4000
        del whole, half, turned
        assert ledger.now == 0
        assert ledger.peak == 4000


class _Pool:
    lazy = False

    def __init__(self, lengths):
        self.lengths = lengths
        self.groups = []

    def fetch(self, indices):
        return [Encoded(array("i", [1] * self.lengths[n]), array("b", [0] + [1] * (self.lengths[n] - 1)))
                for n in indices]  # fmt: skip


def test_that_the_longest_batch_is_made_of_the_longest_rows():
    loader = BatchLoader(_Pool([3, 9, 4, 8, 2]), pad=0, size=2, seed=0, by_length=True, multiple=1)
    found = longest_batch(loader)
    assert (found.rows, found.width) == (2, 9)
    assert found.trained == pytest.approx((8 + 7) / 18)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("parts", [2, 3, 8])
def test_that_a_micro_batch_in_parts_gives_the_same_losses(tmp_path, tokenizer, parts, checkpointing):
    def losses(parts, checkpointing):
        config = TrainingConfig(micro_batch_size=5, accumulation=2, max_steps=4, learning_rate=5e-3,
                                micro_batch_parts=parts, gradient_checkpointing=checkpointing)  # fmt: skip
        found = our_losses(ours(tiny.make_model(), "lora"), make_loader(tokenizer, config), config, FP32, tmp_path)
        return [(point["loss"], point["grad_norm"]) for point in found]

    assert losses(parts, checkpointing) == [pytest.approx(pair, rel=1e-4) for pair in losses(1, False)]


@pytest.mark.parametrize("tuner", [{"dropout": 0.2}, {"kind": "full"}])
@pytest.mark.parametrize("more", [{}, {"accumulation": 2, "micro_batch_parts": 2}])
@pytest.mark.parametrize("when", ["always", "auto"])
def test_that_a_run_with_a_probe_is_the_run_without_bit_for_bit(attempt, tuner, more, when):
    def result(probe):
        training = {"max_steps": 4, "micro_batch_size": 8, "learning_rate": 1e-2, "memory_probe": probe, **more}
        made = attempt(name=f"probe-{probe}", tuner=tuner, training=training)
        assert made.run() == 0, made.end
        values = [{name: line.values[name] for name in ("loss", "grad_norm")} for line in made.of("step")]
        files = sorted(made.outputs.rglob("*.safetensors"))
        return values, [file.read_bytes() for file in files], made

    with_it, without = result(when), result(False)
    assert with_it[:2] == without[:2]
    assert with_it[1], "no weights were saved"
    forecast, plain = with_it[2].of("memory_forecast")[-1], without[2].of("memory_forecast")[-1]
    assert plain.measured is None
    assert forecast.measured > 0
    assert forecast.measured == pytest.approx(forecast.tensors, rel=0.25)
    kinds = [line.kind for line in with_it[2].journal if line.kind in ("memory_forecast", "step")]
    in_first_step = when == "auto" and "accumulation" in more  # its second micro batch
    assert kinds.index("step") == (1 if when == "auto" and not in_first_step else 2)
    assert forecast.parts == plain.parts
    assert set(forecast.parts) == set(PARTS)
    fact = with_it[2].of("memory")[0]
    assert fact.steps == 4
    assert fact.peak > forecast.measured
    assert fact.tokens > 0


def test_that_a_measurement_corrects_the_estimate(model):
    shape = read_shape(model)
    load = Load(rank=4, rows=8, width=64)
    reckoned = estimate(shape, load)
    state = reckoned.parts["optimiser"]
    for share in (0.7, 1.0, 1.6):
        measured = reckoned.parts["weights"] + share * (reckoned.tensors - state - reckoned.parts["weights"])
        factor = factor_of(shape, load, measured)
        found = estimate(shape, load, Calibration(factor=factor))
        assert found.tensors - state == pytest.approx(measured, rel=0.01)


def test_that_the_shape_of_files_is_the_shape_of_the_model(model):
    shape = read_shape(model)
    made = tiny.make_model()
    named = [(name, tuple(value.shape)) for name, value in made.named_parameters()]
    assert shape == shape_of(made.config.to_dict(), named)
    assert shape.parameters == sum(value.numel() for value in made.parameters())
    assert {one.name for one in shape.linear} >= {"q_proj", "o_proj", "up_proj", "down_proj"}
    assert shape.qk_norm
    assert shape.gated
